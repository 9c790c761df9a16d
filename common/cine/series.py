"""Which frames of a study are one cine, their order in time, and where in the heart beat each was taken."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError
from .frames import DAY_MS, CineFrame

SHORT_AXIS = re.compile(r"(?<![a-z])(sax|sa|short[ _-]?axis)(?![a-z])", re.IGNORECASE)
_SAME_POSITION_MM = 0.5
_SAME_DIRECTION = float(np.cos(np.deg2rad(2.0)))
_NO_MAGNITUDE = {"P", "PHASE", "PHASE MAP", "VELOCITY", "VELOCITY MAP", "T1 MAP", "T2 MAP", "T2_STAR MAP", "ECV MAP"}


def short_axis_cine(source: Path, frames: Sequence[CineFrame]) -> tuple[list[CineFrame], list[str]]:
    """Return the frames of the short-axis cine among all series of a patient, and what was left out and why.

    A series is a cine if its frames at one position differ in time alone. Series of one orientation and protocol make
    a stack together. Of several stacks the one named short axis is taken, or else the one with most positions.

    Raises:
        UnusableFileError: if there is no cine.
    """
    stacks: dict[tuple[int, str], list[CineFrame]] = defaultdict(list)
    notes: list[str] = []
    for part in _parallel_parts(frames):
        fault = _no_cine(part)
        if fault:
            notes.append(f"{_named(part)} left out: {fault}")
        else:
            same = (key for key, stack in stacks.items() if key[1] == part[0].protocol and _parallel(part[0], stack[0]))
            stacks[next(same, (len(stacks), part[0].protocol))] += part
    if not stacks:
        raise UnusableFileError(
            f"{source}: expected a cine with at least 2 frames a slice, found {'; '.join(notes)}; choose the cine "
            "series."
        )
    chosen, *others = sorted(stacks.values(), key=_rank)
    for other in others:
        turned = "the same orientation" if _parallel(other[0], chosen[0]) else "another orientation"
        notes.append(
            f"{_named(other)} left out: a cine in {turned}; the one at {len(by_position(chosen))} positions was taken"
        )
    return chosen, notes


def by_position(frames: Sequence[CineFrame]) -> list[list[CineFrame]]:
    """Return the frames grouped by position along the normal of the first, in rising order."""
    normal = frames[0].normal
    depths = sorted((float(normal @ frame.position_mm), k) for k, frame in enumerate(frames))
    positions: list[list[CineFrame]] = []
    last = -np.inf
    for depth, k in depths:
        if depth - last > _SAME_POSITION_MM:
            positions.append([])
        positions[-1].append(frames[k])
        last = depth
    return positions


def _parallel_parts(frames: Sequence[CineFrame]) -> list[list[CineFrame]]:
    """Return the frames of each series, those of one orientation together, in order of the series numbers."""
    parts: dict[tuple[int, str], list[list[CineFrame]]] = defaultdict(list)
    for frame in frames:
        series = parts[frame.series, frame.series_uid]
        for part in series:
            if _parallel(frame, part[0]):
                part.append(frame)
                break
        else:
            series.append([frame])
    return [part for key in sorted(parts) for part in parts[key]]


def _parallel(first: CineFrame, second: CineFrame) -> bool:
    rows = float(np.dot(first.orientation[:3], second.orientation[:3]))
    columns = float(np.dot(first.orientation[3:], second.orientation[3:]))
    return min(rows, columns) > _SAME_DIRECTION


def _no_cine(part: Sequence[CineFrame]) -> str | None:
    """Return why parallel frames of a series are no cine, None if they are one."""
    positions = by_position(part)
    if most_common([len(frames) for frames in positions]) < 2:
        return f"one frame at each of {len(positions)} positions (localiser, late enhancement or map)"
    if any(frame.image_type & _NO_MAGNITUDE for frame in part):
        return "maps or phase images"
    if any(len({frame.contrast for frame in frames}) > 1 for frames in positions):
        return "frames of different inversion or echo times (map)"
    return None


def _rank(stack: Sequence[CineFrame]) -> tuple[bool, bool, int, int, int]:
    """Return what sorts the stacks, the likeliest short-axis cine first."""
    named = any(SHORT_AXIS.search(f"{frame.description} {Path(frame.path).parent.name}") for frame in stack)
    positions = by_position(stack)
    timed = sum(any(_differ(frames, name) for name in AFTER_R_WAVE) for frames in positions)
    return 2 * timed < len(positions), not named, -len(positions), -len(stack), stack[0].series


def _differ(frames: Sequence[CineFrame], name: str) -> bool:
    return len({frame.times[name] for frame in frames if np.isfinite(frame.times[name])}) > 1


def _named(frames: Sequence[CineFrame]) -> str:
    numbers = sorted({frame.series for frame in frames})
    return f"series {', '.join(map(str, numbers))} ({len(frames)} frames at {len(by_position(frames))} positions)"


def most_common(values: Sequence[int]) -> int:
    """Return the value that comes most often; of equally many the largest."""
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value))


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
