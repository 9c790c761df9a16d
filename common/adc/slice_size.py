"""Slices and volumes in a network's size and back: the same for training and inference."""

from collections.abc import Hashable, Mapping, Sequence

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils.enums import TransformBackends
from torch import Tensor
from torch.nn import functional

_STRIDE = 32  # the sides of what TernausNet takes are multiples of it


def checked_voxel_mm(voxel_mm: Sequence[float] | None) -> Sequence[float] | None:
    """Return the size of a voxel, or None.

    Raises:
        ValueError: if it is not three lengths of 0.05 to 20 mm.
    """
    if voxel_mm is None:
        return None
    given = voxel_mm if isinstance(voxel_mm, Sequence) else ()
    if len(given) != 3 or not all(isinstance(mm, int | float) and 0.05 <= mm <= 20 for mm in given):
        raise ValueError(f"voxel_mm: expected null or three lengths of 0.05 to 20 mm, found {voxel_mm!r}")
    return given


def fit_slices(slices: Tensor, size: Sequence[int], background: float = 0.0, nearest: bool = False) -> Tensor:
    """Return slices resized to fill `size` as far as their aspect allows, centred on `background`.

    Args:
        slices: (N, C, H, W).
        size: height and width to reach.
        background: value beside slices of another aspect.
        nearest: whether pixels are picked (annotations), not interpolated linearly.
    """
    inner = _inner_size(slices.shape[2:], size)
    fitted = _resized(slices, inner, nearest)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    if inner == tuple(size):
        return fitted
    sides = (left, size[1] - inner[1] - left, top, size[0] - inner[0] - top)
    return functional.pad(fitted, sides, value=background)


def unfit_slices(slices: Tensor, shape: Sequence[int]) -> Tensor:
    """Return slices (N, C, h, w), made by :func:`fit_slices` from slices of `shape` (H, W), in that shape again."""
    size = slices.shape[2:]
    inner = _inner_size(shape, size)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    return _resized(slices[:, :, top : top + inner[0], left : left + inner[1]], tuple(shape), nearest=False)


class FitSliced(MapTransform):
    """Brings slices (C, H, W) to a network's size: images linearly, annotations by the nearest pixel.

    Args:
        keys: images.
        size: height and width.
        label_keys: annotations; those that an item lacks are passed over.
        background: value beside images of another aspect; annotations get 0.
        allow_missing_keys: whether an image may be missing.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI declares it as an instance's)

    def __init__(
        self,
        keys: KeysCollection,
        size: Sequence[int] = (256, 256),
        label_keys: Sequence[str] = ("label",),
        background: float = -6.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size, self.label_keys, self.background = tuple(size), tuple(label_keys), background

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Resize the entries under `keys` and `label_keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = fit_slices(d[key][None], self.size, self.background)[0]
        for key in (key for key in self.label_keys if key in d):
            d[key] = fit_slices(d[key][None].float(), self.size, nearest=True)[0]
        return d


class VoxelFit:
    """The way of the slices of a volume (C, H, W, D) to pixels of another size and a network's slice size, and back.

    Finer pixels are averaged, coarser ones interpolated; the slices' thickness stays. Slices that are smaller then are
    centred on `background`, larger ones cut around the brain; a brain that is larger gets slices of the next multiple
    of 32.

    Args:
        volume: whose size, voxels and brain count.
        voxel_mm: size of a voxel to reach; of the three axes the first two count.
        size: height and width to reach.
        background: value outside the brain.

    Raises:
        ValueError: if the volume does not know the size of its voxels.
    """

    def __init__(self, volume: Tensor, voxel_mm: Sequence[float], size: Sequence[int], background: float) -> None:
        if not isinstance(volume, MetaTensor):
            raise ValueError("volume: expected one with an affine, for the size of its voxels, found a plain tensor")
        spacing = torch.linalg.norm(volume.affine.double()[:3, :2], dim=0).tolist()
        self.shape, self.background = tuple(volume.shape[1:3]), background
        self.scaled = tuple(
            max(round(n * mm / to), 1) for n, mm, to in zip(self.shape, spacing, voxel_mm[:2], strict=True)
        )
        brain = (volume.as_tensor() != background).any(dim=0)
        self.margins = [
            _margins(brain.movedim(axis, 0).flatten(1).any(dim=1), self.scaled[axis], size[axis]) for axis in (0, 1)
        ]

    def fit(self, volume: Tensor, nearest: bool = False) -> Tensor:
        """Return a volume (C, H, W, D) that fills this one's grid, in the network's size (C, h, w, D).

        Args:
            volume: the volume itself, or its annotation.
            nearest: whether voxels are picked (annotations; outside is 0), not interpolated linearly.
        """
        plain = volume.as_tensor() if isinstance(volume, MetaTensor) else volume
        (top, bottom), (left, right) = self.margins
        scaled = _resampled(plain, self.scaled, nearest)
        return functional.pad(scaled, (0, 0, left, right, top, bottom), value=0.0 if nearest else self.background)

    def back(self, fitted: Tensor) -> Tensor:
        """Return a result (K, h, w, D) for the fitted volume on this one's grid (K, H, W, D)."""
        (top, bottom), (left, right) = self.margins
        return _resampled(functional.pad(fitted, (0, 0, -left, -right, -top, -bottom)), self.shape, nearest=False)


