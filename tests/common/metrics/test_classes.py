import math

import numpy as np
import pytest
import sklearn.metrics

from common.metrics.classes import f1_score, precision


def test_agrees_with_another_library():
    rng = np.random.default_rng(0)
    labels, called = rng.integers(0, 2, 40), rng.integers(0, 2, 40)
    assert precision(labels, called) == pytest.approx(sklearn.metrics.precision_score(labels, called))
    assert f1_score(labels, called) == pytest.approx(sklearn.metrics.f1_score(labels, called))


def test_is_worked_out_by_hand_and_unknown_without_positives():
    assert precision([1, 0, 1, 0], [1, 1, 0, 0]) == 0.5
    assert f1_score([1, 0, 1, 1], [1, 1, 0, 1]) == pytest.approx(2 / 3)
    assert math.isnan(precision([1, 0], [0, 0])) and math.isnan(f1_score([0, 0], [0, 0]))
