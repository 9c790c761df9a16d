"""One beat (or half a beat) of an echo video as a fixed number of frames, by spline interpolation in time."""

import os
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection
from monai.transforms.transform import MapTransform, Transform
from torch import Tensor

from ..errors import UnusableFileError
from .clips import square_frames
from .reader import open_ultrasound_cine


def resample_in_time(clip: Tensor, frames: int) -> Tensor:
    """Return (C, T, H, W) as (C, frames, H, W) float32 through a spline; the first and last frame stay.

    The spline is cubic, or as high as the number of frames allows.
    """
    from scipy.interpolate import make_interp_spline

    count = clip.shape[1]
    values = clip.to(torch.float32)
    if count == frames:
        return values
    spline = make_interp_spline(np.arange(count), values.numpy(), k=min(3, count - 1), axis=1)
    resampled = spline(np.linspace(0, count - 1, frames)).astype(np.float32)
    return torch.from_numpy(resampled).clamp(0, 255)


class ReadBeat(Transform):
    """Return part of a video as (3, T, H, W) float32 of grey levels from 0 to 255.

    Args:
        frames: T (16 for CAMUS, 12 for HMC-QU).
        size: rows and columns (112 for CAMUS, 224 for HMC-QU).
        centre_crop: whether frames are cut to their central square first (HMC-QU: no text, no ECG); otherwise they
            are squeezed to a square where `keep_aspect` is off, as published for CAMUS, or padded to one.
        keep_aspect: whether frames that are not square are padded rather than squeezed.

    References:
        Maani et al., CoReEcho, MICCAI 2024, https://arxiv.org/abs/2403.10164 (supplement, table 1)
    """

    def __init__(self, frames: int = 16, size: int = 112, centre_crop: bool = False, keep_aspect: bool = False) -> None:
        if min(frames, size) < 1:
            raise ValueError(f"frames, size: expected numbers over 0, found {frames}, {size}")
        self.frames, self.size, self.centre_crop, self.keep_aspect = frames, size, centre_crop, keep_aspect

    def __call__(self, path: str | os.PathLike[str], frame_range: tuple[int, int] | None = None) -> Tensor:
        """Return the frames of the inclusive range, backwards if its first is the later one.

        Raises:
            UnusableFileError: if the video ends before the range does.
        """
        cine = open_ultrasound_cine(path, as_stored=True)
        first, last = frame_range or (0, cine.frame_count - 1)
        if not (min(first, last) >= 0 and max(first, last) < cine.frame_count and first != last):
            raise UnusableFileError(
                f"{path}: expected two of its {cine.frame_count} frames as the ends of the beat, found {first + 1} and "
                f"{last + 1} (counted from 1); correct the table."
            )
        step = 1 if last > first else -1
        frames = cine.read(range(first, last + step, step))
        if self.centre_crop:
            side = min(frames.shape[1:3])
            top, left = ((length - side) // 2 for length in frames.shape[1:3])
            frames = frames[:, top : top + side, left : left + side]
        clip = square_frames(frames, self.size) if self.keep_aspect else _squeezed(frames, self.size)
        return resample_in_time(clip, self.frames)


class ReadBeatd(MapTransform):
    """Dictionary form of :class:`ReadBeat`; the range comes from the entry "frame_range" if there is one.

    Args:
        keys: of the path.
        frames, size, centre_crop, keep_aspect: as in :class:`ReadBeat`.
    """

    def __init__(
        self,
        keys: KeysCollection,
        frames: int = 16,
        size: int = 112,
        centre_crop: bool = False,
        keep_aspect: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.read = ReadBeat(frames, size, centre_crop, keep_aspect)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the path under each key by its frames; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.read(d[key], d.get("frame_range"))
        return d


def _squeezed(frames: np.ndarray, size: int) -> Tensor:
    clip = torch.from_numpy(np.ascontiguousarray(frames.transpose(3, 0, 1, 2))).float()
    if clip.shape[2:] == (size, size):
        return clip
    resized = torch.nn.functional.interpolate(clip, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized.clamp(0, 255)
