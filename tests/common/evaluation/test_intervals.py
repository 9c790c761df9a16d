import numpy as np
import pytest

from common.evaluation import bootstrap_interval, paired_difference
from common.evaluation.intervals import seed_interval


def test_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    intervals = [bootstrap_interval(np.mean, rng.normal(2, 1, 40), resamples=300, seed=i) for i in range(150)]
    covered = np.mean([i.low <= 2 <= i.high for i in intervals])
    assert 0.88 <= covered <= 0.99


def test_paired_interval_is_narrower_than_the_spread_of_the_cases():
    rng = np.random.default_rng(4)
    base = rng.normal(0, 10, 60)
    difference = paired_difference(base + 1 + rng.normal(0, 0.1, 60), base)
    assert difference.value == pytest.approx(1, abs=0.05)
    assert 0.9 < difference.low < difference.high < 1.1
    assert difference.cases == 60


def test_draws_without_a_defined_statistic_are_left_out():
    interval = bootstrap_interval(lambda x: np.nan if x.sum() == 0 else 1.0, [0, 1], resamples=200)
    assert interval == (1.0, 1.0, 1.0, 2)


def test_one_seed_gives_one_interval():
    values = np.random.default_rng(0).normal(size=20)
    assert bootstrap_interval(np.mean, values, seed=5) == bootstrap_interval(np.mean, values, seed=5)
    assert bootstrap_interval(np.mean, values, seed=5) != bootstrap_interval(np.mean, values, seed=6)


@pytest.mark.parametrize("samples", [([],), ([1, 2], [1])], ids=["none", "unequal"])
def test_refuses_samples_without_a_common_length(samples):
    with pytest.raises(ValueError, match="arrays of one length over 0"):
        bootstrap_interval(np.mean, *samples)


def test_refuses_a_level_in_percent():
    with pytest.raises(ValueError, match="coverage between 0 and 1, found 95"):
        bootstrap_interval(np.mean, [1, 2], level=95)


def test_the_interval_over_seeds_is_students():
    # Mean 2, standard deviation 1, and t of 97.5 % with two degrees of freedom is 4.303 (printed tables).
    mean, low, high, seeds = seed_interval([1.0, 2.0, 3.0])
    assert (mean, seeds) == (2.0, 3)
    assert (high - mean, mean - low) == pytest.approx((4.303 / 3**0.5,) * 2, abs=1e-3)


def test_one_seed_has_no_interval():
    with pytest.raises(ValueError, match="two seeds or more, found 1"):
        seed_interval([0.5])
