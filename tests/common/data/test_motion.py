import numpy as np
import pytest

from common.data.motion import NOISY, longest_still, unrest


def test_is_one_minus_the_cosine_of_the_step_of_a_turning_wave():
    """For x = cos(w t), over whole turns: mean (x[t+1] - x[t])^2 = 2 (1 - cos w) / 2, variance 1 / 2."""
    turns, count = 4, 4000
    phases = 2 * np.pi * np.linspace(0, 1, 12)[:, None] + np.zeros(12)
    step = 2 * np.pi * turns / count
    frames = np.cos(step * np.arange(count)[:, None, None] + phases).astype(np.float32)
    assert unrest(frames) == pytest.approx(1 - np.cos(step), rel=0.01)


@pytest.mark.parametrize("count", [5, 12, 60])
def test_is_one_for_noise_however_many_frames_there_are(count):
    frames = np.random.default_rng(0).normal(100, 5, (count, 120, 100)).astype(np.float32)
    assert unrest(frames) == pytest.approx(1, rel=0.05)
    assert unrest(frames) > NOISY


def test_is_zero_for_a_still_and_does_not_depend_on_brightness_or_contrast():
    assert unrest(np.ones((5, 20, 20), np.float32)) == 0
    frames = np.random.default_rng(1).normal(0, 1, (9, 30, 30)).astype(np.float32).cumsum(axis=0)
    assert unrest(7 * frames + 100) == pytest.approx(unrest(frames), rel=1e-4)


def test_the_longest_still_is_counted_in_frames_of_which_a_few_pixels_may_move():
    frames = np.zeros((8, 10, 10), np.float32)
    frames[:, 0, 0] = [1, 2, 3, 3, 3, 3, 4, 4]
    assert longest_still(frames) == 4
    assert longest_still(frames, change=1.0) == 8
    assert longest_still(frames, fraction=0.01) == 8
    assert longest_still(np.arange(5.0)[:, None]) == 0
