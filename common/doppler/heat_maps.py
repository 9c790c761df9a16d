"""Heat maps of E and A peaks: the target, and the loss against it."""

from collections.abc import Hashable, Mapping, Sequence

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import TransformBackends
from torch import Tensor, nn


def draw_heat_maps(points: Tensor, spatial_size: Sequence[int], sigma_px: float) -> Tensor:
    """Return (..., H, W) maps with the largest Gaussian of the points in each pixel; without points a map is zero.

    Args:
        points: (..., K, 2), x and y with whole numbers at pixel centres; NaN where there is no point.
        spatial_size: height and width of the maps.
        sigma_px: standard deviation; positive.

    Raises:
        ValueError: if `sigma_px` is not positive.
    """
    if sigma_px <= 0:
        raise ValueError(f"sigma_px: expected a positive number, found {sigma_px}")
    height, width = spatial_size
    x = torch.arange(width, device=points.device, dtype=points.dtype)
    y = torch.arange(height, device=points.device, dtype=points.dtype)
    across = torch.exp(-(x - points[..., 0, None]).square() / (2 * sigma_px**2)).nan_to_num(0)
    down = torch.exp(-(y - points[..., 1, None]).square() / (2 * sigma_px**2)).nan_to_num(0)
    if points.shape[-2] == 0:
        return points.new_zeros(*points.shape[:-2], height, width)
    return (down[..., :, None] * across[..., None, :]).amax(-3)


class DrawHeatMapsd(MapTransform):
    """Add heat maps of the (C, K, 2) points under `keys`, (C, H, W) float32 of the size of the image.

    References:
        Sigma 5 px at 192 x 192 and height 1: the keypoint networks of the paper's group.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 - MONAI declares a list

    def __init__(
        self, keys: KeysCollection = "peaks", image_key: str = "image", label_key: str = "label", sigma_px: float = 5.0
    ) -> None:
        super().__init__(keys)
        self.image_key, self.label_key, self.sigma_px = image_key, label_key, sigma_px

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Add the maps; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            used = d[key][:, ~d[key].isnan().any(-1).all(0)]
            d[self.label_key] = draw_heat_maps(used.float(), d[self.image_key].shape[-2:], self.sigma_px)
        return d


def heat_map_loss(predicted: Tensor, target: Tensor, foreground_weight: float = 0.0) -> Tensor:
    """Return the mean of (predicted - target)^2 (1 + foreground_weight target).

    With weight 0 it is the mean squared error. A map is nearly all background, so that plain error first learns to
    predict zero everywhere; the weight shortens that.

    Args:
        predicted: (B, C, H, W).
        target: (B, C, H, W), in [0, 1].
        foreground_weight: at least 0.

    Raises:
        ValueError: if the shapes differ or the weight is negative.

    Example:
        >>> import torch
        >>> from common.doppler import heat_map_loss
        >>> target = torch.tensor([0.0, 0.0, 0.0, 1.0]).reshape(1, 1, 2, 2)
        >>> float(heat_map_loss(torch.zeros(1, 1, 2, 2), target, foreground_weight=3.0))  # 1 (1 + 3) / 4
        1.0
    """
    if predicted.shape != target.shape or foreground_weight < 0:
        raise ValueError(
            f"expected maps of one shape and a weight of at least 0, found {tuple(predicted.shape)}, "
            f"{tuple(target.shape)} and {foreground_weight}"
        )
    return ((predicted - target).square() * (1 + foreground_weight * target)).mean()


class HeatMapLoss(nn.Module):
    """Module form of :func:`heat_map_loss`."""

    def __init__(self, foreground_weight: float = 0.0) -> None:
        super().__init__()
        self.foreground_weight = foreground_weight

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Return the loss of two (B, C, H, W) maps."""
        return heat_map_loss(predicted, target, self.foreground_weight)
