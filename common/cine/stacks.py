"""Which DICOM frames make a slice, which slices a stack, and in which order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError
from .frames import CineFrame
from .series import beat_ms, beat_phases, by_position, in_time, most_common, short_axis_cine, times_ms
from .volume import no_usable_slice

_REPEATED = ("trigger time", "trigger delay", "temporal position")
_SLICE_DISTANCE_MM = (0.5, 200.0)
# A slice that covers less than this fraction of the beat of most slices broke off; one of more than its inverse was
# filmed over several beats.
_WHOLE_BEAT = 0.6


@dataclass(frozen=True)
class SliceFrames:
    """The frames of one slice in order of time.

    `number` counts along the normal from 0 and includes the slices that are left out; `phases` are as `CineSlice` has
    them.
    """

    number: int
    frames: list[CineFrame]
    phases: NDArray | None
    notes: list[str]


@dataclass(frozen=True)
class Stack:
    """The usable slices of a patient along the normal, and why results of them are not to be trusted."""

    slices: list[SliceFrames]
    skipped: list[tuple[int, str]]
    notes: list[str]
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Usual:
    """What most slices have: frames, matrix size, and the length of the beat where it is known."""

    count: int
    shape: tuple[int, int]
    beat_ms: float


def arrange_slices(source: Path, frames: Sequence[CineFrame]) -> Stack:
    """Return the slices of the short-axis cine among `frames`, sorted along the normal.

    Within a position the frames are grouped by acquisition, of which the latest whole one is kept. A slice whose frames
    nothing orders, that has a hole in the beat, unreadable pixels, or another matrix size than most is left out.

    Raises:
        UnusableFileError: if there is no cine or no usable slice.
    """
    distinct = list({(frame.instance_uid or frame.path, frame.index): frame for frame in frames}.values())
    cine, notes = short_axis_cine(source, distinct)
    positions = by_position(cine)
    _check_distances(source, positions, notes)
    repeated = [_acquisitions(frames) for frames in positions]
    usual = _usual([frames for acquisitions in repeated for frames in acquisitions])
    slices, skipped = [], []
    for number, acquisitions in enumerate(repeated):
        chosen = _latest_whole(acquisitions, usual)
        if len(acquisitions) > 1:
            notes.append(
                f"slice {number} was acquired {len(acquisitions)} times; the latest whole one was taken (series "
                f"{chosen[0].series}, acquisition {chosen[0].acquisition})"
            )
        try:
            slices.append(_slice(number, chosen, usual))
        except ValueError as fault:
            skipped.append((number, str(fault)))
    if not slices:
        raise no_usable_slice(source, skipped)
    return Stack(slices, skipped, notes)


def _acquisitions(position: Sequence[CineFrame]) -> list[list[CineFrame]]:
    """Return the frames at one position, one list a repetition, the latest last."""
    series: dict[tuple[int, str], list[CineFrame]] = defaultdict(list)
    for frame in position:
        series[frame.series, frame.series_uid].append(frame)
    found: list[list[CineFrame]] = []
    for key in sorted(series):
        # Some scanners number every frame as an acquisition: split only where the same time comes twice.
        times = [[frame.times[name] for frame in series[key]] for name in _REPEATED]
        if any(1 < len(set(values)) < len(values) for values in times):
            repeated: dict[int, list[CineFrame]] = defaultdict(list)
            for frame in series[key]:
                repeated[frame.acquisition].append(frame)
            found += [repeated[number] for number in sorted(repeated)]
        else:
            found.append(series[key])
    return found


def _usual(acquisitions: Sequence[Sequence[CineFrame]]) -> _Usual:
    count = most_common([len(frames) for frames in acquisitions])
    shapes = [frame.shape for frames in acquisitions for frame in frames]
    times = (times_ms(*in_time(frames)) for frames in acquisitions if len(frames) == count)
    beats = [beat_ms(known) for known in times if known is not None]
    return _Usual(count, max(sorted(set(shapes)), key=shapes.count), float(np.median(beats)) if beats else float("nan"))


def _latest_whole(acquisitions: list[list[CineFrame]], usual: _Usual) -> list[CineFrame]:
    """Return the last acquisition that has as many frames as most slices and no fault, else the last."""
    for frames in reversed(acquisitions):
        try:
            if len(_slice(0, frames, usual).frames) >= usual.count:
                return frames
        except ValueError:
            continue
    return acquisitions[-1]


def _slice(number: int, frames: list[CineFrame], usual: _Usual) -> SliceFrames:
    """Return a slice with its frames in order of time.

    Raises:
        ValueError: if the frames cannot serve.
    """
    _check_alike(frames, usual)
    ordered, ordered_by = in_time(frames)
    if ordered_by is None:
        raise ValueError(
            f"nothing orders its {len(frames)} frames: {', '.join(frames[0].times)} are missing or equal in the headers"
        )
    times = times_ms(ordered, ordered_by)
    whole = len(frames) / usual.count
    if times is not None and len(times) > 1 and np.isfinite(usual.beat_ms):
        whole = beat_ms(times) / usual.beat_ms
    if len(frames) < 2 or not _WHOLE_BEAT <= whole <= 1 / _WHOLE_BEAT:
        raise ValueError(f"{len(frames)} frames instead of {usual.count} as in most slices, not one whole beat")
    phases = None if times is None else beat_phases(times)
    notes = [f"frames in order of {ordered_by}"] if times is None else []
    notes += [] if phases is None else ["frames at uneven times, resampled by their trigger times"]
    notes += [] if len(frames) == usual.count else [f"{len(frames)} frames, {usual.count} in most slices; resampled"]
    return SliceFrames(number, ordered, phases, notes)


def _check_alike(frames: Sequence[CineFrame], usual: _Usual) -> None:
    for frame in frames:
        if frame.fault:
            raise ValueError(f"{frame.path}: {frame.fault}")
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1:
        raise ValueError(f"mixed matrix sizes {sorted(shapes)}")
    if shapes != {usual.shape}:
        raise ValueError(f"matrix size {frames[0].shape} instead of {usual.shape} as in most slices")
    if len({frame.pixel_spacing_mm for frame in frames}) > 1:
        raise ValueError("mixed pixel spacings")


def _check_distances(source: Path, positions: Sequence[Sequence[CineFrame]], notes: list[str]) -> None:
    """Note uneven distances between slices.

    Raises:
        UnusableFileError: if they are not those of slices of a heart.
    """
    normal = positions[0][0].normal
    steps = np.diff([float(normal @ frames[0].position_mm) for frames in positions])
    if not len(steps):
        return
    low, high = _SLICE_DISTANCE_MM
    between = float(np.median(steps))
    if not low <= between <= high:
        raise UnusableFileError(
            f"{source}: expected slices {low:g} to {high:g} mm apart (0020,0032), found {between:g} mm; export the "
            "series again."
        )
    if float(np.abs(steps - between).max()) > 0.1 * between:
        notes.append(f"slices are {steps.min():.1f} to {steps.max():.1f} mm apart, {between:.1f} mm for the most part")
