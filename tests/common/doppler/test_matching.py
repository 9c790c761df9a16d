import itertools
import math

import numpy as np
import pytest

from common.doppler import Tolerance, match_peaks, peak_tolerance

TOLERANCE = Tolerance(10.0, 4.0)


def best_by_trial(found, expert, tolerance):
    """(Pairs, sum of distances) of the best assignment, by trying all."""
    best = (0, 0.0)
    for count in range(min(len(found), len(expert)) + 1):
        for some in itertools.permutations(range(len(found)), count):
            for others in itertools.combinations(range(len(expert)), count):
                offsets = [(found[i] - expert[j]) / np.array(tolerance) for i, j in zip(some, others, strict=True)]
                if all(np.abs(offset).max() <= 1 for offset in offsets):
                    candidate = (count, -sum(float(np.hypot(*offset)) for offset in offsets))
                    best = max(best, candidate)
    return best


@pytest.mark.parametrize("seed", range(12))
def test_finds_the_most_pairs_and_then_the_nearest(seed):
    rng = np.random.default_rng(seed)
    found, expert = rng.uniform(0, 40, (4, 2)) * (1, 0.4), rng.uniform(0, 40, (5, 2)) * (1, 0.4)
    pairs = match_peaks(found, expert, TOLERANCE)
    total = sum(float(np.hypot(*((found[i] - expert[j]) / np.array(TOLERANCE)))) for i, j in pairs)
    count, negative = best_by_trial(found, expert, TOLERANCE)
    assert len(pairs) == count and total == pytest.approx(-negative)


def test_nobody_is_matched_twice():
    assert match_peaks([[0, 0], [1, 0]], [[0.5, 0]], TOLERANCE) in ([(0, 0)], [(1, 0)])


@pytest.mark.parametrize(("dx", "dy", "count"), [(10, 4, 1), (10.1, 0, 0), (0, 4.1, 0), (-10, -4, 1)])
def test_each_axis_has_its_own_tolerance(dx, dy, count):
    assert len(match_peaks([[dx, dy]], [[0, 0]], TOLERANCE)) == count


def test_prefers_two_far_pairs_to_one_near_pair():
    assert match_peaks([[0, 0], [9, 0]], [[9, 0], [18, 0]], TOLERANCE) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(("found", "expert"), [([], [[1, 1]]), ([[1, 1]], []), ([], [])])
def test_nothing_matches_nothing(found, expert):
    assert match_peaks(found, expert, TOLERANCE) == []


def test_refuses_a_tolerance_of_zero():
    with pytest.raises(ValueError, match="expected positive pixels"):
        match_peaks([[0, 0]], [[0, 0]], Tolerance(0, 1))


def test_tolerance_is_a_share_of_the_median_beat_and_of_the_velocity_range():
    e, a = [[10, 5], [110, 5], [230, 5], [330, 5]], [[60, 3]]
    assert peak_tolerance([e, a], (300, 600), beat_share=0.1, velocity_share=0.05) == (10, 15)


def test_tolerance_of_a_single_beat_needs_the_time_scale():
    assert peak_tolerance([[[10, 5]], []], (300, 600), seconds_per_px=0.004).x_px == pytest.approx(20)
    assert peak_tolerance([[], []], (300, 600)).x_px == pytest.approx(15)
    assert math.isfinite(peak_tolerance([[], []], (300, 600)).y_px)
