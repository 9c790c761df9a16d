"""The order of a slice's frames in time, and where in the heart beat each was taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .frames import DAY_MS, CineFrame

# The only times that are counted from the R wave; the others tell the order alone.
AFTER_R_WAVE = ("trigger time", "trigger delay")
_TIME_MS, _STEP_MS = (-2000.0, 60_000.0), (1.0, 500.0)
# Steps that differ by more than this fraction of the usual one are uneven; less is rounding.
_JITTER = 0.1
# A longer step is not bridged: this fraction of the beat or, where frames are few, this multiple of the usual step.
_LONGEST_GAP, _HOLE = 0.2, 1.6


def in_time(frames: Sequence[CineFrame]) -> tuple[list[CineFrame], str | None]:
    """Return the frames of a slice in order of time and the name of what orders them, None if nothing does.

    The first entry of `times` that every frame has and no two share decides.
    """
    for name in frames[0].times:
        times = np.array([frame.times[name] for frame in frames])
        if np.ptp(times) > DAY_MS / 2:  # over midnight
            times = np.where(times < times.max() - DAY_MS / 2, times + DAY_MS, times)
        if np.isfinite(times).all() and len(np.unique(times)) == len(times):
            return [frames[k] for k in np.argsort(times)], name
    return list(frames), None


def times_ms(frames: Sequence[CineFrame], ordered_by: str | None) -> NDArray | None:
    """Return the times after the R wave, None where the frames were not ordered by them."""
    return np.array([frame.times[ordered_by] for frame in frames]) if ordered_by in AFTER_R_WAVE else None


def beat_ms(times: NDArray) -> float:
    """Return the length of the beat that rising times cover: the last frame lasts as long as the one before it."""
    return float(2 * times[-1] - times[-2] - times[0])


def beat_phases(times: NDArray) -> NDArray | None:
    """Return when in the beat, from 0 to 1, the frames of rising times in ms were taken; None where they are even.

    Raises:
        ValueError: if the times are out of range, or too long a part of the beat has no frame.
    """
    steps = np.diff([*times, times[0] + beat_ms(times)])
    usual, worst = float(np.median(steps)), int(np.argmax(steps))
    if not (_TIME_MS[0] <= times[0] and times[-1] <= _TIME_MS[1] and _STEP_MS[0] <= usual <= _STEP_MS[1]):
        raise ValueError(
            f"trigger times of {times[0]:g} to {times[-1]:g} ms in steps of {usual:g} ms; expected "
            f"{_STEP_MS[0]:g} to {_STEP_MS[1]:g} ms"
        )
    if np.abs(steps - usual).max() <= _JITTER * usual:
        return None
    if steps[worst] > max(_LONGEST_GAP * steps.sum(), _HOLE * usual):
        raise ValueError(
            f"a frame is missing after {times[worst]:.0f} ms (a step of {steps[worst]:.0f} ms, not {usual:.0f})"
        )
    return (times - times[0]) / steps.sum()
