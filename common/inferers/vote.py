"""The vote of several models on one case."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def vote(masks: Sequence[Tensor], at_least: int | None = None) -> Tensor:
    """Return the voxels (bool) that enough of the models call lesion.

    Args:
        masks: one mask a model, same shapes, lesion where positive.
        at_least: number of models needed; by default half of them, rounded up, so 4 of 8 as in the published code.

    Raises:
        ValueError: if there is no mask, or `at_least` is not between 1 and their number.
    """
    if not masks:
        raise ValueError("masks: expected one or more, found none")
    needed = math.ceil(len(masks) / 2) if at_least is None else at_least
    if not 1 <= needed <= len(masks):
        raise ValueError(f"at_least: expected 1 to {len(masks)} models, found {needed}")
    return torch.stack([mask > 0 for mask in masks]).sum(dim=0) >= needed
