"""Squared error of heat maps, which may count the few pixels of a peak more than the many around it."""

from torch import Tensor, nn


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
