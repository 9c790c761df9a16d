"""An ADC map with its Z-scores as a network sees them: checked, and normalised with a constant background."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform
from monai.utils.enums import TransformBackends
from torch import Tensor

from ..errors import UnusableFileError
from .grid import Grid, grid_difference

# ADC of a neonatal brain is about 700 to 2000 in 1e-6 mm2/s; other units are off by factors of 1000.
PLAUSIBLE_ADC = (100.0, 10000.0)
# Clipped at 10 in BONBID-HIE.
LARGEST_Z = 100.0


class CheckAdcPair(Transform):
    """Return an image of two channels, ADC in 1e-6 mm2/s and its Z-score, or say why it cannot serve.

    Voxels that are not finite are set to 0, background, where the other map is background too (Z is often 0/0 outside
    the brain); anywhere else they are an error.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI declares it as an instance's)

    def __call__(self, data: Tensor) -> Tensor:
        """Return (2, X, Y, Z) without infinities.

        Raises:
            UnusableFileError: for another number of channels or axes, a map that is zero throughout, values in other
                units, or brain voxels that are not finite.
        """
        name = _name(data)
        if data.ndim != 4 or data.shape[0] != 2:
            raise UnusableFileError(
                f"{name}: expected 2 channels (ADC, Z) of a 3D volume, found shape {tuple(data.shape)}; "
                "give the ADC map and its Z map, or one 4D file of the two"
            )
        finite = torch.isfinite(data)
        background = ~finite | (data == 0)
        lost = int((~finite & ~background.flip(0)).sum())
        if lost:
            raise UnusableFileError(
                f"{name}: expected finite values in the brain, found {lost} voxels of NaN or infinity"
            )
        image = torch.where(finite, data, 0.0)
        for channel, title in enumerate(("ADC", "Z")):
            if not image[channel].any():
                raise UnusableFileError(f"{name}: expected a {title} map, found zeros throughout")
        _check_units(image, name)
        return image


class CheckAdcPaird(MapTransform):
    """Dictionary form of :class:`CheckAdcPair`, which checks an annotation too.

    Args:
        keys: images of ADC and Z.
        label_key: annotation (1, X, Y, Z); looked at where the item has one.
        allow_missing_keys: whether an image may be missing.
    """

    backend = CheckAdcPair.backend

    def __init__(self, keys: KeysCollection, label_key: str = "label", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.label_key = label_key
        self.check = CheckAdcPair()

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Check the entries under `keys` and the label; the input mapping is left as it was.

        Raises:
            UnusableFileError: as :class:`CheckAdcPair`, or if the label has values other than 0 and 1 or another grid.
        """
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.check(d[key])
            if self.label_key in d:
                _check_label(d[self.label_key], d[key])
        return d


class NormalizeAdcPair(Transform):
    """Return an image of ADC and Z as (value - mean) / std of brain voxels over the data set, background constant.

    Background is every voxel that is exactly 0 in its map; no brain voxel gets less than `background`.

    Args:
        means, stds: of ADC in 1e-6 mm2/s and of Z, over the non-zero voxels of the training data.
        background: value outside the brain.

    References:
        Ninalga, Label Aware Denoising Pretraining, 2024, section II B; means and stds as in its published code.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI declares it as an instance's)

    def __init__(
        self,
        means: tuple[float, float] = (1350.2495, 0.34669298),
        stds: tuple[float, float] = (428.13467, 2.487756),
        background: float = -6.0,
    ) -> None:
        if min(stds) <= 0:
            raise ValueError(f"stds: expected positive, found {stds}")
        self.means, self.stds, self.background = tuple(means), tuple(stds), background

    def __call__(self, data: Tensor) -> Tensor:
        """Return (2, ...) of the same shape as `data`, whose first axis is ADC, Z."""
        column = (2,) + (1,) * (data.ndim - 1)
        means, stds = (torch.tensor(values, device=data.device).reshape(column) for values in (self.means, self.stds))
        normalised = ((data - means) / stds).clamp_min(self.background)
        return torch.where(data == 0, self.background, normalised)


class NormalizeAdcPaird(MapTransform):
    """Dictionary form of :class:`NormalizeAdcPair`.

    Args:
        keys: images of ADC and Z.
        means, stds, background: as in :class:`NormalizeAdcPair`.
        allow_missing_keys: whether an image may be missing.
    """

    backend = NormalizeAdcPair.backend

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False, **settings: Any) -> None:
        super().__init__(keys, allow_missing_keys)
        self.normalise = NormalizeAdcPair(**settings)

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Normalise the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.normalise(d[key])
        return d


def _name(image: Tensor) -> str:
    return str(image.meta.get("filename_or_obj", "image")) if isinstance(image, MetaTensor) else "image"


def _check_units(image: Tensor, name: str) -> None:
    adc, z = image[0], image[1]
    middle = float(adc[adc != 0].median())
    low, high = PLAUSIBLE_ADC
    if not low <= middle <= high:
        raise UnusableFileError(
            f"{name}: expected ADC in 1e-6 mm2/s (median of the brain {low:g} to {high:g}) as the first channel, "
            f"found a median of {middle:.4g}; scale it, or swap the maps"
        )
    largest = float(z.abs().max())
    if largest > LARGEST_Z:
        raise UnusableFileError(
            f"{name}: expected Z-scores (at most {LARGEST_Z:g}) as the second channel, found {largest:.4g}; "
            "is it an ADC map?"
        )


def _check_label(label: Tensor, image: Tensor) -> None:
    name = _name(label)
    values = torch.unique(label)
    if not bool(((values == 0) | (values == 1)).all()):
        raise UnusableFileError(f"{name}: expected a label of 0 and 1, found {[float(value) for value in values[:5]]}")
    if label.shape != (1, *image.shape[1:]):
        raise UnusableFileError(f"{name}: expected a label of {tuple(image.shape[1:])}, found {tuple(label.shape[1:])}")
    if isinstance(label, MetaTensor) and isinstance(image, MetaTensor):
        difference = grid_difference(_grid(image), _grid(label))
        if difference:
            raise UnusableFileError(f"{name}: expected the grid of {_name(image)}, found {difference}")


def _grid(image: MetaTensor) -> Grid:
    x, y, z = image.shape[1:]
    return Grid((x, y, z), np.asarray(image.affine, dtype=np.float64))
