"""When each frame of a multi-frame DICOM file was taken, from whichever element says so."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

# Milliseconds between frames that an ultrasound scanner can have: 1000 to 2 frames a second.
POSSIBLE_INTERVAL_MS = (1.0, 500.0)
# Intervals within this fraction of their mean are one interval; two elements further apart disagree.
EVEN, DISAGREEING = 0.1, 0.25
TIMING_TAGS = [
    "FrameTimeVector",
    "FrameTime",
    "ActualFrameDuration",
    "CineRate",
    "EffectiveDuration",
    "RecommendedDisplayFrameRate",
]


@dataclass(frozen=True)
class FrameTiming:
    """The time of the frames.

    Attributes:
        interval_ms: mean time between frames; None where nothing usable says so.
        times_ms: of each frame after the first, where the intervals differ; None where they do not.
        source: which element said so, "" if none.
        doubts: in words, what speaks against it.
    """

    interval_ms: float | None = None
    times_ms: tuple[float, ...] | None = None
    source: str = ""
    doubts: tuple[str, ...] = ()


def frame_timing(dataset: Any, frames: int) -> FrameTiming:
    """Return the timing of a file of `frames` frames, by the first element of TIMING_TAGS that is there and possible.

    A display rate counts last: it need not be that of the recording.

    References:
        DICOM PS3.3 C.7.6.5, Cine Module, and C.7.6.16.2.2, Frame Content
    """
    if frames < 2:
        return FrameTiming()
    doubts, found = [], []
    for name, times in _candidates(dataset, frames):
        interval = float(times[-1]) / (frames - 1)
        low, high = POSSIBLE_INTERVAL_MS
        if low <= interval <= high and bool((np.diff(times) >= 0).all()):
            found.append((name, interval, times))
        else:
            doubts.append(f"{name} gives {interval:g} ms from frame to frame, expected {low:g} to {high:g}")
    if not found:
        given = len(_numbers(dataset.get("FrameTimeVector")))
        doubts += [f"FrameTimeVector has {given} values for {frames} frames"] if given not in (0, frames) else []
        return FrameTiming(doubts=tuple(doubts))
    name, interval, times = found[0]
    others = [other for other in found[1:] if other[0] != "RecommendedDisplayFrameRate"]
    doubts += [
        f"{name} gives {interval:g} ms from frame to frame, {other} {value:g} ms"
        for other, value, _ in others
        if abs(value / interval - 1) > DISAGREEING
    ]
    even = bool((np.abs(np.diff(times) - interval) <= EVEN * interval).all())
    return FrameTiming(interval, None if even else tuple(float(time) for time in times), name, tuple(doubts))


def _candidates(dataset: Any, frames: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (keyword, time of each frame in ms) of the elements that are there and not 0."""
    vector = _numbers(dataset.get("FrameTimeVector"))
    if len(vector) == frames:
        yield "FrameTimeVector", np.cumsum([0.0, *vector[1:]])
    for keyword in TIMING_TAGS[1:]:
        value = next(iter(_numbers(dataset.get(keyword))), 0.0)
        if value:
            rate = keyword in ("CineRate", "RecommendedDisplayFrameRate")
            whole = keyword == "EffectiveDuration"
            interval = 1000 / value if rate else 1000 * value / frames if whole else value
            yield keyword, interval * np.arange(frames)


def _numbers(value: Any) -> list[float]:
    """Return an element's values as finite numbers; none where one is not."""
    if value is None or value == "":
        return []
    values = [value] if isinstance(value, (str, int, float)) or not hasattr(value, "__iter__") else list(value)
    try:
        numbers = [float(item) for item in values]
    except (TypeError, ValueError):
        return []
    return numbers if bool(np.isfinite(numbers).all()) else []
