"""Where the voxels of a volume lie in space, and whether two volumes share that."""

import os
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError

Values = NDArray[np.float64]

# Grids this close are one. Headers in single precision or with few decimals differ by some micrometres; a hundredth of
# a voxel changes an interpolated value by a hundredth of the step to its neighbour, far below the noise of either map.
SAME_GRID_VOXELS = 1e-2
# Voxels of MR are tenths of a millimetre to a centimetre; what is outside is in another unit than mm.
PLAUSIBLE_SPACING_MM = (0.05, 30.0)
# Cosine of the angle between two axes: lengths and volumes that take them for perpendicular are right within 0.5 %.
MOST_SHEAR = 0.01


class Grid(NamedTuple):
    """Size in voxels, and affine (4, 4) from voxel index to mm in RAS."""

    size: tuple[int, int, int]
    affine: Values

    @property
    def spacing_mm(self) -> Values:
        """Size of a voxel (3,) along the axes."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)


def check_grid(grid: Grid, path: str | os.PathLike[str]) -> Grid:
    """Return the grid of the file `path` if lengths and volumes can be measured on it.

    Raises:
        UnusableFileError: if a voxel's size is missing or implausible, or the axes are not perpendicular.
    """
    low, high = PLAUSIBLE_SPACING_MM
    spacing = grid.spacing_mm
    if not np.isfinite(grid.affine).all() or not low <= spacing.min() <= spacing.max() <= high:
        raise UnusableFileError(
            f"{path}: expected voxels of {low:g} to {high:g} mm, found {' x '.join(f'{mm:.4g}' for mm in spacing)} mm; "
            "correct the spacing in its header"
        )
    axes = grid.affine[:3, :3] / spacing
    shear = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if shear > MOST_SHEAR:
        angle = np.degrees(np.arccos(shear))
        raise UnusableFileError(
            f"{path}: expected perpendicular axes, found an angle of {angle:.4g} degrees; resample it without shear"
        )
    return grid


def grid_difference(first: Grid, second: Grid) -> str:
    """Return in words by how much `second` departs from `first`; empty if they agree within a hundredth of a voxel.

    Compared are the sizes and the positions of all eight corners, so that a small tilt of a large volume counts.
    """
    if first.size != second.size:
        return f"size {second.size} instead of {first.size}"
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(first.size) - 1)
    shift_mm = (np.c_[corners, np.ones(8)] @ (second.affine - first.affine).T)[:, :3]
    if np.abs(shift_mm @ np.linalg.inv(first.affine[:3, :3]).T).max() <= SAME_GRID_VOXELS:
        return ""
    sizes = [grid.spacing_mm for grid in (first, second)]
    origins = [grid.affine[:3, 3] for grid in (first, second)]
    cosines = np.clip(np.sum(first.affine[:3, :3] * second.affine[:3, :3], axis=0) / (sizes[0] * sizes[1]), -1, 1)
    return (
        f"voxels up to {np.linalg.norm(shift_mm, axis=1).max():.4g} mm away "
        f"(spacing off by {np.abs(sizes[1] - sizes[0]).max():.4g} mm, "
        f"origin by {np.linalg.norm(origins[1] - origins[0]):.4g} mm, "
        f"direction by {np.degrees(np.arccos(cosines)).max():.4g} degrees)"
    )
