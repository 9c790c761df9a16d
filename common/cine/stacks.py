"""Which DICOM frames make a section, which sections a stack, and in which order."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import UnusableFileError
from .frames import CineFrame
from .volume import no_usable_section, report_skipped

_Value = TypeVar("_Value", int, tuple[int, int])
_LOG = logging.getLogger(__name__)
_SAME_PLACE_MM = 0.5
_SAME_DIRECTION = float(np.cos(np.deg2rad(2.0)))
# A step between frames above this multiple of the usual step is a hole; triggered frames jitter by rounding only.
_HOLE = 1.6


@dataclass(frozen=True)
class SectionStack:
    """The usable sections of a patient along the normal, each with its frames in order of time.

    `numbers` are the indices of the usable sections among all sections found.
    """

    sections: list[list[CineFrame]]
    numbers: list[int]
    spacing_mm: tuple[float, float, float]
    skipped: list[tuple[int, str]]


def arrange_sections(source: Path, frames: Sequence[CineFrame]) -> SectionStack:
    """Return the sections of the largest parallel stack among `frames`, sorted along the normal.

    Frames are grouped by orientation and position, and within a place by acquisition, of which the latest whole one
    is kept. A section with a frame missing, unreadable pixels, or another matrix size than most is left out.

    Raises:
        UnusableFileError: if no section is usable.
    """
    distinct = list({frame.instance_uid or frame.path: frame for frame in frames}.values())
    places = _places(_largest_stack(source, distinct))
    acquisitions = [_acquisitions(place) for place in places]
    count = _most_common([len(frames) for place in acquisitions for frames in place])
    if count < 2:
        raise UnusableFileError(
            f"{source}: expected a cine with at least 2 frames a section, found one frame at each of "
            f"{len(places)} positions; choose the cine series."
        )
    chosen = [_latest(source, number, place, count) for number, place in enumerate(acquisitions)]
    shape = _most_common([frame.shape for section in chosen for frame in section])
    faults = [section_fault(section, count, shape) for section in chosen]
    skipped = [(number, fault) for number, fault in enumerate(faults) if fault]
    numbers = [number for number, fault in enumerate(faults) if not fault]
    if not numbers:
        report_skipped(source, skipped)
        raise no_usable_section(source, skipped)
    return SectionStack([chosen[k] for k in numbers], numbers, _spacing(source, chosen), skipped)


def section_fault(frames: Sequence[CineFrame], count: int, shape: tuple[int, int] | None = None) -> str | None:
    """Return why a section of frames in order of time cannot serve, or None.

    Args:
        frames: of one section.
        count: frames that a section has.
        shape: matrix size that most sections have, if known.
    """
    for frame in frames:
        if frame.fault:
            return f"{Path(frame.path).name}: {frame.fault}"
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1:
        return f"mixed matrix sizes {sorted(shapes)}"
    if shape is not None and shapes != {shape}:
        return f"matrix size {frames[0].shape} instead of {shape} as in most sections"
    if len({frame.pixel_spacing_mm for frame in frames}) > 1:
        return "mixed pixel spacings"
    if len(frames) != count:
        return f"{len(frames)} frames instead of {count} as in most sections"
    return _hole(frames)


def _largest_stack(source: Path, frames: Sequence[CineFrame]) -> list[CineFrame]:
    """Return the frames of the orientation with most positions: the short axis, where long-axis views lie beside."""
    stacks: list[list[CineFrame]] = []
    for frame in frames:
        for stack in stacks:
            if _parallel(frame, stack[0]):
                stack.append(frame)
                break
        else:
            stacks.append([frame])
    stacks.sort(key=lambda stack: (-len(_places(stack)), -len(stack), stack[0].series))
    for other in stacks[1:]:
        _LOG.warning(
            "%s: %d files at %d positions in another orientation are left out; the stack of %d positions is kept",
            source,
            len(other),
            len(_places(other)),
            len(_places(stacks[0])),
        )
    return stacks[0]


def _parallel(first: CineFrame, second: CineFrame) -> bool:
    rows = float(np.dot(first.orientation[:3], second.orientation[:3]))
    columns = float(np.dot(first.orientation[3:], second.orientation[3:]))
    return min(rows, columns) > _SAME_DIRECTION


def _places(frames: Sequence[CineFrame]) -> list[list[CineFrame]]:
    """Return the frames grouped by position along the normal of the first, in growing order."""
    normal = frames[0].normal
    depths = sorted((float(normal @ frame.position_mm), k) for k, frame in enumerate(frames))
    places: list[list[CineFrame]] = []
    last = -np.inf
    for depth, k in depths:
        if depth - last > _SAME_PLACE_MM:
            places.append([])
        places[-1].append(frames[k])
        last = depth
    return places


def _acquisitions(place: Sequence[CineFrame]) -> list[list[CineFrame]]:
    """Return the frames at one position, one list a repetition, the latest last, each sorted by time."""
    series: dict[tuple[int, str], list[CineFrame]] = defaultdict(list)
    for frame in place:
        series[frame.series, frame.series_uid].append(frame)
    found: list[list[CineFrame]] = []
    for key in sorted(series):
        frames = series[key]
        # Some scanners number every frame as an acquisition: split only where the same time comes twice.
        times = [frame.trigger_time_ms for frame in frames]
        if None not in times and 1 < len(set(times)) < len(times):
            by_acquisition: dict[int, list[CineFrame]] = defaultdict(list)
            for frame in frames:
                by_acquisition[frame.acquisition].append(frame)
            found += [by_acquisition[number] for number in sorted(by_acquisition)]
        else:
            found.append(frames)
    return [_in_time(frames) for frames in found]


def _in_time(frames: list[CineFrame]) -> list[CineFrame]:
    times = {frame.trigger_time_ms for frame in frames}
    if None in times or len(times) < len(frames):
        return sorted(frames, key=lambda frame: frame.instance)
    return sorted(frames, key=lambda frame: (time_ms(frame), frame.instance))


def _latest(source: Path, number: int, acquisitions: list[list[CineFrame]], count: int) -> list[CineFrame]:
    whole = [frames for frames in acquisitions if not section_fault(frames, count)]
    chosen = (whole or acquisitions)[-1]
    if len(acquisitions) > 1:
        _LOG.warning(
            "%s: section %d was acquired %d times; kept the latest whole one (series %d, acquisition %d)",
            source,
            number,
            len(acquisitions),
            chosen[0].series,
            chosen[0].acquisition,
        )
    return chosen


def _hole(frames: Sequence[CineFrame]) -> str | None:
    steps = np.diff([time_ms(frame) for frame in frames])
    if len(steps) < 3 or not bool((steps > 0).all()):
        return None
    usual = float(np.median(steps))
    worst = int(np.argmax(steps))
    if steps[worst] <= _HOLE * usual:
        return None
    return (
        f"a frame is missing after {time_ms(frames[worst]):.0f} ms (a step of {steps[worst]:.0f} ms, not {usual:.0f})"
    )


def _spacing(source: Path, sections: Sequence[Sequence[CineFrame]]) -> tuple[float, float, float]:
    first = sections[0][0]
    if len(sections) == 1:
        return (*first.pixel_spacing_mm, thickness_mm(source, first))
    depths = [float(first.normal @ section[0].position_mm) for section in sections]
    steps = np.diff(depths)
    between = float(np.median(steps))
    if float(np.abs(steps - between).max()) > 0.1 * between:
        _LOG.warning(
            "%s: sections are %.1f to %.1f mm apart; the median %.1f mm is used",
            source,
            steps.min(),
            steps.max(),
            between,
        )
    return (*first.pixel_spacing_mm, between)


def thickness_mm(source: Path, frame: CineFrame) -> float:
    """Return the slice thickness, which stands for the distance between sections where there is only one.

    Raises:
        UnusableFileError: if the header has none.
    """
    if frame.thickness_mm is None:
        raise UnusableFileError(
            f"{source}: expected a slice thickness (0018,0050) beside a single section, found none; "
            "give a series with several sections."
        )
    return frame.thickness_mm


def _most_common(values: Sequence[_Value]) -> _Value:
    """Return the value that comes most often; of equally many the largest."""
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value))


def time_ms(frame: CineFrame) -> float:
    """Return the trigger time, NaN if the header has none."""
    return float("nan") if frame.trigger_time_ms is None else frame.trigger_time_ms
