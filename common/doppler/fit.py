"""Crop to the spectral trace, pad to the network's shape, resize; and the exact way of points there and back.

Points are (x, y) with whole numbers at pixel centres. A placement is (offset_x, offset_y, scale_x, scale_y):
network = (image + 0.5 - offset) * scale - 0.5.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import TransformBackends
from torch import Tensor
from torch.nn import functional


def to_network(points: Tensor, placement: Tensor) -> Tensor:
    """Return (..., 2) image points in pixels of the network's input; `placement` is (4,) or broadcasts to (..., 4)."""
    return (points + 0.5 - placement[..., :2]) * placement[..., 2:] - 0.5


def to_image(points: Tensor, placement: Tensor) -> Tensor:
    """Return (..., 2) points of the network's input in image pixels: the inverse of :func:`to_network`."""
    return (points + 0.5) / placement[..., 2:] + placement[..., :2] - 0.5


def fit_spectrum(image: Tensor, box: Tensor, spatial_size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the trace of an image, padded with zeros to the shape of `spatial_size` and resized, and its placement.

    The aspect ratio stays, up to the rounding of the padding to whole pixels, which the placement counts in.

    Args:
        image: (C, H, W).
        box: (4,), whole pixels min_x, min_y, max_x, max_y of the trace, all inside it.
        spatial_size: height and width of the result.

    References:
        Jevsikov et al. 2024 and the group's earlier work pad to a square: a square `spatial_size` does that.
    """
    height, width = spatial_size
    min_x, min_y, max_x, max_y = (int(value) for value in box)
    cropped = image[:, min_y : max_y + 1, min_x : max_x + 1]
    rows, columns = cropped.shape[1:]
    padded_rows = max(rows, round(columns * height / width))
    padded_columns = max(columns, round(rows * width / height))
    top, left = (padded_rows - rows) // 2, (padded_columns - columns) // 2
    padded = functional.pad(cropped, (left, padded_columns - columns - left, top, padded_rows - rows - top))[None]
    resized = functional.interpolate(padded, (height, width), mode="bilinear", align_corners=False, antialias=True)[0]
    placement = [min_x - left, min_y - top, width / padded_columns, height / padded_rows]
    return resized, torch.tensor(placement, dtype=torch.float64)


def cut_trace(item: Any) -> tuple[Tensor, Tensor]:
    """Return the trace of an item without padding, (H, W) float32 in [0, 1], and its placement.

    Args:
        item: `trace`, `placement`, `box` and `image` as :class:`FitSpectrumd` leaves them.
    """
    trace = torch.as_tensor(item["trace"])[0].float().cpu() / 255
    placement = torch.as_tensor(item["placement"]).double().cpu().clone()
    placement[2:] *= trace.shape[1] / item["image"].shape[-1]
    offset, scale = placement.reshape(2, 2)
    low, high = torch.as_tensor(item["box"]).cpu().reshape(2, 2)
    first_x, first_y = ((low - offset) * scale).round().clamp(min=0).int().tolist()
    end_x, end_y = ((high + 1 - offset) * scale).round().int().tolist()
    placement[:2] += torch.tensor([first_x, first_y]) / scale
    return trace[first_y:end_y, first_x:end_x], placement


class FitSpectrumd(MapTransform):
    """Fit images to the network's input by :func:`fit_spectrum`; points under `points_key` go along if there."""

    backend = [TransformBackends.TORCH]  # noqa: RUF012 - MONAI declares a list

    def __init__(
        self,
        keys: KeysCollection = "image",
        spatial_size: Sequence[int] = (512, 512),
        box_key: str = "box",
        points_key: str = "peaks",
        placement_key: str = "placement",
        trace_scale: int = 0,
    ) -> None:
        """Keep the keys: of the image, its (4,) box, its (..., 2) points (optional), and of the placement written.

        With a `trace_scale` the same part of the image, that many times as large, goes to `trace` as uint8: what the
        slopes of waves are measured on.

        Raises:
            ValueError: if `spatial_size` is not two positive numbers.
        """
        super().__init__(keys)
        if len(spatial_size) != 2 or min(spatial_size) < 1:
            raise ValueError(f"spatial_size: expected a positive height and width, found {spatial_size}")
        self.spatial_size = [int(size) for size in spatial_size]
        self.box_key, self.points_key, self.placement_key = box_key, points_key, placement_key
        self.trace_scale = trace_scale

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Fit the images under `keys` and move the points; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            if self.trace_scale:
                large, _ = fit_spectrum(
                    d[key], d[self.box_key], [self.trace_scale * size for size in self.spatial_size]
                )
                d["trace"] = (255 * large.clamp(0, 1)).round().to(torch.uint8)
            d[key], d[self.placement_key] = fit_spectrum(d[key], d[self.box_key], self.spatial_size)
        if self.points_key in d:
            points = d[self.points_key]
            d[self.points_key] = to_network(points.double(), d[self.placement_key]).to(points.dtype)
        return d
