"""How large the pixels of a cine slice are, and where in it the heart beats."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms.croppad.array import ResizeWithPadOrCrop
from monai.transforms.transform import MapTransform
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch.nn.functional import interpolate, pad

CENTRES = ("image", "motion")
# The heart is looked for around the middle of the picture, then around where most moves, in mm.
_PICTURE_MM, _COARSE_MM, _HEART_MM = 45.0, 8.0, 40.0
_ROUNDS = 8


class ResamplePixelsd(MapTransform):
    """Resamples the rows and columns of slices (C, H, W, T) to square pixels, with antialiasing, and their affine.

    Args:
        keys: slices to resample, with the affine of :class:`LoadCineSliced`.
        pixel_mm: side of a pixel; None leaves them as they are, which is what the paper does.
        allow_missing_keys: skip the keys that are not there.

    Raises:
        ValueError: for a `pixel_mm` that is not positive; (when called) for a slice that tells no pixel size.
    """

    def __init__(self, keys: KeysCollection, pixel_mm: float | None = None, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        if pixel_mm is not None and not pixel_mm > 0:
            raise ValueError(f"pixel_mm: expected a size in mm, or None to leave the pixels, found {pixel_mm}")
        self.pixel_mm = pixel_mm

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Resample the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = d[key] if self.pixel_mm is None else self._resampled(d[key], self.pixel_mm)
        return d

    def _resampled(self, img: Any, pixel_mm: float) -> MetaTensor:
        before = img.shape[1:3]
        size = [max(1, round(n * mm / pixel_mm)) for n, mm in zip(before, pixel_size_mm(img), strict=True)]
        if size == list(before):
            return img  # type: ignore[no-any-return]
        frames = interpolate(
            img.as_tensor().permute(0, 3, 1, 2), size, mode="bilinear", align_corners=False, antialias=True
        )
        affine = img.affine.clone()
        for axis, ratio in enumerate(old / new for old, new in zip(before, size, strict=True)):
            # The picture keeps its edges: the middle of its first pixel moves.
            affine[:3, 3] += affine[:3, axis] * (0.5 * ratio - 0.5)
            affine[:3, axis] *= ratio
        return _placed(frames.permute(0, 2, 3, 1).contiguous(), affine, img)


class CropHeartd(MapTransform):
    """Crops slices (C, H, W, T) to `spatial_size` around the picture's middle or where it beats, padded with zeros.

    What beats is found in each slice by itself: the amplitude of the first harmonic of the heart's cycle at each pixel,
    of which the centre of gravity is taken, again and again within 40 mm of the last one. Vessels and the other
    ventricle beat too, so that the middle lies between the ventricles at the base.

    Args:
        keys: slices to crop; where `centre` is "motion" with the affine of :class:`LoadCineSliced`.
        spatial_size: rows and columns of the result.
        centre: "image", as in the paper, or "motion".
        allow_missing_keys: skip the keys that are not there.

    Raises:
        ValueError: for another `centre`; (when called) for a slice that tells no pixel size where `centre` is "motion".

    References:
        The first harmonic finds the heart in Lin et al., Automated detection of left ventricle in 4D MR images,
        MICCAI 2006.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spatial_size: Sequence[int],
        centre: str = "image",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if centre not in CENTRES:
            raise ValueError(f"centre: expected image or motion, found {centre!r}")
        self.spatial_size, self.centre = tuple(spatial_size), centre
        self.around_middle = ResizeWithPadOrCrop([*spatial_size, -1])

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Crop the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.around_middle(d[key]) if self.centre == "image" else self._around_motion(d[key])
        return d

    def _around_motion(self, img: Any) -> MetaTensor:
        pixel_mm = pixel_size_mm(img)
        frames = img.as_tensor()
        places = motion_centre(frames[0].numpy(), pixel_mm)
        starts = [round(float(at)) - size // 2 for at, size in zip(places, self.spatial_size, strict=True)]
        margins = []
        for start, size, length in zip(starts, self.spatial_size, frames.shape[1:3], strict=True):
            margins.append((-start, start + size - length))  # negative ones crop
        (top, bottom), (left, right) = margins
        cropped = pad(frames, (0, 0, left, right, top, bottom))
        affine = img.affine.clone()
        affine[:3, 3] += affine[:3, 0] * starts[0] + affine[:3, 1] * starts[1]
        return _placed(cropped, affine, img)


def _placed(frames: torch.Tensor, affine: torch.Tensor, img: MetaTensor) -> MetaTensor:
    placed = MetaTensor(frames, meta=dict(img.meta))
    placed.affine = affine
    return placed


def pixel_size_mm(img: Any) -> tuple[float, float]:
    """Return the distance between rows and between columns of a slice with an affine.

    Raises:
        ValueError: if it tells none.
    """
    if not isinstance(img, MetaTensor):
        raise ValueError("expected a slice with its pixel size, found none: these weights need one")
    row, column = (float(torch.linalg.norm(img.affine[:3, axis])) for axis in (0, 1))
    if not (np.isfinite(row * column) and row * column > 0):
        raise ValueError(f"expected a pixel size in mm, found {row:g} x {column:g}: these weights need one")
    return row, column


def first_harmonic(frames: NDArray) -> NDArray[np.float64]:
    """Return the amplitude (H, W) with which each pixel of (H, W, T) changes once a beat."""
    beats = np.arange(frames.shape[-1]) / frames.shape[-1]
    return np.asarray(np.abs(frames @ np.exp(-2j * np.pi * beats)) / len(beats))


def motion_centre(frames: NDArray, pixel_mm: tuple[float, float]) -> NDArray[np.float64]:
    """Return row and column around which a slice (H, W, T) beats; the picture's middle if nothing does."""
    amplitude = gaussian_filter(first_harmonic(frames), 1.0)
    floor = max(2.0 * float(np.median(amplitude)), 1e-6 * float(np.abs(frames).max()))  # noise has some everywhere
    amplitude = np.clip(amplitude - floor, 0.0, None)
    scale = np.asarray(pixel_mm)[:, None, None]
    places = np.indices(amplitude.shape) * scale
    middle = 0.5 * (np.asarray(amplitude.shape) - 1.0) * scale[:, 0, 0]
    amplitude *= _bell(places, middle, _PICTURE_MM)
    if not amplitude.any():
        return middle / scale[:, 0, 0]
    coarse = gaussian_filter(amplitude, _COARSE_MM / scale[:, 0, 0])
    centre = places.reshape(2, -1)[:, np.argmax(coarse)]
    for _ in range(_ROUNDS):
        near = amplitude * _bell(places, centre, _HEART_MM)
        centre = (places * near).sum(axis=(1, 2)) / near.sum()
    return centre / scale[:, 0, 0]


def _bell(places: NDArray, centre: NDArray, width: float) -> NDArray:
    return np.asarray(np.exp(-0.5 * ((places - centre[:, None, None]) ** 2).sum(axis=0) / width**2))
