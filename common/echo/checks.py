"""Whether a cine can be a beating heart at all: content, range, motion and time, before a network sees it."""

import os
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ..data.frame_timing import POSSIBLE_INTERVAL_MS
from ..data.motion import NOISY, unrest
from ..errors import UnusableFileError

# Grey levels from 0 to 255. A pixel above LIT shows something, one above WHITE is saturated.
BLACK, LIT, WHITE, CHANGE = 10, 10, 250, 3
LEAST_FRAMES = 5
LEAST_SIDE_PX = 24  # the smallest public recordings have 112
# Rows and columns that tell enough; larger frames are looked at in every n-th.
ENOUGH_PIXELS = 200
# Fractions of the pixels (or, of moving ones, of those that are lit): refused beyond the first, doubtful the second.
EMPTY = (0.01, 0.05)
SATURATED = (0.5, 0.25)
STILL = (0.02, 0.2)
BLACK_FRAMES = 0.05
# The brightest pixels, of 255: a range of 0 to 1 or of 12 bits, or a gain that was turned down, is none of an export.
FAINT = (0.12, 0.35)
# Of a frozen picture: pixels that move from frame to frame, and frames in a row.
STILL_STEP, FROZEN = 0.002, 0.25
COLOURED, COLOURFUL = 40, 0.05
# A beat at 150 a minute; from 10 frames a second on the valves' and walls' motion is lost.
SHORTEST_BEAT_MS, SLOWEST_INTERVAL_MS = 400.0, 100.0


def check_length(frame_count: int, path: str | os.PathLike[str]) -> None:
    """Refuse a cine of too few frames to show a motion.

    Raises:
        UnusableFileError: if there are fewer than LEAST_FRAMES.
    """
    if frame_count < LEAST_FRAMES:
        raise UnusableFileError(
            f"{path}: expected a cine of at least {LEAST_FRAMES} frames, found {frame_count}; choose the moving loop "
            "of at least one heart beat."
        )


def check_interval(interval_ms: float | None, path: str | os.PathLike[str], remedy: str) -> float:
    """Return the time between frames if a scanner can have it.

    Raises:
        UnusableFileError: if it is missing or impossible (seconds for milliseconds, say); it ends in `remedy`.
    """
    low, high = POSSIBLE_INTERVAL_MS
    if interval_ms is None:
        raise UnusableFileError(f"{path}: expected a cine with a frame rate, found none; {remedy}.")
    if not low <= interval_ms <= high:
        raise UnusableFileError(
            f"{path}: expected {low:g} to {high:g} ms from frame to frame, found {interval_ms:g}; correct the frame "
            f"rate, or {remedy}."
        )
    return interval_ms


def time_doubts(frame_count: int, interval_ms: float | None) -> list[str]:
    """Return what speaks against the time that a cine covers, in words."""
    if interval_ms is None:
        return []
    doubts, covered = [], frame_count * interval_ms
    if covered < SHORTEST_BEAT_MS:
        doubts.append(f"it covers {covered:.0f} ms, less than a heart beat")
    if interval_ms > SLOWEST_INTERVAL_MS or interval_ms < POSSIBLE_INTERVAL_MS[0]:
        doubts.append(f"its frame rate of {1000 / interval_ms:.3g} a second is not that of an echo recording")
    return doubts


def check_content(frames: NDArray[np.uint8], path: str | os.PathLike[str]) -> list[str]:
    """Return what is doubtful about the frames, in words; [] if they look like an echo recording.

    Args:
        frames: (T, H, W, 3), RGB, those that the network is about to see, each once.
        path: file that the errors name.

    Raises:
        UnusableFileError: if they are smaller than LEAST_SIDE_PX, black, nearly empty, faint, saturated, of one grey
            level, or still.
    """
    if min(frames.shape[1:3]) < LEAST_SIDE_PX:
        raise UnusableFileError(
            f"{path}: expected a picture of at least {LEAST_SIDE_PX} x {LEAST_SIDE_PX} pixels, found "
            f"{frames.shape[2]} x {frames.shape[1]}; export the recording in its own size."
        )
    step = max(1, min(frames.shape[1:3]) // ENOUGH_PIXELS)
    frames = frames[:, ::step, ::step]
    grey = frames.mean(axis=3, dtype=np.float32)
    lit = grey.max(axis=0) > LIT
    doubts = _measured(
        path,
        (
            (float(lit.mean()), EMPTY, np.less, "a picture of the heart", "lit pixels only"),
            (float(np.percentile(grey, 99.9)) / 255, FAINT, np.less, "grey levels to 255", "of them used"),
            (float((grey > WHITE).mean()), SATURATED, np.greater, "grey levels", "saturated pixels"),
        ),
    )
    if float(np.ptp(grey, axis=(1, 2)).max()) <= BLACK:
        raise UnusableFileError(f"{path}: expected a picture of the heart, found frames of one grey level; {_REMEDY}.")
    moving = np.ptp(grey, axis=0)[lit] > CHANGE
    doubts += _measured(
        path, ((float(moving.mean()), STILL, np.less, "a moving heart", "of the picture moving: it stands still"),)
    )
    longest = _longest_still(grey[:, lit])
    if longest >= max(LEAST_FRAMES, FROZEN * len(grey)):
        doubts.append(f"it stands still from frame to frame for {longest} frames in a row")
    if _darkest_corner(grey) > float(grey.mean()) + BLACK:
        doubts.append("its corners are brighter than its picture, as if black and white were exchanged")
    if unrest(grey) > NOISY:
        doubts.append("it changes from frame to frame as noise does, not as a moving heart")
    black = float((grey.max(axis=(1, 2)) <= BLACK).mean())
    if black > BLACK_FRAMES:
        doubts.append(f"{black:.0%} of its frames are black")
    colour = np.ptp(frames, axis=3)[:, lit] > COLOURED
    if float(colour.mean()) > COLOURFUL:
        doubts.append(f"{colour.mean():.0%} of the picture is coloured, as color Doppler is")
    return doubts


def _longest_still(lit: NDArray[np.float32]) -> int:
    """Return how many frames (T, N) in a row show the same; a single one does not count."""
    moves = (np.abs(np.diff(lit, axis=0)) > CHANGE).mean(axis=1) >= STILL_STEP
    steps = max((len(list(run)) for moving, run in groupby(moves) if not moving), default=0)
    return steps + 1 if steps else 0


def _darkest_corner(grey: NDArray[np.float32]) -> float:
    """Return the mean grey level of the darkest corner of the frames: outside a sector all four are black."""
    rows, columns = (max(1, size // 16) for size in grey.shape[1:])
    ends = [(slice(None, rows), slice(-rows, None)), (slice(None, columns), slice(-columns, None))]
    return min(float(grey[:, row, column].mean()) for row in ends[0] for column in ends[1])


_REMEDY = "choose the apical four-chamber loop, in grey levels from 0 to 255"
_Measure = tuple[float, tuple[float, float], Callable[[float, float], bool], str, str]


def _measured(path: str | os.PathLike[str], measures: Sequence[_Measure]) -> list[str]:
    """Return the doubtful fractions in words, and refuse the impossible ones."""
    doubts = []
    for value, (refused, doubtful), beyond, wanted, found in measures:
        if beyond(value, refused):
            raise UnusableFileError(f"{path}: expected {wanted}, found {value:.1%} {found}; {_REMEDY}.")
        if beyond(value, doubtful):
            doubts.append(f"{value:.1%} {found}")
    return doubts
