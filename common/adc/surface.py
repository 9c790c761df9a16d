"""Distances between the surfaces of two masks, each surface element weighed by its area."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from monai.metrics.utils import create_table_neighbour_code_to_surface_area
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


class SurfaceScores(NamedTuple):
    """Mean average surface distance in mm (NaN where undefined) and normalised surface Dice in [0, 1]."""

    masd_mm: float
    nsd: float


def surface_scores(
    predicted: ArrayLike, reference: ArrayLike, spacing_mm: Sequence[float], tolerance_mm: float = 2.0
) -> SurfaceScores:
    """Return MASD and NSD of two masks by the rules of the BONBID-HIE challenge.

    Surface elements sit at the corners between voxels and carry the area of the surface that the eight voxels around
    them span. MASD is the mean of the two area-weighted average distances; NSD the fraction of both surfaces' area that
    lies within `tolerance_mm` of the other. Both masks empty: MASD 0, NSD 1. One empty: MASD undefined (NaN), NSD 0.
    Only the box around both masks is looked at, so the cost follows the lesions' size.

    Args:
        predicted, reference: (D, H, W) in any order of axes, mask where positive.
        spacing_mm: size of a voxel along each axis; positive.
        tolerance_mm: at least 0.

    Raises:
        ValueError: if the shapes differ or are not 3D, or the spacing is not three positive numbers.

    References:
        Nikolov et al., Clinically Applicable Segmentation, JMIR 2021, https://doi.org/10.2196/26151
    """
    first, second = np.asarray(predicted) > 0, np.asarray(reference) > 0
    spacing = [float(size) for size in spacing_mm]
    _check(first, second, spacing)
    if not first.any() and not second.any():
        return SurfaceScores(0.0, 1.0)
    if not first.any() or not second.any():
        return SurfaceScores(math.nan, 0.0)
    area_of_code = create_table_neighbour_code_to_surface_area(spacing)[0].double().numpy()
    box = _common_box(first, second)
    first_points, first_areas = _surface(first[box], area_of_code, spacing)
    second_points, second_areas = _surface(second[box], area_of_code, spacing)
    to_second = cKDTree(second_points, balanced_tree=False).query(first_points)[0]
    to_first = cKDTree(first_points, balanced_tree=False).query(second_points)[0]
    masd = (np.average(to_second, weights=first_areas) + np.average(to_first, weights=second_areas)) / 2
    within = first_areas[to_second <= tolerance_mm].sum() + second_areas[to_first <= tolerance_mm].sum()
    return SurfaceScores(float(masd), float(within / (first_areas.sum() + second_areas.sum())))


def _check(first: Mask, second: Mask, spacing: list[float]) -> None:
    if first.shape != second.shape or first.ndim != 3:
        raise ValueError(f"masks: expected two volumes of one 3D shape, found {first.shape} and {second.shape}")
    if len(spacing) != 3 or min(spacing) <= 0:
        raise ValueError(f"spacing_mm: expected three positive sizes, found {spacing}")


def _common_box(first: Mask, second: Mask) -> tuple[slice, ...]:
    """Return the smallest box that holds both masks."""
    either = first | second
    box = []
    for axis in range(3):
        (filled,) = np.nonzero(either.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return tuple(box)


def _surface(mask: Mask, area_of_code: Values, spacing: list[float]) -> tuple[Values, Values]:
    """Return the positions (N, 3) in mm and areas (N,) in mm2 of the mask's surface elements.

    An element's code has one bit for each of the eight voxels around its corner, the first voxel's the highest; codes
    0 and 255 (all outside, all inside) are no surface. Bits are gathered axis by axis.
    """
    code: NDArray[Any] = np.pad(mask, 1).astype(np.uint8)
    code = (code[:, :, :-1] << 1) | code[:, :, 1:]
    code = (code[:, :-1] << 2) | code[:, 1:]
    code = (code[:-1] << 4) | code[1:]
    positions = np.nonzero((code != 0) & (code != 255))
    return np.stack(positions, axis=1) * np.asarray(spacing), area_of_code[code[positions]]
