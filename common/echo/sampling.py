"""Which frames of a video make a clip, by the published sampling rules."""

import math
import sys
from collections.abc import Mapping
from typing import Any


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


def trained_stride_ms(settings: Mapping[str, Any]) -> float | None:
    """Return the stride in milliseconds of the weights' settings.

    MONAI's command line drops a setting whose value is None; None is returned where `--stride_ms` was given so.
    """
    given = any(word.split("=")[0] == "--stride_ms" for word in sys.argv)
    return None if given else settings.get("stride_ms")


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
