"""The motion between two phases of a heart as a velocity field, so that any part of it can be taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import grid_sample

_ITERATIONS = ((2, 60), (1, 40))  # shrink factor and iterations of each level
_SMOOTHING_PX = 1.8
_MASK_CONTRAST = 1.0  # of the brightest tissue: the cavities must meet
_LOGARITHM_STEPS = 15
_STEPS = 7  # halvings of the velocity that its integration doubles again


def velocity_between(images: NDArray[np.float32], masks: NDArray[np.bool_]) -> Tensor:
    """Return (S, 2, H, W) velocities v in pixels: exp(v) leads from each place at end-diastole to that at end-systole.

    Each slice is registered by diffeomorphic demons on its grey values with the cavity's mask on top of them. The
    field's logarithm is found by the fixed point of v + (u - exp(v)) / 2, smoothed a little each time.

    Args:
        images: (2, S, H, W), end-diastole first.
        masks: (2, S, H, W), the cavity.

    References:
        Vercauteren et al., Diffeomorphic demons: efficient non-parametric image registration, NeuroImage 2009.
        Arsigny et al., A log-Euclidean framework for statistics on diffeomorphisms, MICCAI 2006.
    """
    highest = max(float(np.percentile(images[0], 99)), 1e-6)
    shown = np.clip(images / highest, 0.0, 1.0) + _MASK_CONTRAST * masks
    displacement = torch.from_numpy(np.stack([_demons(*slices) for slices in shown.swapaxes(0, 1)]))
    velocity = 0.5 * displacement
    for _ in range(_LOGARITHM_STEPS):
        velocity = velocity + 0.5 * (displacement - exponential(velocity))
        velocity = torch.from_numpy(gaussian_filter(velocity.numpy(), (0, 0, 0.7, 0.7)))
    return velocity


def exponential(velocity: Tensor) -> Tensor:
    """Return the displacement (N, 2, H, W) in pixels that a stationary velocity makes in unit time."""
    places = pixel_places(velocity.shape[-2:])
    displacement = velocity / 2**_STEPS
    for _ in range(_STEPS):
        displacement = displacement + sample(displacement, places + displacement)
    return displacement


def pixel_places(shape: Sequence[int]) -> Tensor:
    """Return (2, H, W), the row and column of each pixel."""
    return torch.stack(torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in shape), indexing="ij"))


def sample(values: Tensor, places: Tensor) -> Tensor:
    """Return `values` (N, C, H, W) at `places` (N, 2, h, w), row and column in pixels: (N, C, h, w), bilinear."""
    height, width = values.shape[-2:]
    size = torch.tensor([width - 1, height - 1], dtype=places.dtype)
    grid = 2.0 * places.flip(1).permute(0, 2, 3, 1) / size - 1.0
    return grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _demons(fixed: NDArray, moving: NDArray) -> NDArray[np.float32]:
    """Return (2, H, W), the displacement in pixels of `moving` against `fixed`."""
    images = [sitk.GetImageFromArray(image.astype(np.float32)) for image in (fixed, moving)]
    field: sitk.Image | None = None
    for shrink, iterations in _ITERATIONS:
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfIterations(iterations)
        demons.SetStandardDeviations(_SMOOTHING_PX)
        demons.SetSmoothDisplacementField(True)
        coarse = [sitk.Shrink(sitk.SmoothingRecursiveGaussian(image, 0.7 * shrink), [shrink] * 2) for image in images]
        if field is None:
            field = demons.Execute(*coarse)
        else:
            start = sitk.Resample(field, coarse[0], sitk.Transform(), sitk.sitkLinear, 0.0, field.GetPixelID())
            field = demons.Execute(*coarse, start)
    displacement = sitk.GetArrayFromImage(cast(sitk.Image, field))
    return np.ascontiguousarray(displacement[..., ::-1].transpose(2, 0, 1), dtype=np.float32)