class FitVoxelsd(MapTransform):
    """Brings volumes (C, H, W, D) to pixels and slices of a network's size (:class:`VoxelFit`), annotations with them.

    Args:
        keys: one image.
        voxel_mm: size of a voxel; None leaves volumes as they are.
        size: height and width of the slices.
        label_keys: annotations; those that an item lacks are passed over.
        background: value outside the brain.
        allow_missing_keys: whether the image may be missing.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI declares it as an instance's)

    def __init__(
        self,
        keys: KeysCollection,
        voxel_mm: Sequence[float] | None,
        size: Sequence[int] = (256, 256),
        label_keys: Sequence[str] = ("label",),
        background: float = -6.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.voxel_mm, self.background = checked_voxel_mm(voxel_mm), background
        self.size, self.label_keys = size, label_keys

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Resample the entries under `keys` and `label_keys`; the input mapping is left as it was."""
        d = dict(data)
        if self.voxel_mm is None:
            return d
        for key in self.key_iterator(d):
            way = VoxelFit(d[key], self.voxel_mm, self.size, self.background)
            d[key] = way.fit(d[key])
            d |= {label: way.fit(d[label].float(), nearest=True) for label in self.label_keys if label in d}
        return d


def _margins(brain: Tensor, scaled: int, size: int) -> tuple[int, int]:
    """Return how many pixels are added (cut, where negative) before and after `scaled` ones to make `size` or more.

    Args:
        brain: (n,), where along the axis the brain lies.
        scaled: the axis' pixels after resampling.
        size: of the network.
    """
    inside = torch.nonzero(brain)[:, 0].tolist() or [0, len(brain) - 1]
    low, high = inside[0] * scaled / len(brain), (inside[-1] + 1) * scaled / len(brain)
    if high - low > size:
        size = -(-int(high - low + 1) // _STRIDE) * _STRIDE
    middle = round((low + high - size) / 2)
    before = (size - scaled) // 2 if scaled <= size else -min(max(middle, 0), scaled - size)
    return before, size - scaled - before


def _resampled(volume: Tensor, shape: tuple[int, ...], nearest: bool) -> Tensor:
    """Return a volume (C, H, W, D) with slices of `shape`, of the same extent."""
    return _resized(volume.permute(3, 0, 1, 2), shape, nearest).permute(1, 2, 3, 0)


def _inner_size(shape: Sequence[int], size: Sequence[int]) -> tuple[int, int]:
    """Return the size of the slice inside `size`; its margins are equal, so that fitting commutes with flips."""
    scale = min(size[0] / shape[0], size[1] / shape[1])
    height, width = (max(round(side * scale), 1) for side in shape)
    return height - (size[0] - height) % 2 or 2, width - (size[1] - width) % 2 or 2


def _resized(slices: Tensor, size: tuple[int, ...], nearest: bool) -> Tensor:
    if tuple(slices.shape[2:]) == tuple(size):
        return slices
    if nearest:
        return functional.interpolate(slices, size, mode="nearest-exact")
    # Only where it shrinks: averaging over the pixels that fall together.
    shrinks = size[0] < slices.shape[2] or size[1] < slices.shape[3]
    return functional.interpolate(slices, size, mode="bilinear", align_corners=False, antialias=shrinks)
