import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from common.echo import (
    area_under_curve_below,
    bland_altman,
    error_by_band,
    feature_order_correlation,
    mean_absolute_error,
    pearson_correlation,
    r_squared,
    root_mean_square_error,
)

PREDICTED, ACTUAL = [50.0, 62.0, 30.0, 45.0], [54.0, 60.0, 38.0, 46.0]


def test_has_the_values_worked_out_by_hand():
    # Errors -4, 2, -8, -1; the actual values' mean is 49.5, their squares about it sum to 275.
    assert mean_absolute_error(PREDICTED, ACTUAL) == pytest.approx(15 / 4)
    assert root_mean_square_error(PREDICTED, ACTUAL) == pytest.approx(math.sqrt(85 / 4))
    assert r_squared(PREDICTED, ACTUAL) == pytest.approx(1 - 85 / 275)


def test_agrees_with_other_libraries():
    rng = np.random.default_rng(0)
    actual = rng.normal(55, 12, 60)
    predicted = actual + rng.normal(0, 5, 60).round()
    assert r_squared(predicted, actual) == pytest.approx(sklearn.metrics.r2_score(actual, predicted))
    assert pearson_correlation(predicted, actual) == pytest.approx(np.corrcoef(predicted, actual)[0, 1])
    expected = sklearn.metrics.roc_auc_score(actual < 50, -predicted)
    assert area_under_curve_below(predicted, actual, 50) == pytest.approx(expected)


def test_is_zero_for_the_mean_and_unknown_for_one_value():
    assert r_squared(np.full(4, 49.5), ACTUAL) == pytest.approx(0)
    assert math.isnan(r_squared([1.0, 2.0], [3.0, 3.0]))
    assert math.isnan(pearson_correlation([1.0, 1.0], [2.0, 3.0]))


def test_gives_bias_and_limits_of_agreement():
    found = bland_altman(PREDICTED, ACTUAL)
    spread = 1.96 * np.std([-4, 2, -8, -1], ddof=1)
    assert found.bias == pytest.approx(-2.75)
    assert (found.lower, found.upper) == pytest.approx((-2.75 - spread, -2.75 + spread))
    np.testing.assert_allclose(found.means, [52, 61, 34, 45.5])


def test_counts_each_case_in_one_band():
    bands = error_by_band([39.0, 42.0, 55.0, 90.0], [38.0, 40.0, 50.0, 100.0])
    assert [(band.low, band.cases, band.mean_absolute_error) for band in bands] == [(0, 1, 1), (40, 1, 2), (50, 2, 7.5)]
    assert math.isnan(error_by_band([60.0], [60.0])[0].mean_absolute_error)


def test_ranks_ties_half_and_needs_both_sides():
    assert area_under_curve_below([40.0, 50.0, 60.0], [45.0, 55.0, 60.0], 50) == 1
    assert area_under_curve_below([50.0, 50.0], [45.0, 55.0], 50) == 0.5
    assert area_under_curve_below([60.0, 50.0], [45.0, 55.0], 50) == 0
    assert math.isnan(area_under_curve_below([60.0, 50.0], [55.0, 55.0], 50))


def test_sees_whether_features_are_ordered_as_the_values():
    values = np.array([20.0, 31.0, 45.0, 70.0])
    assert feature_order_correlation(values[:, None] * [[3.0, 0.0]], values) == pytest.approx(1)
    rng = np.random.default_rng(1)
    features = rng.normal(size=(9, 4))
    values = rng.normal(size=9)
    pairs = [(i, j) for i in range(9) for j in range(i)]
    apart = [np.linalg.norm(features[i] - features[j]) for i, j in pairs]
    difference = [abs(values[i] - values[j]) for i, j in pairs]
    assert feature_order_correlation(features, values) == pytest.approx(scipy.stats.spearmanr(apart, difference)[0])


def test_names_what_does_not_fit():
    with pytest.raises(ValueError, match="at least one, found 2 and 1"):
        mean_absolute_error([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="at least one, found 0 and 0"):
        r_squared([], [])
    with pytest.raises(ValueError, match="at least 3, found 2, 2"):
        feature_order_correlation(np.zeros((2, 3)), [1.0, 2.0])
