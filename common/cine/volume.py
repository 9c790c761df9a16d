"""Cine cardiac MR as slices over one heart beat, and why some cannot serve."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_low

import numpy as np
from numpy.typing import NDArray

from ..data.motion import FROZEN, NOISY, longest_still, unrest
from ..errors import UnusableFileError

_LOG = logging.getLogger(__name__)
# Fewer frames of a beat may change as much from one to the next as noise does, and miss its end-systole.
_ENOUGH_FRAMES = 8
# A stack from base to apex has 8 to 14 slices; a few of them may show any part of the heart.
_ENOUGH_SLICES = 4
_FROZEN_FRAMES = 4  # fewer in a row may be repeated ones
_CUT = 0.05  # fraction of pixels of the highest value from which on they are cut; 142 real stacks have .02 at most


@dataclass(frozen=True)
class CineSlice:
    """One slice, filmed over one heart beat.

    Attributes:
        number: position along the normal among all slices that were found, from 0.
        frames: (T, H, W) float32.
        affine: (4, 4), from row, column and millimetres along the normal to right-anterior-superior millimetres.
        phases: (T,) when each frame was taken, rising from 0 to below 1 beat; None where the frames are even.
        notes: what was done to the slice.
    """

    number: int
    frames: NDArray[np.float32]
    affine: NDArray[np.float64]
    phases: NDArray | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Cine:
    """A stack of parallel slices.

    Attributes:
        slices: the usable ones, along the normal.
        skipped: number along the normal and reason of each slice that is left out.
        notes: what else was left out or done.
        doubts: why results of these slices are not to be trusted.
    """

    slices: list[CineSlice]
    skipped: list[tuple[int, str]]
    notes: list[str]
    doubts: list[str] = field(default_factory=list)


def check_pixels(frames: Sequence[NDArray] | NDArray) -> None:
    """Check the frames (H, W) of one slice.

    Raises:
        ValueError: if pixels are no numbers, a frame is constant, or all frames are equal.
    """
    bad = sum(int((~np.isfinite(frame)).sum()) for frame in frames if not np.issubdtype(frame.dtype, np.integer))
    if bad:
        raise ValueError(f"{bad} pixels are NaN or infinite")
    constant = [k for k, frame in enumerate(frames) if frame.min() == frame.max()]
    if len(constant) == len(frames):
        raise ValueError("the image is constant (standard deviation 0)")
    if constant:
        raise ValueError(f"frame {constant[0] + 1} of {len(frames)} is constant (standard deviation 0)")
    if all(np.array_equal(frame, frames[0]) for frame in frames[1:]):
        raise ValueError(f"all {len(frames)} frames are equal, nothing moves")


def report(source: Path, cine: Cine) -> Cine:
    """Log what was left out of a patient, what was done and what is doubtful, and return it with its doubts.

    Raises:
        UnusableFileError: if no slice is left.
    """
    # One slice beyond the heart may be still.
    if cine.slices and all(len(part.frames) >= _ENOUGH_FRAMES and unrest(part.frames) > NOISY for part in cine.slices):
        cine.doubts.append("the frames of every slice change from one to the next as noise does, not as a heart")
    still = [longest_still(part.frames) for part in cine.slices]
    if still and all(
        count >= max(_FROZEN_FRAMES, FROZEN * len(part.frames)) for count, part in zip(still, cine.slices, strict=True)
    ):
        cine.doubts.append(f"the picture stands still for {min(still)} frames in a row of every slice, as if frozen")
    cut = np.median([np.mean(part.frames == part.frames.max()) for part in cine.slices] or [0.0])
    if cut > _CUT:
        cine.doubts.append(
            f"{100 * cut:.0f} % of a slice's pixels have its highest value, as if bright blood was cut to it; export "
            "the images without a window"
        )
    usual = median_low([len(part.frames) for part in cine.slices] or [_ENOUGH_FRAMES])
    if usual < _ENOUGH_FRAMES:
        cine.doubts.append(f"only {usual} frames of the beat, expected at least {_ENOUGH_FRAMES}")
    if 0 < len(cine.slices) < _ENOUGH_SLICES:
        cine.doubts.append(f"slices: {len(cine.slices)}, expected a stack from base to apex, 8 to 14")
    if len(cine.skipped) > len(cine.slices) > 0:
        every = len(cine.skipped) + len(cine.slices)
        cine.doubts.append(f"{len(cine.skipped)} of {every} slices could not be used")
    for note in cine.notes + cine.doubts:
        _LOG.warning("%s: %s", source, note)
    for number, reason in cine.skipped:
        _LOG.warning("%s: slice %d skipped: %s", source, number, reason)
    if not cine.slices:
        raise no_usable_slice(source, cine.skipped)
    return cine


def no_usable_slice(source: Path, skipped: list[tuple[int, str]]) -> UnusableFileError:
    """Return the error that lists why every slice of `source` was left out."""
    by_reason: dict[str, list[str]] = {}
    for number, reason in skipped:
        by_reason.setdefault(reason, []).append(str(number))
    reasons = "; ".join(f"slice {', '.join(by_reason[reason])}: {reason}" for reason in list(by_reason)[:5])
    left = len(by_reason) - 5
    more = f"; and {left} more reason{'s' if left > 1 else ''}" if left > 0 else ""
    return UnusableFileError(
        f"{source}: expected at least one whole short-axis slice, found none ({reasons}{more}); export the cine series "
        "of this patient again."
    )
