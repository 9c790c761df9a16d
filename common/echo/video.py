"""Frames of a video file as FFmpeg shows them: in presentation order, upright, without those an edit list hides."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.integrity import check_kind
from ..errors import UnusableFileError
from .frames import FrameSource, on_even_time

# A header may count one frame more than the file holds (a stream closed early); more is a truncated file.
TOLERATED_MISSING_FRAMES = 1
# Codecs in which every packet is one frame that a decoder gives at once; others are decoded from the start.
SINGLE_FRAME_CODECS = {"mjpeg", "rawvideo", "png"}
# Steps in time by header and by time stamps within this fraction of one another agree.
AGREEING = 0.1
# Formats that FFmpeg may take the file for: no playlists, which would open other files.
FORMATS = "avi,mov,matroska,webm,mpeg,mpegts,mpegvideo,asf,gif,flv,ogg,mjpeg,dv"
_UNIT = 1 << 16  # display matrices hold numbers with 16 bits after the point
_REMEDY = "copy it again, or export it again"


class _Stream(NamedTuple):
    """What the container says, with nothing decoded.

    Attributes:
        packets: in file order, not empty.
        codec: decodes them.
        container: FFmpeg's name of its format.
        each_alone: whether each packet is one whole frame that the codec gives at once.
        declared: number of frames by the header, 0 if it says none.
        rate: frames a second by the header.
        time_base: seconds of one tick of the time stamps.
        pixel_aspect: width of a pixel over its height.
    """

    packets: list[Any]
    codec: Any
    container: str
    each_alone: bool
    declared: int
    rate: float
    time_base: float
    pixel_aspect: float


def open_video(path: str | os.PathLike[str]) -> FrameSource:
    """Return a video whose wanted frames alone are kept, at even steps in time.

    Where every frame stands for itself (Motion JPEG in AVI, as EchoNet and HMC-QU have it), only the wanted frames are
    decoded; otherwise all up to the last one. Grey videos come as RGB. A display matrix (rotation, mirroring) is
    applied; where time stamps are uneven or frames were dropped, the nearest frame is repeated.

    Raises:
        UnusableFileError: if the file is no video, has no frames, is damaged, or holds fewer frames than its header
            says.
    """
    stream = _compressed(path)
    if not stream.packets:
        raise UnusableFileError(f"{path}: expected a video with frames, found none; {_REMEDY}.")
    turned = False
    if stream.each_alone:
        stamps = [packet.pts for packet in stream.packets]
    else:
        stamps = []
        for frame in _decoded(path):
            stamps.append(frame.pts)
            turned = turned or not np.array_equal(_orientation(frame, path), np.eye(2))
    if not stamps:
        raise UnusableFileError(f"{path}: expected a video with frames, found none that is whole; {_REMEDY}.")
    times = _times_ms(stamps, stream)
    interval = 1000 / stream.rate if stream.rate else None
    _check_whole(path, stream, times, interval)

    def read(indices: Sequence[int]) -> NDArray[np.uint8]:
        return _pictures(path, stream, indices, len(stamps))

    cine = FrameSource(len(stamps), interval, read, stream.pixel_aspect, "time stamps of the video" if interval else "")
    cine = cine.noting(["turned upright as its display matrix says"] if turned else [])
    return cine if times is None else _timed(cine, times, path)


def _compressed(path: str | os.PathLike[str]) -> _Stream:
    import av

    check_kind(path, "a video")
    try:
        with open(path, "rb") as file, _opened(file) as container:
            if not container.streams.video:
                raise UnusableFileError(f"{path}: expected a video stream, found none; choose the echo recording.")
            stream = container.streams.video[0]
            codec = stream.codec_context
            if codec is None:
                raise UnusableFileError(f"{path}: expected a video in a known codec, found another; {_REMEDY}.")
            codec.thread_count = 1  # frames come out as they go in
            packets = [packet for packet in container.demux(stream) if packet.size]
            name = container.format.name
            each_alone = name == "avi" and codec.name in SINGLE_FRAME_CODECS
            if each_alone and packets and packets[-1].is_corrupt:
                packets.pop()  # the file ends in the middle of it
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            aspect = float(stream.sample_aspect_ratio or 0) or 1.0
            time_base = float(stream.time_base or 0)
            return _Stream(packets, codec, name, each_alone, stream.frames, rate, time_base, aspect)
    except av.FFmpegError as error:
        raise UnusableFileError(f"{path}: expected a video, found {_reason(error)}; {_REMEDY}.") from None


def _opened(file: Any) -> Any:
    """Open a file that Python opened: FFmpeg takes a name such as 10:30.avi for a protocol. Titles are not needed."""
    import av

    return av.open(file, "r", metadata_errors="ignore", options={"format_whitelist": FORMATS})


def _decoded(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Yield the frames of a video in the order in which they are shown."""
    import av

    count = 0
    try:
        with open(path, "rb") as file, _opened(file) as container:
            for frame in container.decode(container.streams.video[0]):
                if frame.is_corrupt:
                    raise UnusableFileError(f"{path}: expected whole frames, found frame {count} damaged; {_REMEDY}.")
                yield frame
                count += 1
    except av.FFmpegError as error:
        raise UnusableFileError(
            f"{path}: expected whole frames, found {_reason(error)} after frame {count}; {_REMEDY}."
        ) from None


