"""Overlap of a lesion's mask and classes of its size, by the rules of the BONBID-HIE challenge."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

# Fraction of the brain's volume in percent that ends a class of lesions; LADP, table 1.
SMALL_BELOW_PERCENT = 1.0
LARGE_ABOVE_PERCENT = 5.0


class LesionSize(NamedTuple):
    """Volume of a lesion in ml and in percent of the brain."""

    volume_ml: float
    percent_of_brain: float


def dice_score(predicted: ArrayLike, reference: ArrayLike) -> float:
    """Return 2 |A and B| / (|A| + |B|); 1 if both masks are empty.

    Args:
        predicted, reference: same shape, mask where positive.

    Raises:
        ValueError: if the shapes differ.
    """
    first, second = np.asarray(predicted) > 0, np.asarray(reference) > 0
    if first.shape != second.shape:
        raise ValueError(f"masks: expected one shape, found {first.shape} and {second.shape}")
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def lesion_size(mask: ArrayLike, brain: ArrayLike, voxel_mm3: float) -> LesionSize:
    """Return a lesion's volume in ml and as a fraction of the brain in percent.

    Args:
        mask: lesion where positive.
        brain: same shape, brain where positive (a skull-stripped ADC map serves).
        voxel_mm3: volume of a voxel; positive.

    Raises:
        ValueError: if the brain is empty.
    """
    voxels, whole = int((np.asarray(mask) > 0).sum()), int((np.asarray(brain) > 0).sum())
    if whole == 0:
        raise ValueError("brain: expected some voxels above 0, found none")
    return LesionSize(voxels * voxel_mm3 / 1000, 100 * voxels / whole)


def lesion_size_class(percent_of_brain: float) -> str:
    """Return "none", "<1%", "1-5%" or ">5%" for a lesion's fraction of the brain in percent (table 1 of LADP)."""
    if percent_of_brain == 0:
        return "none"
    if percent_of_brain < SMALL_BELOW_PERCENT:
        return "<1%"
    return ">5%" if percent_of_brain > LARGE_ABOVE_PERCENT else "1-5%"
