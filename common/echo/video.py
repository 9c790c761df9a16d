"""Frames of a video file, decoding only those that are asked for."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError

# A header may count one frame more than the file holds (a stream closed early); more is a truncated file.
TOLERATED_MISSING_FRAMES = 1


@dataclass(frozen=True)
class FrameSource:
    """A moving image whose frames are read when they are asked for.

    Attributes:
        frame_count: number of frames, at least 1.
        frame_interval_ms: time between frames, None where the file does not say.
        read: function of frame indices, in any order and with repeats, that returns (N, H, W, 3) uint8 RGB.
    """

    frame_count: int
    frame_interval_ms: float | None
    read: Callable[[Sequence[int]], NDArray[np.uint8]]


def open_video(path: str | os.PathLike[str]) -> FrameSource:
    """Return a video whose wanted frames alone are decoded (as far as its codec allows).

    Where every frame stands for itself (Motion JPEG, as EchoNet and HMC-QU have it), only the wanted frames are
    decoded; otherwise those from the key frame before the first wanted one to the last. Grey videos come as RGB.

    Raises:
        UnusableFileError: if the file is no video, has no frames, or holds fewer than its header says.
    """
    packets, declared, rate, codec = _compressed(path)
    if not packets:
        raise UnusableFileError(f"{path}: expected a video with frames, found none; export it again.")
    if declared - len(packets) > TOLERATED_MISSING_FRAMES:
        raise UnusableFileError(
            f"{path}: expected the {declared} frames of its header, found {len(packets)}: the file is truncated; "
            "copy it again."
        )

    def read(indices: Sequence[int]) -> NDArray[np.uint8]:
        return _decoded(path, packets, codec, indices)

    return FrameSource(len(packets), 1000 / float(rate) if rate else None, read)


def _compressed(path: str | os.PathLike[str]) -> tuple[list[Any], int, Any, Any]:
    """Return the frames in file order, none of them decoded, their declared number, the frame rate and the codec."""
    import av

    try:
        with av.open(os.fspath(path)) as container:
            if not container.streams.video:
                raise UnusableFileError(f"{path}: expected a video stream, found none; choose the echo recording.")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # frames come out as they go in
            packets = [packet for packet in container.demux(stream) if packet.size]
            return packets, stream.frames, stream.average_rate or stream.guessed_rate, stream.codec_context
    except FileNotFoundError:
        raise
    except av.FFmpegError as error:
        raise UnusableFileError(f"{path}: expected a video, found {_reason(error)}; export it again.") from error


def _decoded(path: str | os.PathLike[str], packets: list[Any], codec: Any, indices: Sequence[int]) -> NDArray[np.uint8]:
    import av

    wanted = sorted(set(indices))
    if not wanted or wanted[0] < 0 or wanted[-1] >= len(packets):
        raise ValueError(f"{path}: expected frame indices from 0 to {len(packets) - 1}, found {list(indices)}")
    codec.flush_buffers()
    pictures: dict[int, NDArray[np.uint8]] = {}
    wanted_set = set(wanted)
    try:
        for index, frame in _numbered_frames(packets, codec, wanted):
            if index in wanted_set:
                pictures[index] = frame.to_ndarray(format="rgb24")
            if index >= wanted[-1]:
                break
    except av.FFmpegError as error:
        raise UnusableFileError(f"{path}: expected whole frames, found {_reason(error)}; copy it again.") from error
    missing = [index for index in wanted if index not in pictures]
    if missing:
        raise UnusableFileError(f"{path}: expected whole frames, found frame {missing[0]} damaged; copy it again.")
    return np.stack([pictures[index] for index in indices])


def _numbered_frames(packets: list[Any], codec: Any, wanted: list[int]) -> Iterator[tuple[int, Any]]:
    """Yield (index, frame) for at least the `wanted` indices, in order."""
    if all(packet.is_keyframe for packet in packets):
        for index in wanted:
            for frame in codec.decode(packets[index]):
                yield index, frame
        return
    times = [packet.pts for packet in packets]
    timed = None not in times and len(set(times)) == len(times)
    rank = {time: index for index, time in enumerate(sorted(times))} if timed else {}
    start = _last_key_before(packets, rank, wanted[0]) if timed else 0
    following = 0
    for packet in [*packets[start:], None]:
        for frame in codec.decode(packet):
            index = rank.get(frame.pts, following)
            following = index + 1
            yield index, frame


def _last_key_before(packets: list[Any], rank: dict[int, int], first: int) -> int:
    """Return the position in the file of the last key frame that is shown at or before frame `first`."""
    keys = [place for place, packet in enumerate(packets) if packet.is_keyframe and rank[packet.pts] <= first]
    return keys[-1] if keys else 0


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or type(error).__name__).lower()
