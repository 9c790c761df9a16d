"""Clips of a fixed number of frames from echo videos, by the published sampling rules."""

import os
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection
from monai.transforms.transform import MapTransform, RandomizableTransform
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..data.tables import read_table
from ..errors import UnusableFileError
from .reader import open_ultrasound_cine
from .video import FrameSource


def start_positions(frame_count: int, frames: int, stride: int) -> int:
    """Return how many first frames a clip may have, from 0 on: f - (frames - 1) * stride, at least `stride`.

    A video shorter than frames * stride counts as if it had as many: its clip ends with black frames.

    References:
        the published code of EchoNet-Dynamic and CoReEcho (36 frames, stride 4: f - 140 positions)
    """
    return max(frame_count, frames * stride) - (frames - 1) * stride


def stride_in_frames(stride: int, stride_ms: float | None, frame_interval_ms: float | None) -> int:
    """Return the stride in frames: `stride`, or the whole number of frames nearest to `stride_ms`, at least 1.

    Raises:
        ValueError: if a stride in milliseconds is asked for and the frame rate is unknown.
    """
    if stride_ms is None:
        return stride
    if frame_interval_ms is None:
        raise ValueError("stride_ms: expected a cine with a frame rate, found none; give the stride in frames.")
    return max(1, round(stride_ms / frame_interval_ms))


def read_clip(cine: FrameSource, start: int, frames: int, stride: int, size: int) -> Tensor:
    """Return (3, T, size, size) uint8 from frame `start` on; frames after the cine's end are black."""
    indices = [index for index in range(start, start + frames * stride, stride) if index < cine.frame_count]
    clip = torch.zeros(3, frames, size, size, dtype=torch.uint8)
    if indices:
        clip[:, : len(indices)] = square_frames(cine.read(indices), size)
    return clip


def square_frames(frames: NDArray[np.uint8], size: int) -> Tensor:
    """Return (T, H, W, 3) frames as (3, T, size, size) uint8: padded to a square with black, then resized."""
    clip = torch.from_numpy(np.ascontiguousarray(frames.transpose(3, 0, 1, 2)))
    height, width = clip.shape[2:]
    if height == width == size:
        return clip
    longest = max(height, width)
    top, left = (longest - height) // 2, (longest - width) // 2
    square = functional.pad(clip, (left, longest - width - left, top, longest - height - top))
    if longest == size:
        return square
    resized = functional.interpolate(square.float(), (size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized.round().clamp(0, 255).to(torch.uint8)


class ReadClips(RandomizableTransform):
    """Return clips of a video as (V, 3, T, H, W) uint8, decoding no more frames than they need.

    Random starts are uniform over :func:`start_positions`; otherwise they are given, or spread evenly.

    Args:
        frames, stride: of a clip (36 and 4 in the paper).
        clips: V, number of clips a video (2 views in stage 1, 1 in stage 2, 3 in the test).
        size: rows and columns; other frames are padded to a square and resized.
        random: whether the starts are drawn.
        stride_ms: stride in milliseconds instead, for videos of different frame rates.

    References:
        Maani et al., CoReEcho, MICCAI 2024, https://arxiv.org/abs/2403.10164 (section 2.2)
    """

    def __init__(
        self,
        frames: int = 36,
        stride: int = 4,
        clips: int = 1,
        size: int = 112,
        random: bool = False,
        stride_ms: float | None = None,
    ) -> None:
        RandomizableTransform.__init__(self, 1.0)
        if min(frames, stride, clips, size) < 1:
            raise ValueError(
                f"frames, stride, clips, size: expected numbers over 0, found {frames}, {stride}, {clips}, {size}"
            )
        self.frames, self.stride, self.clips, self.size = frames, stride, clips, size
        self.random, self.stride_ms = random, stride_ms
        self.starts: list[int] = []

    def randomize(self, data: int) -> None:
        """Draw one start a clip from `data` positions."""
        self.starts = [int(self.R.randint(data)) for _ in range(self.clips)]

    def __call__(self, path: str | os.PathLike[str], starts: list[int] | None = None) -> Tensor:
        """Return the clips of the video at `path`, at `starts` if they are given."""
        cine = open_ultrasound_cine(path)
        stride = stride_in_frames(self.stride, self.stride_ms, cine.frame_interval_ms)
        positions = start_positions(cine.frame_count, self.frames, stride)
        if starts is not None:
            self.starts = [_checked(start, positions, path) for start in starts]
        elif self.random:
            self.randomize(positions)
        else:
            self.starts = evenly_spread(positions, self.clips)
        return torch.stack([read_clip(cine, start, self.frames, stride, self.size) for start in self.starts])


class ReadClipsd(MapTransform, RandomizableTransform):
    """Dictionary form of :class:`ReadClips`; the path under the key becomes the clips.

    Args:
        keys: of the path.
        frames, stride, clips, size, random, stride_ms: as in :class:`ReadClips`.
        start_file: CSV of FileName and one column a clip with its first frame, as published for the three-clip test;
            videos that it does not list get evenly spread starts.

    Raises:
        UnusableFileError: if the start file lacks FileName or holds other things than whole numbers.
    """

    def __init__(
        self,
        keys: KeysCollection,
        frames: int = 36,
        stride: int = 4,
        clips: int = 1,
        size: int = 112,
        random: bool = False,
        stride_ms: float | None = None,
        start_file: str | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, 1.0)
        self.read = ReadClips(frames, stride, clips, size, random, stride_ms)
        self.starts = read_start_file(start_file) if start_file else {}

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> "ReadClipsd":
        """Set the random state of the starts."""
        self.read.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the path under each key by its clips; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.read(d[key], self.starts.get(str(d.get("case"))))
        return d


def evenly_spread(positions: int, clips: int) -> list[int]:
    """Return `clips` starts from the first to the last of `positions`; one clip starts in the middle."""
    if clips == 1:
        return [(positions - 1) // 2]
    return [round(share * (positions - 1) / (clips - 1)) for share in range(clips)]


def read_start_file(path: str | os.PathLike[str]) -> dict[str, list[int]]:
    """Return the first frames of each video's clips from a CSV of FileName and one column a clip.

    Raises:
        UnusableFileError: if a column FileName or a whole number is missing.
    """
    table: dict[str, list[int]] = {}
    for row in read_table(path):
        if "FileName" not in row:
            raise UnusableFileError(f"{path}: expected a column FileName, found {', '.join(row)}.")
        name = row.pop("FileName").removesuffix(".avi")
        try:
            table[name] = [int(value) for value in row.values()]
        except ValueError as error:
            raise UnusableFileError(
                f"{path}: expected whole numbers for {name}, found {list(row.values())}."
            ) from error
    return table


def _checked(start: int, positions: int, path: str | os.PathLike[str]) -> int:
    if not 0 <= start < positions:
        raise ValueError(f"{path}: expected a first frame from 0 to {positions - 1}, found {start}")
    return start
