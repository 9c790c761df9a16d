"""Binary cross-entropy, Dice and focal loss together, for lesions that fill a small part of a slice."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

FocalMean = Literal["pixel", "batch"]


def focal_loss(
    logits: Tensor, target: Tensor, scale: float = 0.8, exponent: float = 2.0, mean_over: FocalMean = "pixel"
) -> Tensor:
    """Return the focal loss scale (1 - p)^exponent BCE with p = e^-BCE, the probability given to the reference.

    Args:
        logits, target: same shape; target in [0, 1].
        scale: alpha, the same for lesion and background; positive.
        exponent: gamma, at least 0; at 0 the loss is `scale` times the cross-entropy.
        mean_over: "pixel" weighs each pixel by its own p and averages (Lin et al.); "batch" takes BCE and p as means
            over the batch first, as the published code of LADP does.

    References:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, https://arxiv.org/abs/1708.02002
    """
    if mean_over not in ("pixel", "batch"):
        raise ValueError(f"mean_over: expected 'pixel' or 'batch', found {mean_over!r}")
    cross_entropy = functional.binary_cross_entropy_with_logits(
        logits, target.to(logits), reduction="none" if mean_over == "pixel" else "mean"
    )
    return (scale * (1 - torch.exp(-cross_entropy)) ** exponent * cross_entropy).mean()


def batch_dice_loss(logits: Tensor, target: Tensor, smooth: float = 0.1) -> Tensor:
    """Return 1 - (2 I + smooth) / (P + T + smooth), with the overlap I and the sums P, T taken over the whole batch.

    Args:
        logits, target: same shape; target in [0, 1].
        smooth: keeps a batch without lesion defined, in pixels; positive.
    """
    probability, reference = torch.sigmoid(logits), target.to(logits)
    overlap = (probability * reference).sum()
    return 1 - (2 * overlap + smooth) / (probability.sum() + reference.sum() + smooth)


class LesionLoss(nn.Module):
    """Cross-entropy + Dice over the batch + `focal_weight` times the focal loss (eq. 7).

    Args:
        focal_weight: weight of the focal loss; at least 0.
        focal_scale, focal_exponent: alpha and gamma of the focal loss.
        focal_mean_over: "pixel" or "batch", see :func:`focal_loss`.
        dice_smooth: in pixels, see :func:`batch_dice_loss`.

    References:
        Ninalga, Label Aware Denoising Pretraining, 2024, eq. 7 (weight 3).

    Example:
        >>> import torch
        >>> from common.adc import LesionLoss
        >>> target = torch.zeros(2, 1, 32, 32)
        >>> bool(LesionLoss()(torch.full_like(target, -20), target) < 1e-4)  # nothing there, nothing predicted
        True
    """

    def __init__(
        self,
        focal_weight: float = 3.0,
        focal_scale: float = 0.8,
        focal_exponent: float = 2.0,
        focal_mean_over: FocalMean = "pixel",
        dice_smooth: float = 0.1,
    ) -> None:
        super().__init__()
        if focal_mean_over not in ("pixel", "batch"):
            raise ValueError(f"focal_mean_over: expected 'pixel' or 'batch', found {focal_mean_over!r}")
        self.focal_weight = focal_weight
        self.focal_scale = focal_scale
        self.focal_exponent = focal_exponent
        self.focal_mean_over: FocalMean = focal_mean_over
        self.dice_smooth = dice_smooth

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (B, 1, H, W) for a target of the same shape with values 0 and 1.

        Raises:
            ValueError: if the shapes differ.
        """
        if logits.shape != target.shape:
            raise ValueError(f"target: expected the logits' shape {tuple(logits.shape)}, found {tuple(target.shape)}")
        reference = target.to(logits)
        cross_entropy = functional.binary_cross_entropy_with_logits(logits, reference)
        focal = focal_loss(logits, reference, self.focal_scale, self.focal_exponent, self.focal_mean_over)
        return cross_entropy + batch_dice_loss(logits, reference, self.dice_smooth) + self.focal_weight * focal