def _times_ms(stamps: list[int | None], stream: _Stream) -> NDArray[np.float64] | None:
    """Return the time of each frame in the order shown, None where the stamps do not tell.

    An AVI file has no stamps: the place of a chunk is its time, an empty chunk a dropped frame. An MPEG program stream
    stamps some frames only and has one frame rate.
    """
    if stream.container == "avi" and len(stream.packets) == len(stamps):
        stamps = [packet.dts for packet in stream.packets]
    known = [stamp for stamp in stamps if stamp is not None]
    if stream.container == "mpeg" or len(set(known)) < len(stamps) or not stream.time_base:
        return None
    return np.sort(np.asarray(known, np.float64)) * stream.time_base * 1000


def _timed(cine: FrameSource, times: NDArray[np.float64], path: str | os.PathLike[str]) -> FrameSource:
    """Return the cine at even steps; at those of the header, if they are also those of the time stamps."""
    steps = np.diff(times)
    if not len(steps):
        return cine
    common, header = float(np.percentile(steps, 10, method="lower")), cine.frame_interval_ms
    if header is None or abs(header / common - 1) > AGREEING:
        cine = replace(cine, frame_interval_ms=float(steps.mean()), rate_source="time stamps of the video")
        return on_even_time(cine, times, path)
    return on_even_time(cine, times, path, header)


def _check_whole(
    path: str | os.PathLike[str], stream: _Stream, times: NDArray[np.float64] | None, interval: float | None
) -> None:
    """Refuse a file that ends early; frames that were dropped on the way leave their gap in the time stamps."""
    reached = len(stream.packets)
    if times is not None and interval:
        reached = max(reached, round(float(times[-1]) / interval) + 1)
    if stream.declared - reached > TOLERATED_MISSING_FRAMES:
        raise UnusableFileError(
            f"{path}: expected the {stream.declared} frames of its header, found {reached}: the file is truncated; "
            f"{_REMEDY}."
        )


def _pictures(path: str | os.PathLike[str], stream: _Stream, indices: Sequence[int], count: int) -> NDArray[np.uint8]:
    wanted = sorted(set(indices))
    if not wanted or wanted[0] < 0 or wanted[-1] >= count:
        raise ValueError(f"{path}: expected frame indices from 0 to {count - 1}, found {list(indices)}")
    wanted_set = set(wanted)
    pictures: dict[int, NDArray[np.uint8]] = {}
    for index, frame in _alone(path, stream, wanted) if stream.each_alone else enumerate(_decoded(path)):
        if index in wanted_set:
            pictures[index] = _upright(frame.to_ndarray(format="rgb24"), _orientation(frame, path))
        if index >= wanted[-1]:
            break
    missing = [index for index in wanted if index not in pictures]
    if missing:
        raise UnusableFileError(f"{path}: expected whole frames, found frame {missing[0]} damaged; {_REMEDY}.")
    if len({picture.shape for picture in pictures.values()}) > 1:
        raise UnusableFileError(f"{path}: expected frames of one size, found several; {_REMEDY}.")
    return np.stack([pictures[index] for index in indices])


def _alone(path: str | os.PathLike[str], stream: _Stream, wanted: list[int]) -> Iterator[tuple[int, Any]]:
    """Yield (index, frame) of the `wanted` frames, decoding no other."""
    import av

    stream.codec.flush_buffers()
    try:
        for index in wanted:
            for frame in stream.codec.decode(stream.packets[index]):
                if frame.is_corrupt:
                    raise UnusableFileError(f"{path}: expected whole frames, found frame {index} damaged; {_REMEDY}.")
                yield index, frame
    except av.FFmpegError as error:
        raise UnusableFileError(f"{path}: expected whole frames, found {_reason(error)}; {_REMEDY}.") from None


def _orientation(frame: Any, path: str | os.PathLike[str]) -> NDArray[np.int_]:
    """Return the (2, 2) part of the display matrix: how the image's x and y lie on the screen.

    Raises:
        UnusableFileError: if it turns by other than right angles.
    """
    from av.sidedata.sidedata import Type

    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return np.eye(2, dtype=int)
    matrix = np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2] / _UNIT
    turn = np.rint(matrix / max(float(np.abs(matrix).max()), 1 / _UNIT)).astype(int)
    if not np.allclose(matrix, np.abs(matrix).max() * turn, atol=0.01) or abs(round(np.linalg.det(turn))) != 1:
        raise UnusableFileError(
            f"{path}: expected a video turned by right angles at most, found the display matrix {matrix.tolist()}; "
            "export it upright."
        )
    return turn


def _upright(frame: NDArray[np.uint8], turn: NDArray[np.int_]) -> NDArray[np.uint8]:
    """Return an (H, W, 3) frame as shown: x, y become x * turn[0] + y * turn[1] (ISO 14496-12, 6.2.2)."""
    if turn[0, 0] == 0:
        frame = frame.transpose(1, 0, 2)
    columns, rows = turn.sum(axis=0)
    return frame[::rows, ::columns]


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or type(error).__name__).lower()
