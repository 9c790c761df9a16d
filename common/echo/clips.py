"""Clips of a fixed number of frames from echo videos, by the published sampling rules."""

import json
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
from .checks import check_content, check_interval, check_length, time_doubts
from .frames import FrameSource, clip_indices, evenly_spread, milliseconds_or_none, start_positions, stride_in_frames
from .reader import open_ultrasound_cine

RATE_REMEDY = "give --stride_ms 0 to count frames instead"


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
        stride_ms: stride in milliseconds instead, for videos of different frame rates; 0 or "none" is none.

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
        stride_ms: float | str | None = None,
    ) -> None:
        RandomizableTransform.__init__(self, 1.0)
        if min(frames, stride, clips, size) < 1:
            raise ValueError(
                f"frames, stride, clips, size: expected numbers over 0, found {frames}, {stride}, {clips}, {size}"
            )
        self.frames, self.stride, self.clips, self.size = frames, stride, clips, size
        self.random, self.stride_ms = random, milliseconds_or_none(stride_ms)
        self.starts: list[int] = []
        self.record: dict[str, Any] = {}

    def randomize(self, data: int) -> None:
        """Draw one start a clip from `data` positions."""
        self.starts = [int(self.R.randint(data)) for _ in range(self.clips)]

    def __call__(self, path: str | os.PathLike[str], starts: list[int] | None = None) -> Tensor:
        """Return the clips of the video at `path`, at `starts` if they are given; `record` then says what was done.

        Raises:
            UnusableFileError: if the file is no cine, or, unless the starts are random, cannot be a beating heart.
        """
        cine = open_ultrasound_cine(path, trust_size=self.random)
        if self.stride_ms is not None:
            check_interval(cine.frame_interval_ms, path, f"{'; '.join((*cine.doubts, RATE_REMEDY))}")
        stride = stride_in_frames(self.stride, self.stride_ms, cine.frame_interval_ms)
        positions = start_positions(cine.frame_count, self.frames, stride)
        if starts is not None:
            self.starts = [_checked(start, positions, path) for start in starts]
        elif self.random:
            self.randomize(positions)
        else:
            self.starts = evenly_spread(positions, self.clips)
        wanted = [clip_indices(cine.frame_count, start, self.frames, stride) for start in self.starts]
        needed = sorted({index for indices in wanted for index in indices})
        pictures = cine.read(needed) if needed else np.zeros((0, self.size, self.size, 3), np.uint8)
        if not self.random:
            self.record = self._recorded(cine, stride, needed, pictures, path)
        squares, place = square_frames(pictures, self.size), {index: row for row, index in enumerate(needed)}
        clips = torch.zeros(len(wanted), 3, self.frames, self.size, self.size, dtype=torch.uint8)
        for clip, indices in zip(clips, wanted, strict=True):
            clip[:, : len(indices)] = squares[:, [place[index] for index in indices]]
        return clips

    def _recorded(
        self, cine: FrameSource, stride: int, needed: list[int], pictures: NDArray[np.uint8], path: Any
    ) -> dict[str, Any]:
        """Return what was done to the cine and what is doubtful about it; refuse what cannot be a heart."""
        check_length(cine.frame_count, path)
        doubts = [*cine.doubts, *time_doubts(cine.frame_count, cine.frame_interval_ms)]
        doubts += check_content(pictures, path)
        if self.stride_ms is None and any("repeats" in note for note in cine.notes):
            doubts.append("its frames were uneven in time")
        black = self.frames - min(self.frames, len(range(0, cine.frame_count, stride)))
        return {
            "frames": cine.frame_count,
            "frame_interval_ms": cine.frame_interval_ms,
            "frame_rate_from": cine.rate_source or None,
            "stride_frames": stride,
            "first_frames": self.starts,
            "black_frames_at_the_end": black,
            "done": list(cine.notes),
            "doubts": doubts,
        }


class ReadClipsd(MapTransform, RandomizableTransform):
    """Dictionary form of :class:`ReadClips`; the path under the key becomes the clips.

    Unless the starts are random, "input" is added: what was done to the recording and what is doubtful, as JSON.

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
        stride_ms: float | str | None = None,
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
            if not self.read.random:
                d["input"] = json.dumps(self.read.record)
        return d


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
