"""The frames of a cine in time: read when asked for, evenly spaced, and which of them make a clip."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError

# Steps within this fraction of their mean are even, if no frame is more than half a step from where it should be.
EVEN, HALF_A_STEP = 0.3, 0.5
# A recording whose time stamps ask for more repeats than this has a pause or a wrong stamp.
MOST_REPEATS = 20


@dataclass(frozen=True)
class FrameSource:
    """A moving image whose frames are read when they are asked for.

    Attributes:
        frame_count: number of frames, at least 1.
        frame_interval_ms: time between frames, None where the file does not say.
        read: function of frame indices, in any order and with repeats, that returns (N, H, W, 3) uint8 RGB.
        pixel_aspect: width of a pixel over its height.
        rate_source: what the time between frames was taken from.
        notes: in words, what was done to the file's frames.
        doubts: in words, what speaks against believing a result.
    """

    frame_count: int
    frame_interval_ms: float | None
    read: Callable[[Sequence[int]], NDArray[np.uint8]]
    pixel_aspect: float = 1.0
    rate_source: str = ""
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def noting(self, notes: Sequence[str] = (), doubts: Sequence[str] = ()) -> "FrameSource":
        """Return the same frames with more said about them."""
        return replace(self, notes=(*self.notes, *notes), doubts=(*self.doubts, *doubts))


def source_of(
    frames: NDArray[np.uint8], interval_ms: float | None, rate_source: str, pixel_aspect: float = 1.0
) -> FrameSource:
    """Return (T, H, W, 3) frames that are in memory as a source."""

    def read(indices: Sequence[int]) -> NDArray[np.uint8]:
        return frames[list(indices)]

    return FrameSource(len(frames), interval_ms, read, pixel_aspect, rate_source)


def on_even_time(
    cine: FrameSource, times_ms: NDArray[np.float64], path: str | os.PathLike[str], step_ms: float | None = None
) -> FrameSource:
    """Return a cine with a frame at every step in time: the nearest one, the earlier of two that are equally near.

    A cine whose frames are even already comes back as it is.

    Args:
        cine: frames that follow one another unevenly, or with gaps where some were dropped.
        times_ms: of each frame, never decreasing.
        path: file that the errors name.
        step_ms: step of the recording, if the file names one; otherwise the smallest common one.

    Raises:
        UnusableFileError: if the time stamps leave gaps that no recording has.
    """
    steps = np.diff(times_ms)
    if len(steps) < 1 or is_even(times_ms):
        return cine
    step = step_ms or float(np.percentile(steps[steps > 0], 10, method="lower"))
    count = round(float(times_ms[-1] - times_ms[0]) / step) + 1
    if count > MOST_REPEATS * len(times_ms):
        raise UnusableFileError(
            f"{path}: expected time stamps of one recording, found steps from {steps.min():.3g} to "
            f"{steps.max():.3g} ms; export the recording again, without pauses."
        )
    frames = _nearest(times_ms, times_ms[0] + step * np.arange(count))
    repeated = count - len(set(frames.tolist()))

    def read(indices: Sequence[int]) -> NDArray[np.uint8]:
        return cine.read([int(frames[index]) for index in indices])

    even = replace(cine, frame_count=count, frame_interval_ms=step, read=read)
    note = (
        f"frames were taken every {step:.4g} ms by their time stamps, which lie {steps.min():.3g} to "
        f"{steps.max():.3g} ms apart; {repeated} of {count} are repeats"
    )
    return even.noting([note])


def is_even(times_ms: NDArray[np.float64]) -> bool:
    """Return whether frames follow one another so evenly that counting them tells the time."""
    step = float(times_ms[-1] - times_ms[0]) / (len(times_ms) - 1)
    straight = times_ms[0] + step * np.arange(len(times_ms))
    off_step, off_time = np.abs(np.diff(times_ms) - step).max(), np.abs(times_ms - straight).max()
    return step <= 0 or bool(off_step <= EVEN * step and off_time <= HALF_A_STEP * step)


def _nearest(times: NDArray[np.float64], slots: NDArray[np.float64]) -> NDArray[np.intp]:
    after = np.clip(np.searchsorted(times, slots), 1, len(times) - 1)
    before_is_nearer = slots - times[after - 1] <= times[after] - slots + 1e-6
    return np.where(before_is_nearer, after - 1, after)


def start_positions(frame_count: int, frames: int, stride: int) -> int:
    """Return how many first frames a clip may have, from 0 on: f - (frames - 1) * stride, at least `stride`.

    A video shorter than frames * stride counts as if it had as many: its clip ends with black frames.

    References:
        the published code of EchoNet-Dynamic and CoReEcho (36 frames, stride 4: f - 140 positions)
    """
    return max(frame_count, frames * stride) - (frames - 1) * stride


def milliseconds_or_none(value: float | str | None) -> float | None:
    """Return a stride in milliseconds, None for None, 0, "none" and "null": the stride counts frames then.

    Raises:
        ValueError: for other words, and for numbers below 0.
    """
    if value is None or str(value).strip().lower() in ("", "none", "null", "0", "0.0"):
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"stride_ms: expected milliseconds over 0, or none, found {value!r}")
    return number


def stride_in_frames(stride: int, stride_ms: float | None, frame_interval_ms: float | None) -> int:
    """Return the stride in frames: `stride`, or the whole number of frames nearest to `stride_ms`, at least 1.

    Raises:
        ValueError: if a stride in milliseconds is asked for and the frame rate is unknown.
    """
    if stride_ms is None:
        return stride
    if frame_interval_ms is None:
        raise ValueError("stride_ms: expected a cine with a frame rate, found none; set stride_ms to 0.")
    return max(1, round(stride_ms / frame_interval_ms))


def clip_indices(frame_count: int, start: int, frames: int, stride: int) -> list[int]:
    """Return the frames of a clip from frame `start` on that the cine has."""
    return [index for index in range(start, start + frames * stride, stride) if index < frame_count]


def evenly_spread(positions: int, clips: int) -> list[int]:
    """Return `clips` starts from the first to the last of `positions`; one clip starts in the middle."""
    if clips == 1:
        return [(positions - 1) // 2]
    return [round(share * (positions - 1) / (clips - 1)) for share in range(clips)]
