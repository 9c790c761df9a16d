"""End-point error of displacement fields on the levels of a pyramid, and of their slope, for supervised training."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

_WEIGHTS = (0.05, 0.1, 0.2, 0.5, 1.0)


def end_point_loss(flows: Sequence[Tensor], target: Tensor, weights: Sequence[float] = _WEIGHTS) -> Tensor:
    """Return the weighted sum over levels of the mean distance between `flows` and `target`.

    Args:
        flows: (B, 2, h, w) displacement of each level, coarse to fine, in pixels of the full resolution.
        target: (B, 2, H, W) true displacement in pixels; brought to each level's size by its local mean.
        weights: one factor a level; by default the finest counts most, because it is the one that is used.

    Raises:
        ValueError: if there are not as many weights as levels.
    """
    if len(flows) != len(weights):
        raise ValueError(f"weights: expected one a level ({len(flows)}), found {len(weights)}")
    total = target.new_zeros(())
    for flow, weight in zip(flows, weights, strict=True):
        error = flow - _at_size_of(flow, target)
        # The small constant keeps the gradient of the root finite where the error is 0.
        total = total + weight * torch.sqrt(error.square().sum(1) + 1e-8).mean()
    return total


def slope_loss(flow: Tensor, target: Tensor, rows: int = 16) -> Tensor:
    """Return the mean absolute error of the axial slope between positions `rows` rows of `flow` apart.

    What is read off a displacement field is its slope: an error of .1 pixel that changes from row to row ruins the
    strain, and one that does not change leaves it as it is.

    Args:
        flow: (B, 2, h, w) displacement in pixels of the full resolution, channel 1 axial.
        target: (B, 2, H, W) true displacement; brought to the size of `flow` by its local mean.
        rows: distance, below h; the strain's window over the pixels in a row of `flow` is a good choice.
    """
    error = (flow - _at_size_of(flow, target))[:, 1]
    pixels = rows * target.shape[-2] / flow.shape[-2]
    return (error[:, rows:] - error[:, :-rows]).abs().mean() / pixels


class EndPointLoss(nn.Module):
    """Module form of :func:`end_point_loss` plus the weighted :func:`slope_loss` of the finest level.

    A single tensor counts as the one finest level, with weight 1.

    Args:
        weights: factors of the levels, coarse to fine.
        slope_weight: factor of the slope's error; 0 leaves it out.
        slope_rows: distance of the positions whose slope is compared, in rows of the finest level.

    References:
        Hui et al., LiteFlowNet, CVPR 2018 (multi-level training loss); Dosovitskiy et al., FlowNet, ICCV 2015.

    Example:
        >>> import torch
        >>> from common.rf import EndPointLoss
        >>> reference = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1).expand(1, 2, 8, 8)
        >>> round(float(EndPointLoss()(torch.zeros(1, 2, 8, 8), reference)), 4)
        5.0
    """

    def __init__(self, weights: Sequence[float] = _WEIGHTS, slope_weight: float = 0.0, slope_rows: int = 16) -> None:
        super().__init__()
        self.weights, self.slope_weight, self.slope_rows = tuple(weights), slope_weight, slope_rows

    def forward(self, prediction: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """Return the loss of all levels' flows, or of one flow."""
        if isinstance(prediction, Tensor):
            return self._loss([prediction], target, [1.0])
        return self._loss(prediction, target, self.weights)

    def _loss(self, flows: Sequence[Tensor], target: Tensor, weights: Sequence[float]) -> Tensor:
        loss = end_point_loss(flows, target, weights)
        if self.slope_weight:
            loss = loss + self.slope_weight * slope_loss(flows[-1], target, self.slope_rows)
        return loss


def _at_size_of(flow: Tensor, target: Tensor) -> Tensor:
    return adaptive_avg_pool2d(target, (flow.shape[-2], flow.shape[-1]))
