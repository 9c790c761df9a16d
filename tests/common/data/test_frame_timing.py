import numpy as np
import pytest
from pydicom.dataset import Dataset

from common.data.frame_timing import frame_timing


def elements(**values):
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("values", "interval_ms", "source"),
    [
        ({"FrameTime": "33.3"}, 33.3, "FrameTime"),
        ({"FrameTimeVector": ["0", *["20"] * 9]}, 20, "FrameTimeVector"),
        ({"ActualFrameDuration": "25"}, 25, "ActualFrameDuration"),
        ({"CineRate": "50"}, 20, "CineRate"),
        ({"EffectiveDuration": 0.4}, 40, "EffectiveDuration"),  # 10 frames in 0.4 s
        ({"RecommendedDisplayFrameRate": "40"}, 25, "RecommendedDisplayFrameRate"),
        ({"FrameTime": "0", "CineRate": "50"}, 20, "CineRate"),
        ({"FrameTimeVector": ["0", "20"], "FrameTime": "40"}, 40, "FrameTime"),  # of another number of frames
        ({}, None, ""),
        ({"FrameTime": "0"}, None, ""),
    ],
)
def test_takes_the_first_element_that_says_it(values, interval_ms, source):
    timing = frame_timing(elements(**values), 10)
    assert timing.interval_ms == (None if interval_ms is None else pytest.approx(interval_ms))
    assert (timing.source, timing.times_ms, timing.doubts) == (source, None, ())


def test_keeps_the_time_of_each_frame_where_intervals_differ():
    timing = frame_timing(elements(FrameTimeVector=["0", "20", "20", "80", "80"]), 5)
    assert timing.times_ms == (0, 20, 40, 120, 200)
    assert timing.interval_ms == 50


@pytest.mark.parametrize("wrong", ["0.02", "33000"])
def test_passes_over_an_interval_that_no_scanner_has_and_says_so(wrong):
    timing = frame_timing(elements(FrameTime=wrong, CineRate="50"), 10)
    assert timing.interval_ms == 20
    assert timing.doubts == (f"FrameTime gives {float(wrong):g} ms from frame to frame, expected 1 to 500",)
    assert frame_timing(elements(FrameTime=wrong), 10).interval_ms is None


def test_names_two_elements_that_disagree():
    timing = frame_timing(elements(FrameTime="20", CineRate="25", RecommendedDisplayFrameRate="10"), 10)
    assert timing.interval_ms == 20
    assert timing.doubts == ("FrameTime gives 20 ms from frame to frame, CineRate 40 ms",)
    assert frame_timing(elements(FrameTime="33.3", CineRate="30"), 10).doubts == ()


def test_names_a_vector_of_another_length_where_nothing_else_tells_the_time():
    timing = frame_timing(elements(FrameTimeVector=["0", "20", "20"]), 10)
    assert timing.interval_ms is None and timing.doubts == ("FrameTimeVector has 3 values for 10 frames",)


def test_times_that_run_backwards_are_no_times():
    timing = frame_timing(elements(FrameTimeVector=["0", "20", "-20", "80"]), 4)
    assert timing.interval_ms is None and "FrameTimeVector" in timing.doubts[0]


def test_a_still_has_no_interval():
    assert frame_timing(elements(FrameTime="33.3"), 1).interval_ms is None
    assert np.isfinite(frame_timing(elements(FrameTime="33.3"), 2).interval_ms)
