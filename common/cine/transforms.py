"""What is checked, resampled and moved before the network sees a cine."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import TransformBackends, convert_data_type, convert_to_dst_type
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

_MOST_CUT = 0.25


class CutIntensityd(MapTransform):
    """Cuts grey values at `highest`.

    Args:
        keys: slices to cut.
        highest: grey value; the paper's is 2000.
        allow_missing_keys: skip the keys that are not there.

    Raises:
        ValueError: (when called) if more than a quarter of the pixels lie above `highest`: numbers of such a scale lose
            the heart to the cut.

    References:
        Zhong et al., EMBC 2021, section IV.A.
    """

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012 MONAI declares it so

    def __init__(self, keys: KeysCollection, highest: float = 2000.0, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.highest = highest

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Cut the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            img: Any = d[key]
            above = float((img > self.highest).sum()) / float(np.prod(img.shape))
            if above > _MOST_CUT:
                raise ValueError(
                    f"expected grey values of which few lie above {self.highest:g}, where they are cut, found "
                    f"{above:.0%} above it; give a higher max_intensity"
                )
            d[key] = img.clip(max=self.highest)
        return d


class ResampleTimed(MapTransform):
    """Resamples the last axis, one heart beat, to `frames` frames: the beat is a circle, its end lies before its start.

    Linear interpolation on the circle. Fourier interpolation would keep more of the sharpest motion, but it rings over
    the whole beat where a prospectively gated cine misses the last part of diastole, and leaves the range of the grey
    values. A slice that has `frames` even frames already comes back as it is. Where a MetaTensor has "phases" in its
    `meta`, its frames were taken at those fractions of the beat; else they are even.

    Args:
        keys: slices (..., T) to resample; they become floating point.
        frames: frames of the result; frame k of n stands for the phase k / n of the beat.
        allow_missing_keys: skip the keys that are not there.

    Raises:
        ValueError: for fewer than 2 `frames`, or (when called) a slice of fewer than 2.
    """

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012 MONAI declares it so

    def __init__(self, keys: KeysCollection, frames: int = 40, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if frames < 2:
            raise ValueError(f"frames: expected at least 2, found {frames}")
        self.frames = frames

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Resample the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self._resampled(d[key])
        return d

    def _resampled(self, img: NdarrayOrTensor) -> NdarrayOrTensor:
        given = img.shape[-1]
        if given < 2:
            raise ValueError(f"expected a cine of at least 2 frames, found {given}; one frame shows no beat")
        phases = img.meta.get("phases") if isinstance(img, MetaTensor) else None
        if given == self.frames and phases is None:
            return img
        array = convert_data_type(img, np.ndarray)[0]
        array = array if array.dtype.kind == "f" else array.astype(np.float32)
        before, weight = _neighbours(self.frames, given, phases)
        earlier, later = array[..., before], array[..., (before + 1) % given]
        resampled = earlier + weight.astype(array.dtype) * (later - earlier)
        result = convert_to_dst_type(resampled, img, dtype=resampled.dtype)[0]
        if isinstance(result, MetaTensor):
            result.meta.pop("phases", None)
        return result


def _neighbours(frames: int, given: int, phases: Any) -> tuple[NDArray, NDArray]:
    """Return for each of `frames` even phases the frame before it on the circle, and how far on it is to the next."""
    if phases is None:
        position = np.arange(frames) * given / frames
        before = position.astype(int)
        return before, position - before
    taken, wanted = np.asarray(phases, dtype=np.float64), np.arange(frames) / frames
    before = (np.searchsorted(taken, wanted, side="right") - 1) % given
    step = (np.roll(taken, -1) - taken) % 1.0
    return before, ((wanted - taken[before]) % 1.0) / step[before]


class RandSwingd(MapTransform, RandomizableTransform):
    """Moves and turns slices (C, H, W, T) as a whole on a closed path during the beat.

    A heart swings in the chest by millimetres with each beat, whatever its ejection fraction. The path is two harmonics
    of the beat, other ones each time; edges are repeated outwards.

    Args:
        keys: slices to move.
        most_px: farthest way along rows and along columns; 0 leaves the slices as they are.
        most_degrees: widest turn.
        prob: of moving a slice.
        allow_missing_keys: skip the keys that are not there.

    Raises:
        ValueError: for a negative way or turn.
    """

    def __init__(
        self,
        keys: KeysCollection,
        most_px: float = 0.0,
        most_degrees: float = 8.0,
        prob: float = 0.7,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        if most_px < 0 or most_degrees < 0:
            raise ValueError(f"most_px, most_degrees: expected 0 or more, found {most_px} and {most_degrees}")
        self.most_px, self.most_degrees = most_px, most_degrees
        self.paths: Tensor = torch.zeros(3, 2, 2)

    def randomize(self, data: Any = None) -> None:
        """Draw amplitude and phase of both harmonics along rows, along columns and of the turn."""
        super().randomize(None)
        amplitude = self.R.uniform(0.0, 1.0, 3)[:, None] * (1.0, 0.4)
        phase = self.R.uniform(0.0, 2 * torch.pi, (3, 2))
        self.paths = torch.stack([torch.from_numpy(amplitude), torch.from_numpy(phase)]).float()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Move the entries under `keys` alike; the input mapping is left as it was."""
        d = dict(data)
        self.randomize()
        for key in self.key_iterator(d):
            if self._do_transform and self.most_px > 0:
                d[key] = self._moved(d[key])
        return d

    def _moved(self, img: Tensor) -> Tensor:
        height, width, frames = img.shape[1:]
        time = 2 * torch.pi * torch.arange(frames) / frames
        amplitude, phase = self.paths[..., None]
        row, column, turn = (amplitude * torch.cos(torch.tensor([[1.0], [2.0]]) * time - phase)).sum(1)
        angle = torch.deg2rad(self.most_degrees * turn)
        theta = torch.zeros(frames, 2, 3)
        theta[:, 0, 0] = theta[:, 1, 1] = torch.cos(angle)
        theta[:, 0, 1], theta[:, 1, 0] = -torch.sin(angle), torch.sin(angle)
        theta[:, 0, 2], theta[:, 1, 2] = 2 * self.most_px * column / width, 2 * self.most_px * row / height
        pictures = img.permute(3, 0, 1, 2).float()
        grid = affine_grid(theta, list(pictures.shape), align_corners=False)
        moved = grid_sample(pictures, grid, padding_mode="border", align_corners=False)
        return moved.permute(1, 2, 3, 0).to(img.dtype).contiguous()
