"""A volume slice by slice through a 2D network, averaged over flips."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from torch import Tensor

from ..training.precision import PrecisionInferer
from .slice_size import VoxelFit, checked_voxel_mm, fit_slices, unfit_slices
from .slices import brain_slices

# Axes of (N, C, H, W) that are flipped, one entry a view: the flips of the paper's training.
FLIPS = ((), (2,), (3,), (2, 3))


class FlippedSliceInferer(Inferer):
    """Gives the lesion's probability in each voxel of a volume: slices along the last axis, mean over four flips.

    Slices are brought to the network's size and their probabilities back to the volume's grid. Those without any brain
    are not computed, and a voxel outside the brain (background in every channel) has probability 0.

    Args:
        slice_size: height and width that the network gets; multiples of 32 for TernausNet.
        batch_size: slices, flips counted, that pass the network at once; bounds the memory.
        flips: whether to average over the flips; else the slices pass as they are.
        background: value outside the brain after normalisation.
        voxel_mm: size of the voxels that the weights know, along the axes: slices are resampled to such pixels, and
            their probabilities back. None lets each slice fill `slice_size`, whatever its pixels are.
        precision: "bfloat16" is quicker, with fewer digits; see :class:`common.training.PrecisionInferer`.

    References:
        Ninalga, Label Aware Denoising Pretraining, 2024, section II D (average over flips).
    """

    def __init__(
        self,
        slice_size: Sequence[int] = (256, 256),
        batch_size: int = 16,
        flips: bool = True,
        background: float = -6.0,
        precision: str = "float32",
        voxel_mm: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, found {batch_size}")
        self.slice_size, self.batch_size = tuple(slice_size), batch_size
        self.views = FLIPS if flips else FLIPS[:1]
        self.background, self.answer = background, PrecisionInferer(precision)
        self.voxel_mm = checked_voxel_mm(voxel_mm)

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Return probabilities (B, K, H, W, D) of volumes (B, C, H, W, D) for a network that gives K logits.

        Raises:
            ValueError: if `inputs` are no volumes.
        """
        if inputs.ndim != 5:
            raise ValueError(f"inputs: expected volumes (B, C, H, W, D), found shape {tuple(inputs.shape)}")
        result = torch.stack([self._volume(volume, network, *args, **kwargs) for volume in inputs])
        return _with_place_of(inputs, result)

    def seen(self, volume: Tensor) -> Tensor:
        """Return a volume (C, H, W, D) as the network sees it."""
        if self.voxel_mm is None:
            return volume
        return VoxelFit(volume, self.voxel_mm, self.slice_size, self.background).fit(volume)

    def _volume(self, volume: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        plain = volume.as_tensor() if isinstance(volume, MetaTensor) else volume
        if self.voxel_mm:
            way = VoxelFit(volume, self.voxel_mm, self.slice_size, self.background)
            probability = way.back(self._by_slices(way.fit(volume), network, *args, **kwargs))
        else:
            probability = self._by_slices(plain, network, *args, **kwargs)
        return probability * (plain != self.background).any(dim=0)

    def _by_slices(self, plain: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        slices = plain.permute(3, 0, 1, 2)
        chosen = brain_slices(plain, self.background).tolist() or [0]
        per_batch = max(self.batch_size // len(self.views), 1)
        parts = [
            unfit_slices(self._slices(slices[chosen[at : at + per_batch]], network, *args, **kwargs), slices.shape[2:])
            for at in range(0, len(chosen), per_batch)
        ]
        computed = torch.cat(parts)
        probability = computed.new_zeros(len(slices), *computed.shape[1:])
        probability[chosen] = computed
        return probability.permute(1, 2, 3, 0)

    def _slices(self, slices: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Return the mean probability (N, K, h, w) over the flips of slices (N, C, H, W), flips in one batch."""
        size = slices.shape[2:] if self.voxel_mm else self.slice_size
        fitted = fit_slices(slices, size, self.background)
        views = torch.cat([fitted.flip(axes) for axes in self.views]).contiguous(memory_format=torch.channels_last)
        logits = torch.cat([self.answer(part, network, *args, **kwargs) for part in views.split(self.batch_size)])
        probabilities = torch.sigmoid(logits).chunk(len(self.views))
        return torch.stack([p.flip(axes) for p, axes in zip(probabilities, self.views, strict=True)]).mean(dim=0)


def _with_place_of(inputs: Tensor, result: Tensor) -> Tensor:
    """Return `result` with the affine and the history of `inputs`: without them MONAI's `Invertd` does nothing."""
    if not isinstance(inputs, MetaTensor):
        return result
    placed = MetaTensor(result)
    placed.copy_meta_from(inputs)
    placed.is_batch = inputs.is_batch
    return placed
