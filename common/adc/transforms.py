"""An ADC map with its Z-scores as a network sees them: checked, and normalised with a constant background."""

from collections.abc import Hashable, Mapping

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils.enums import TransformBackends
from torch import Tensor

from ..errors import UnusableFileError
from .grid import Grid, grid_difference

# The median over a neonatal brain is 1000 to 1600 in 1e-6 mm2/s, lower after global injury; a factor of ten is another
# unit. Free water at body temperature has 3000.
MEDIAN_ADC = (400.0, 2500.0)
WATER_ADC = 4000.0
# BONBID-HIE clips its Z-scores here; the networks have seen no others.
CLIPPED_Z = 10.0
# Z = (ADC - mean) / std rises with ADC in each voxel, and falls with it over a brain only if its sign is wrong.
LEAST_CORRELATION = -0.2
CORRELATED_VOXELS = 1000
LEAST_SIDE_VOXELS = 16  # of a slice: a newborn's brain is 80 mm wide and more, a voxel 1 to 3 mm


class CheckAdcPaird(MapTransform):
    """Passes images of two channels, ADC in 1e-6 mm2/s and its Z-score, and says why another cannot serve.

    Voxels that are not finite are set to 0, background, where the other map is background too (Z is often 0/0 outside
    the brain); anywhere else they are an error.

    Args:
        keys: images (2, X, Y, Z).
        label_key: annotation (1, X, Y, Z); looked at where the item has one.
        allow_missing_keys: whether an image may be missing.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI declares it as an instance's)

    def __init__(self, keys: KeysCollection, label_key: str = "label", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.label_key = label_key

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Check the entries under `keys` and the label; the input mapping is left as it was.

        Raises:
            UnusableFileError: for another number of channels or axes, a map that is zero throughout, values in other
                units, maps in the wrong order, brain voxels that are not finite, or a label with values other than 0
                and 1 or on another grid.
        """
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = _checked(d[key])
            if self.label_key in d:
                _check_label(d[self.label_key], d[key])
        return d


class NormalizeAdcPaird(MapTransform):
    """Turns images of ADC and Z into (value - mean) / std of brain voxels over the data set, background constant.

    Background is every voxel that is exactly 0 in its map; no brain voxel gets less than `background`.

    Args:
        keys: images (2, ...), ADC first.
        means, stds: of ADC in 1e-6 mm2/s and of Z, over the non-zero voxels of the training data.
        background: value outside the brain.
        allow_missing_keys: whether an image may be missing.

    References:
        Ninalga, Label Aware Denoising Pretraining, 2024, section II B; means and stds as in its published code.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI declares it as an instance's)

    def __init__(
        self,
        keys: KeysCollection,
        means: tuple[float, float] = (1350.2495, 0.34669298),
        stds: tuple[float, float] = (428.13467, 2.487756),
        background: float = -6.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if min(stds) <= 0:
            raise ValueError(f"stds: expected positive, found {stds}")
        self.means, self.stds, self.background = tuple(means), tuple(stds), background

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Normalise the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            image = d[key]
            column = (2,) + (1,) * (image.ndim - 1)
            means, stds = (torch.tensor(v, device=image.device).reshape(column) for v in (self.means, self.stds))
            normalised = ((image - means) / stds).clamp_min(self.background)
            d[key] = torch.where(image == 0, self.background, normalised)
        return d


def _checked(data: Tensor) -> Tensor:
    """Return a pair of maps (2, X, Y, Z) without infinities, large enough for a brain."""
    name = _name(data)
    if data.ndim != 4 or data.shape[0] != 2:
        raise UnusableFileError(
            f"{name}: expected 2 channels (ADC, Z) of a 3D volume, found shape {tuple(data.shape)}; "
            "give the ADC map and its Z map, or one 4D file of the two"
        )
    if sorted(data.shape[1:])[1] < LEAST_SIDE_VOXELS:
        raise UnusableFileError(
            f"{name}: expected slices of at least {LEAST_SIDE_VOXELS} x {LEAST_SIDE_VOXELS} voxels, found "
            f"{' x '.join(map(str, data.shape[1:]))}; export the whole map"
        )
    finite = torch.isfinite(data)
    background = ~finite | (data == 0)
    lost = int((~finite & ~background.flip(0)).sum())
    if lost:
        raise UnusableFileError(f"{name}: expected finite values in the brain, found {lost} voxels of NaN or infinity")
    image = torch.where(finite, data, 0.0)
    for channel, title in enumerate(("ADC", "Z")):
        if not image[channel].any():
            raise UnusableFileError(f"{name}: expected values in the {title} map, found zeros throughout")
    _check_values(image, name)
    return image


def _name(image: Tensor) -> str:
    return str(image.meta.get("filename_or_obj", "image")) if isinstance(image, MetaTensor) else "image"


def _check_values(image: Tensor, name: str) -> None:
    adc, z = (channel[(image[0] != 0) | (image[1] != 0)].float() for channel in image.as_subclass(Tensor))
    middle = float(adc[adc != 0].median())
    low, high = MEDIAN_ADC
    if not low <= middle <= high:
        raise UnusableFileError(
            f"{name}: expected ADC in 1e-6 mm2/s (median of the brain {low:g} to {high:g}) as the first channel, "
            f"found a median of {middle:.4g}; scale it, or swap the maps"
        )
    impossible = float(((adc < 0) | (adc > WATER_ADC)).float().mean())
    if impossible > 0.1:
        raise UnusableFileError(
            f"{name}: expected ADC of 0 to {WATER_ADC:g} in 1e-6 mm2/s, found {impossible:.0%} of the brain outside; "
            "is it skull-stripped, and an ADC map?"
        )
    largest = float(z.abs().max())
    if largest > CLIPPED_Z * 1.001:
        raise UnusableFileError(
            f"{name}: expected Z-scores clipped at {CLIPPED_Z:g} as the second channel, found {largest:.4g}; clip them "
            "as BONBID-HIE does, if it is a Z map"
        )
    if len(adc) >= CORRELATED_VOXELS:
        correlation = float(torch.corrcoef(torch.stack([adc, z]))[0, 1])
        if correlation < LEAST_CORRELATION:
            raise UnusableFileError(
                f"{name}: expected Z-scores that rise with ADC, found a correlation of {correlation:.2f}; is their "
                "sign inverted?"
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
