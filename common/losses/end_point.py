"""End-point error of displacement fields on the levels of a pyramid, for supervised training."""

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
        size = (flow.shape[-2], flow.shape[-1])
        error = flow - adaptive_avg_pool2d(target, size)
        # The small constant keeps the gradient of the root finite where the error is 0.
        total = total + weight * torch.sqrt(error.square().sum(1) + 1e-8).mean()
    return total


class EndPointLoss(nn.Module):
    """Module form of :func:`end_point_loss`; a single tensor counts as the one finest level, with weight 1.

    Args:
        weights: factors of the levels, coarse to fine.

    References:
        Hui et al., LiteFlowNet, CVPR 2018 (multi-level training loss); Dosovitskiy et al., FlowNet, ICCV 2015.
    """

    def __init__(self, weights: Sequence[float] = _WEIGHTS) -> None:
        super().__init__()
        self.weights = tuple(weights)

    def forward(self, prediction: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """Return the loss of all levels' flows, or of one flow."""
        if isinstance(prediction, Tensor):
            return end_point_loss([prediction], target, [1.0])
        return end_point_loss(prediction, target, self.weights)
