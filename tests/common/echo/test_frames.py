import numpy as np
import pytest

from common.echo.frames import is_even, on_even_time, source_of
from common.errors import UnusableFileError


def numbered(count):
    return source_of(np.arange(count, dtype=np.uint8)[:, None, None, None], 40.0, "header")


def read(cine):
    return cine.read(range(cine.frame_count)).ravel().tolist()


@pytest.mark.parametrize("times", [[0, 40, 80, 120], [5, 38, 72, 105, 138], [0.0, 33, 67, 100, 133, 167]])
def test_leaves_even_frames_alone(times):
    cine = numbered(len(times))
    assert is_even(np.array(times, float)) and on_even_time(cine, np.array(times, float), "a.mp4") is cine


def test_takes_the_nearest_frame_at_each_step_and_of_two_the_earlier():
    cine = on_even_time(numbered(4), np.array([0.0, 40, 80, 200]), "a.mp4")
    assert read(cine) == [0, 1, 2, 2, 3, 3]  # at 120 and 160 ms; 140 ms would be the middle
    assert (cine.frame_count, cine.frame_interval_ms) == (6, 40)
    assert "2 of 6 are repeats" in cine.notes[0]
    cine = on_even_time(numbered(3), np.array([0.0, 40, 120]), "a.mp4")
    assert read(cine) == [0, 1, 1, 2]


def test_takes_the_step_that_is_given():
    cine = on_even_time(numbered(3), np.array([0.0, 40, 120]), "a.mp4", step_ms=20)
    assert read(cine) == [0, 0, 1, 1, 1, 2, 2]


def test_each_frame_is_off_by_half_a_gap_at_most():
    times = np.cumsum(np.random.default_rng(0).uniform(10, 60, 100))
    cine = on_even_time(numbered(100), times, "a.mp4")
    slots = times[0] + cine.frame_interval_ms * np.arange(cine.frame_count)
    off = np.abs(times[read(cine)] - slots)
    assert off.max() <= 30


def test_refuses_a_gap_that_no_recording_has():
    with pytest.raises(UnusableFileError, match=r"a.mp4: expected time stamps of one recording, found steps from 40"):
        on_even_time(numbered(4), np.array([0.0, 40, 80, 90_000]), "a.mp4")
