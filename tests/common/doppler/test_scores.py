import itertools
import math

import numpy as np
import pytest

from common.doppler import ImageCounts, Tolerance, match_peaks, peak_tolerance, wave_agreement

IMAGES = [ImageCounts(3, 1, 0, (1.0, -2.0, 4.0)), ImageCounts(2, 0, 2, (0.5, 3.0)), ImageCounts(0, 0, 1)]


def test_pools_the_peaks_of_all_images():
    scores = wave_agreement(IMAGES, resamples=50)
    assert scores["precision"].value == pytest.approx(5 / 6)
    assert scores["recall"].value == pytest.approx(5 / 8)
    assert scores["f1"].value == pytest.approx(2 * (5 / 6) * (5 / 8) / (5 / 6 + 5 / 8))
    differences = [1.0, -2.0, 4.0, 0.5, 3.0]
    assert scores["bias_cm_s"].value == pytest.approx(np.mean(differences))
    assert scores["sd_cm_s"].value == pytest.approx(np.std(differences, ddof=1))
    assert scores["f1"].cases == 3


def test_interval_holds_the_value_and_narrows_with_more_images():
    few, many = (wave_agreement(IMAGES * n, resamples=300) for n in (4, 40))
    for name, score in many.items():
        assert score.low <= score.value <= score.high
        assert score.high - score.low < few[name].high - few[name].low


def test_is_perfect_when_everything_is_found():
    scores = wave_agreement([ImageCounts(4, 0, 0, (0.0,) * 4)] * 3, resamples=20)
    assert [scores[name].value for name in ("precision", "recall", "f1", "bias_cm_s", "sd_cm_s")] == [1, 1, 1, 0, 0]


def test_what_cannot_be_known_is_nan():
    scores = wave_agreement([ImageCounts(0, 0, 0)], resamples=20)
    assert all(math.isnan(score.value) for score in scores.values())
    assert math.isnan(wave_agreement([ImageCounts(1, 0, 0, (2.0,))], resamples=20)["sd_cm_s"].value)


def test_needs_an_image():
    with pytest.raises(ValueError, match="found lengths"):
        wave_agreement([])


TOLERANCE = Tolerance(10.0, 4.0)


def best_by_trial(predicted, reference, tolerance):
    """(Pairs, sum of distances) of the best assignment, by trying all."""
    best = (0, 0.0)
    for count in range(min(len(predicted), len(reference)) + 1):
        for some in itertools.permutations(range(len(predicted)), count):
            for others in itertools.combinations(range(len(reference)), count):
                offsets = [
                    (predicted[i] - reference[j]) / np.array(tolerance) for i, j in zip(some, others, strict=True)
                ]
                if all(np.abs(offset).max() <= 1 for offset in offsets):
                    candidate = (count, -sum(float(np.hypot(*offset)) for offset in offsets))
                    best = max(best, candidate)
    return best


@pytest.mark.parametrize("seed", range(12))
def test_finds_the_most_pairs_and_then_the_nearest(seed):
    rng = np.random.default_rng(seed)
    predicted, reference = rng.uniform(0, 40, (4, 2)) * (1, 0.4), rng.uniform(0, 40, (5, 2)) * (1, 0.4)
    pairs = match_peaks(predicted, reference, TOLERANCE)
    total = sum(float(np.hypot(*((predicted[i] - reference[j]) / np.array(TOLERANCE)))) for i, j in pairs)
    count, negative = best_by_trial(predicted, reference, TOLERANCE)
    assert len(pairs) == count and total == pytest.approx(-negative)


def test_nobody_is_matched_twice():
    assert match_peaks([[0, 0], [1, 0]], [[0.5, 0]], TOLERANCE) in ([(0, 0)], [(1, 0)])


@pytest.mark.parametrize(("dx", "dy", "count"), [(10, 4, 1), (10.1, 0, 0), (0, 4.1, 0), (-10, -4, 1)])
def test_each_axis_has_its_own_tolerance(dx, dy, count):
    assert len(match_peaks([[dx, dy]], [[0, 0]], TOLERANCE)) == count


def test_prefers_two_far_pairs_to_one_near_pair():
    assert match_peaks([[0, 0], [9, 0]], [[9, 0], [18, 0]], TOLERANCE) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(("predicted", "reference"), [([], [[1, 1]]), ([[1, 1]], []), ([], [])])
def test_nothing_matches_nothing(predicted, reference):
    assert match_peaks(predicted, reference, TOLERANCE) == []


def test_refuses_a_tolerance_of_zero():
    with pytest.raises(ValueError, match="expected positive pixels"):
        match_peaks([[0, 0]], [[0, 0]], Tolerance(0, 1))


def test_tolerance_is_a_share_of_the_median_beat_and_of_the_velocity_range():
    e, a = [[10, 5], [110, 5], [230, 5], [330, 5]], [[60, 3]]
    assert peak_tolerance([e, a], (300, 600), beat_fraction=0.1, velocity_fraction=0.05) == (10, 15)


def test_tolerance_of_a_single_beat_needs_the_time_scale():
    assert peak_tolerance([[[10, 5]], []], (300, 600), seconds_per_px=0.004).x_px == pytest.approx(20)
    assert peak_tolerance([[], []], (300, 600)).x_px == pytest.approx(15)
    assert math.isfinite(peak_tolerance([[], []], (300, 600)).y_px)
