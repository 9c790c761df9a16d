"""Losses of displacement: unsupervised, as the paper has it, and the end-point error for supervised training."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from .warping import warp


class ElastographyTerms(NamedTuple):
    """Terms of the loss for each pair (B,), and the fraction of reliable pixels in [0, 1]."""

    data: Tensor
    first_order: Tensor
    second_order: Tensor
    reliable_fraction: Tensor


def charbonnier(difference: Tensor, epsilon: float = 0.01, exponent: float = 0.2) -> Tensor:
    """Return the generalised Charbonnier penalty (x^2 + epsilon)^exponent (eq. 3)."""
    return (difference.square() + epsilon).pow(exponent)


def reliable_pixels(
    forward: Tensor, backward: Tensor, tolerance_pixels: float = 1.0, warp_backward: bool = False
) -> Tensor:
    """Return where forward and backward displacement cancel (eq. 4): (B, 1, H, W), 1 or 0, without gradient.

    Args:
        forward: (B, 2, H, W) displacement from the first to the second image, pixels.
        backward: the same from the second to the first.
        tolerance_pixels: largest length of the sum (alpha).
        warp_backward: compare with the backward displacement at the place the forward one leads to, instead of at the
            same pixel as printed. The printed form differs from 0 by strain times displacement even for exact fields:
            .2 pixels at 1 % and 20 pixels, 4 pixels at 4 % and 95 pixels.
    """
    with torch.no_grad():
        opposite = warp(backward, forward, padding="border") if warp_backward else backward
        gap = (forward + opposite).square().sum(1, keepdim=True).sqrt()
        return (gap < tolerance_pixels).to(forward.dtype)


class ElastographyLoss(nn.Module):
    """Mean over pairs of data term and smoothness of the axial displacement, over reliable pixels only.

    Args:
        axial_weight: lambda 1, of the axial derivative about its mean.
        lateral_weight: lambda 2, of the lateral derivative about its mean.
        curvature_weight: lambda 3, of the second axial derivative.
        epsilon: constant of the Charbonnier penalty. The paper says "a small number"; .01 is that of the network's
            published fine-tuning.
        exponent: gamma.
        tolerance_pixels: alpha of eq. 4.
        warp_backward: see :func:`reliable_pixels`.
        least_reliable: fraction of reliable pixels below which a pair is skipped: it adds nothing to the loss.

    After each call `last_terms` holds the :class:`ElastographyTerms` without gradient.

    References:
        Tehrani, Mirzaei and Rivaz, Semi-supervised training of optical flow convolutional neural networks in
        ultrasound elastography, MICCAI 2020, eq. 2 to 7, https://arxiv.org/abs/2007.01421

    Example:
        >>> import torch
        >>> from common.rf import ElastographyLoss
        >>> flows, frame = torch.zeros(1, 4, 16, 16), torch.rand(1, 3, 16, 16)
        >>> loss = ElastographyLoss()(flows, torch.cat([frame, frame], dim=1))
        >>> round(float(loss), 4)  # 0.01^0.2 (1 + 0.5 + 0.005 + 0.2)
        0.6788
    """

    last_terms: ElastographyTerms | None = None

    def __init__(
        self,
        axial_weight: float = 0.5,
        lateral_weight: float = 0.005,
        curvature_weight: float = 0.2,
        epsilon: float = 0.01,
        exponent: float = 0.2,
        tolerance_pixels: float = 1.0,
        warp_backward: bool = False,
        least_reliable: float = 0.5,
    ) -> None:
        super().__init__()
        if epsilon <= 0:
            raise ValueError(f"epsilon: expected a positive number (else the slope at 0 is infinite), found {epsilon}")
        self.weights = (axial_weight, lateral_weight, curvature_weight)
        self.epsilon, self.exponent = epsilon, exponent
        self.tolerance_pixels, self.warp_backward = tolerance_pixels, warp_backward
        self.least_reliable = least_reliable

    def forward(self, displacements: Tensor, image: Tensor) -> Tensor:
        """Return the loss of a batch.

        Args:
            displacements: (B, 4, H, W): forward displacement (lateral, axial), then backward; pixels.
            image: (B, 2 C, H, W): the first image's channels, then the second's.

        Raises:
            ValueError: if `displacements` has not 4 channels or `image` an odd number.
        """
        if displacements.shape[1] != 4 or image.shape[1] % 2:
            raise ValueError(
                "displacements, image: expected 4 channels (forward, backward) and an even number (two images), "
                f"found {displacements.shape[1]} and {image.shape[1]}"
            )
        terms = self.terms(displacements, image)
        self.last_terms = ElastographyTerms(*(term.detach() for term in terms))
        kept = (terms.reliable_fraction >= self.least_reliable).to(displacements.dtype)
        total = terms.data + terms.first_order + terms.second_order
        return (kept * total).sum() / kept.sum().clamp_min(1)

    def terms(self, displacements: Tensor, image: Tensor) -> ElastographyTerms:
        """Return the terms of each pair; see :meth:`forward` for the arguments."""
        forward, backward = displacements[:, :2], displacements[:, 2:].detach()
        reliable = reliable_pixels(forward, backward, self.tolerance_pixels, self.warp_backward)
        first, second = image.chunk(2, dim=1)
        axial = forward[:, 1:]
        along, across = axial.diff(dim=2), axial.diff(dim=3)
        # A difference counts where every pixel it is made of is reliable.
        pairs, sides = reliable[:, :, 1:] * reliable[:, :, :-1], reliable[:, :, :, 1:] * reliable[:, :, :, :-1]
        data = self._penalty(first - warp(second, forward, padding="border"), reliable)
        slopes = self.weights[0] * self._penalty(along - _mean(along, pairs), pairs)
        slopes = slopes + self.weights[1] * self._penalty(across - _mean(across, sides), sides)
        curvature = self.weights[2] * self._penalty(along.diff(dim=2), pairs[:, :, 1:] * pairs[:, :, :-1])
        return ElastographyTerms(data, slopes, curvature, reliable.mean((1, 2, 3)))

    def _penalty(self, difference: Tensor, reliable: Tensor) -> Tensor:
        penalty = charbonnier(difference, self.epsilon, self.exponent).mean(1, keepdim=True)
        return _mean(penalty, reliable).flatten()


def _mean(values: Tensor, reliable: Tensor) -> Tensor:
    """Return the mean over reliable pixels (B, 1, 1, 1); 0 where there are none."""
    total = (values * reliable).sum((1, 2, 3), keepdim=True)
    return total / reliable.sum((1, 2, 3), keepdim=True).clamp_min(1)


_WEIGHTS = (0.05, 0.1, 0.2, 0.5, 1.0)


def end_point_loss(displacements: Sequence[Tensor], target: Tensor, weights: Sequence[float] = _WEIGHTS) -> Tensor:
    """Return the weighted sum over levels of the mean distance between `displacements` and `target`.

    Args:
        displacements: (B, 2, h, w) displacement of each level, coarse to fine, in pixels of the full resolution.
        target: (B, 2, H, W) true displacement in pixels; brought to each level's size by its local mean.
        weights: one factor a level; by default the finest counts most, because it is the one that is used.

    Raises:
        ValueError: if there are not as many weights as levels.
    """
    if len(displacements) != len(weights):
        raise ValueError(f"weights: expected one a level ({len(displacements)}), found {len(weights)}")
    total = target.new_zeros(())
    for displacement, weight in zip(displacements, weights, strict=True):
        error = displacement - _at_size_of(displacement, target)
        # The small constant keeps the gradient of the root finite where the error is 0.
        total = total + weight * torch.sqrt(error.square().sum(1) + 1e-8).mean()
    return total


def slope_loss(displacement: Tensor, target: Tensor, rows: int = 16) -> Tensor:
    """Return the mean absolute error of the axial slope between positions `rows` rows of `displacement` apart.

    What is read off a displacement field is its slope: an error of .1 pixel that changes from row to row ruins the
    strain, and one that does not change leaves it as it is.

    Args:
        displacement: (B, 2, h, w) displacement in pixels of the full resolution, channel 1 axial.
        target: (B, 2, H, W) true displacement; brought to the size of `displacement` by its local mean.
        rows: distance, below h; the strain's window over the pixels in a row of `displacement` is a good choice.
    """
    error = (displacement - _at_size_of(displacement, target))[:, 1]
    pixels = rows * target.shape[-2] / displacement.shape[-2]
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
        """Return the loss of all levels' displacements, or of one displacement."""
        if isinstance(prediction, Tensor):
            return self._loss([prediction], target, [1.0])
        return self._loss(prediction, target, self.weights)

    def _loss(self, displacements: Sequence[Tensor], target: Tensor, weights: Sequence[float]) -> Tensor:
        loss = end_point_loss(displacements, target, weights)
        if self.slope_weight:
            loss = loss + self.slope_weight * slope_loss(displacements[-1], target, self.slope_rows)
        return loss


def _at_size_of(displacement: Tensor, target: Tensor) -> Tensor:
    return adaptive_avg_pool2d(target, (displacement.shape[-2], displacement.shape[-1]))
