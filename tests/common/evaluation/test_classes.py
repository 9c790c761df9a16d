import math

import numpy as np
import pytest
import sklearn.metrics

from common.evaluation.classes import accuracy, auc, f1_score, precision, sensitivity, specificity


@pytest.mark.parametrize("ones", [0, 1, 20, 39, 40])
def test_agrees_with_another_library(ones):
    rng = np.random.default_rng(ones)
    labels, called = (np.arange(40) < ones).astype(int), rng.integers(0, 2, 40)
    theirs = {
        precision: sklearn.metrics.precision_score(labels, called, zero_division=np.nan),
        f1_score: sklearn.metrics.f1_score(labels, called, zero_division=np.nan),
        sensitivity: sklearn.metrics.recall_score(labels, called, zero_division=np.nan),
        specificity: sklearn.metrics.recall_score(labels, called, pos_label=0, zero_division=np.nan),
        accuracy: sklearn.metrics.accuracy_score(labels, called),
    }
    for score, expected in theirs.items():
        assert score(labels, called) == pytest.approx(expected, nan_ok=True), score


def test_is_worked_out_by_hand_and_unknown_without_positives():
    assert precision([1, 0, 1, 0], [1, 1, 0, 0]) == 0.5
    assert f1_score([1, 0, 1, 1], [1, 1, 0, 1]) == pytest.approx(2 / 3)
    assert math.isnan(precision([1, 0], [0, 0])) and math.isnan(f1_score([0, 0], [0, 0]))


def test_auc_is_the_share_of_pairs_in_order_with_ties_counted_half():
    labels, scores = np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.5, 0.5, 0.4, 0.9])
    pairs = [(0.5 if p == n else float(p > n)) for p in scores[2:] for n in scores[:2]]
    assert auc(labels, scores) == pytest.approx(np.mean(pairs))


def test_auc_equals_scikit_learns_on_random_scores():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 200), rng.random(200).round(1)
    assert auc(labels, scores) == pytest.approx(sklearn.metrics.roc_auc_score(labels, scores))


def test_auc_of_one_class_is_not_a_number():
    assert np.isnan(auc(np.ones(3), np.arange(3)))


def test_sensitivity_and_specificity_count_their_own_class():
    labels, called = np.array([1, 1, 1, 0, 0]), np.array([1, 0, 0, 0, 0])
    assert sensitivity(labels, called) == pytest.approx(1 / 3)
    assert specificity(labels, called) == 1.0
    assert accuracy(labels, called) == pytest.approx(3 / 5)
    assert np.isnan(sensitivity(np.zeros(2), np.zeros(2)))
