"""Barlow Twins: two views of an image get equal features, and no feature repeats another."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..training.gather import gather_with_gradient

# Variance floor of the batch normalisation in the authors' code: a constant feature becomes 0 instead of NaN.
EPSILON = 1e-5


def barlow_twins_loss(first: Tensor, second: Tensor, redundancy_weight: float = 5e-3) -> Tensor:
    """Return how far the cross-correlation of two views' embeddings is from the identity.

    Statistics run over the batch of all processes, so that the value does not depend on how the batch is split.

    Args:
        first, second: (B, D), embeddings of two views of the same images.
        redundancy_weight: lambda of eq. 1; positive.

    Raises:
        ValueError: if the shapes differ or are not (B, D), B < 2 (a standard deviation needs two samples), or
            `redundancy_weight` is not positive.

    References:
        Zbontar et al., Barlow Twins, ICML 2021, https://arxiv.org/abs/2103.03230 (eq. 1 and 2). The default weight is
        that of BT-UNet: Punn and Agarwal 2022, https://arxiv.org/abs/2112.03916

    Example:
        >>> import torch
        >>> from common.doppler import barlow_twins_loss
        >>> view = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])  # decorrelated features
        >>> round(float(barlow_twins_loss(view, view)), 3)
        0.0
        >>> round(float(barlow_twins_loss(view, -view)), 3)  # (1 + 1)^2 for each of two features
        8.0
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"expected two (B, D) embeddings, found {tuple(first.shape)} and {tuple(second.shape)}")
    if redundancy_weight <= 0:
        raise ValueError(f"redundancy_weight: expected a positive number, found {redundancy_weight}")
    first, second = gather_with_gradient(first), gather_with_gradient(second)
    if len(first) < 2:
        raise ValueError(f"expected at least 2 samples in a batch, found {len(first)}; raise the batch size")
    with torch.autocast(first.device.type, enabled=False):
        return _off_identity(standardise(first).T @ standardise(second) / len(first), redundancy_weight)


def _off_identity(c: Tensor, redundancy_weight: float) -> Tensor:
    invariance = (1 - c.diagonal()).square().sum()
    redundancy = c.square().sum() - c.diagonal().square().sum()
    return invariance + redundancy_weight * redundancy


def standardise(embeddings: Tensor) -> Tensor:
    """Return (B, D) embeddings with mean 0 and variance 1 over the batch; a constant feature becomes 0.

    Half precision is computed in single precision: a sum of squares over the batch leaves its range.
    """
    if embeddings.dtype in (torch.float16, torch.bfloat16):
        embeddings = embeddings.float()
    centred = embeddings - embeddings.mean(0)
    return centred * (centred.square().mean(0) + EPSILON).rsqrt()


class BarlowTwinsLoss(nn.Module):
    """Module form of :func:`barlow_twins_loss` for two views side by side, as MONAI's trainer hands them over.

    MONAI's class of the same name multiplies with a standardisation over the other axis: two equal, decorrelated
    views score F / N^2 there instead of 0.
    """

    def __init__(self, redundancy_weight: float = 5e-3) -> None:
        super().__init__()
        self.redundancy_weight = redundancy_weight

    def forward(self, views: Tensor, target: object = None) -> Tensor:
        """Return the loss of (B, 2, D) embeddings; there is no target, the argument is the trainer's."""
        return barlow_twins_loss(views[:, 0], views[:, 1], self.redundancy_weight)


def embedding_row(batch: Any, output: Any) -> dict[str, Any]:
    """Return case and the embeddings of both views of one image, as lists."""
    return {"case": str(batch["case"]), "views": output["pred"].float().cpu().tolist()}


def held_out_barlow_twins(rows: Sequence[Mapping[str, Any]], redundancy_weight: float = 5e-3) -> float:
    """Return the loss over all images of a validation as one batch; NaN below two images."""
    if len(rows) < 2:
        return math.nan
    views = torch.tensor([row["views"] for row in rows], dtype=torch.float64)
    centred = [standardise(views[:, index]) for index in range(2)]
    return float(_off_identity(centred[0].T @ centred[1] / len(rows), redundancy_weight))
