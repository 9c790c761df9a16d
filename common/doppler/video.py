"""One frame of a video of a screen, AVI or MP4: the last one, on which the sweep is full, or any other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.integrity import check_kind
from ..errors import UnusableFileError
from .calibration import check_screen_size

VIDEO_SUFFIXES = (".avi", ".mp4", ".mov")
# No playlists, which would open other files.
FORMATS = "avi,mov"


def read_video_frame(path: str | os.PathLike[str], frame: int = -1) -> NDArray[np.uint8]:
    """Return the (H, W, 3) frame of a video, counted from 0, or from -1 for the last backwards; the only one of one.

    Raises:
        UnusableFileError: if the file is no video, is damaged before that frame, or has no such frame.
    """
    video_size(path)
    kept: list[Any] = []
    count = 0
    with _opened(path) as container:
        for count, decoded in enumerate(container.decode(container.streams.video[0]), 1):
            if decoded.is_corrupt:
                raise UnusableFileError(
                    f"{path}: expected whole frames, found frame {count - 1} damaged; copy it again."
                )
            if frame < 0 or count - 1 in (0, frame):
                kept = [*kept, decoded][-max(-frame, 1) :]
            if count - 1 == frame:
                break
        if count != 1 and not -count <= frame < count:
            raise UnusableFileError(f"{path}: expected a frame {frame}, found {count} frames; choose another --frame.")
        return np.asarray(kept[0].to_ndarray(format="rgb24"))


def video_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return height and width that the container says, with nothing decoded."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        check_screen_size(stream.height, stream.width, path)
        return int(stream.height), int(stream.width)


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Yield the container; any error that FFmpeg meets becomes one sentence."""
    import av

    check_kind(path, "a video (AVI, MP4)")
    try:
        # Opened by Python: FFmpeg takes a name such as 10:30.avi for a protocol.
        settings: Any = {"metadata_errors": "ignore", "options": {"format_whitelist": FORMATS}}
        with open(path, "rb") as file, av.open(file, "r", **settings) as container:
            if not container.streams.video:
                raise UnusableFileError(f"{path}: expected a video stream, found none; save the screen as PNG.")
            yield container
    except av.FFmpegError as error:
        reason = (error.strerror or str(error)).splitlines()[0]
        raise UnusableFileError(f"{path}: expected a whole video, found {reason}; save the screen as PNG.") from None
