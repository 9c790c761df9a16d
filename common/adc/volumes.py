"""Volumes by SimpleITK: `.mha`, NIfTI and whatever else it reads, with their place in space."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import SimpleITK as sitk
from monai.data import ImageReader
from monai.utils.enums import MetaKeys, SpaceKeys
from numpy.typing import NDArray

from ..errors import UnusableFileError
from ..files import replacing

PathLike = str | os.PathLike[str]
Values = NDArray[np.float64]

# Grids that differ by less are one grid: .mha files keep six decimals, NIfTI single precision.
GRID_TOLERANCE_MM = 1e-3
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Grid(NamedTuple):
    """Size in voxels, and affine (4, 4) from voxel index to mm in RAS."""

    size: tuple[int, int, int]
    affine: Values


class VolumeReader(ImageReader):
    """Reads 3D volumes for MONAI's `LoadImage`; several files, or 4D and vector files, become channels.

    The array is (X, Y, Z) or (C, X, Y, Z), float32; `affine` is RAS as with MONAI's other readers. Files that are
    stacked must share a grid. Reading happens in :meth:`get_data`, because `LoadImage` hides the reason of an error
    in :meth:`read` behind its other readers.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Return True: SimpleITK looks at the content."""
        return True

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> list[str]:
        """Return the paths; they are opened in :meth:`get_data`."""
        paths = [data] if isinstance(data, (str, os.PathLike)) else data
        return [str(path) for path in paths]

    def get_data(self, img: Sequence[str]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return the voxels of the files `img` and the metadata that MONAI expects.

        Raises:
            UnusableFileError: if a file is unreadable or no volume, or the files' grids differ.
        """
        volumes = [read_volume(path) for path in img]
        grid = volumes[0][1]
        for path, (_, other) in zip(img[1:], volumes[1:], strict=True):
            difference = grid_difference(grid, other)
            if difference:
                raise UnusableFileError(
                    f"{path}: expected the grid of {img[0]}, found {difference}; resample one first"
                )
        array = np.concatenate([voxels for voxels, _ in volumes])
        single = len(array) == 1
        metadata: dict[str, Any] = {
            MetaKeys.AFFINE: grid.affine.copy(),
            MetaKeys.ORIGINAL_AFFINE: grid.affine.copy(),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.SPATIAL_SHAPE: np.asarray(grid.size),
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan") if single else 0,
        }
        return array[0] if single else array, metadata


def read_volume(path: PathLike) -> tuple[NDArray[np.float32], Grid]:
    """Return the voxels (C, X, Y, Z) of a file and its grid; a fourth axis or a vector's components are channels.

    Raises:
        UnusableFileError: if the file is missing, damaged or not 3D (or 4D with channels last).
    """
    if not Path(path).is_file():
        raise UnusableFileError(f"{path}: expected an image file, found none")
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise UnusableFileError(
            f"{path}: expected a whole image file, found one that is unreadable: {reason}"
        ) from error
    array = sitk.GetArrayFromImage(image)
    components = image.GetNumberOfComponentsPerPixel()
    if image.GetDimension() == 4 and components == 1:
        channels = np.moveaxis(array.T, -1, 0)
    elif image.GetDimension() == 3:
        channels = array.T if components > 1 else array.T[None]
    else:
        raise UnusableFileError(
            f"{path}: expected a 3D volume (or 4D with channels last), found {image.GetDimension()}D"
        )
    if channels.size == 0:
        raise UnusableFileError(f"{path}: expected voxels, found size {image.GetSize()}")
    return np.ascontiguousarray(channels, dtype=np.float32), _grid(image)


def read_grid(path: PathLike) -> Grid:
    """Return the grid of a file from its header alone."""
    return _grid(_header(path))


def grid_difference(first: Grid, second: Grid) -> str:
    """Return in words by how much `second` departs from `first`; empty if they are one grid within 1e-3 mm.

    Compared are the sizes and the places of all eight corners, so that a small tilt of a large volume counts.
    """
    if first.size != second.size:
        return f"size {second.size} instead of {first.size}"
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(first.size) - 1)
    homogeneous = np.c_[corners, np.ones(8)]
    shift_mm = float(np.linalg.norm((homogeneous @ (second.affine - first.affine).T)[:, :3], axis=1).max())
    if shift_mm <= GRID_TOLERANCE_MM:
        return ""
    sizes = [np.linalg.norm(grid.affine[:3, :3], axis=0) for grid in (first, second)]
    origins = [grid.affine[:3, 3] for grid in (first, second)]
    cosines = np.clip(np.sum(first.affine[:3, :3] * second.affine[:3, :3], axis=0) / (sizes[0] * sizes[1]), -1, 1)
    return (
        f"voxels up to {shift_mm:.4g} mm away (spacing off by {np.abs(sizes[1] - sizes[0]).max():.4g} mm, "
        f"origin by {np.linalg.norm(origins[1] - origins[0]):.4g} mm, "
        f"direction by {np.degrees(np.arccos(cosines)).max():.4g} degrees)"
    )


def write_on_grid(voxels: NDArray[Any], path: PathLike, reference: PathLike) -> None:
    """Write `voxels` (X, Y, Z) to `path` with exactly the spacing, origin and direction of the file `reference`.

    Args:
        voxels: any type that SimpleITK writes; booleans become 8-bit.
        path: its suffix chooses the format; the file is whole or not there.
        reference: file whose header gives the grid, 3D or 4D with channels last.

    Raises:
        ValueError: if `voxels` has not the size of `reference`.
    """
    header = _header(reference)
    size = header.GetSize()[:3]
    if voxels.shape != size:
        raise ValueError(f"voxels: expected the size {size} of {reference}, found {voxels.shape}")
    plain = voxels.astype(np.uint8) if voxels.dtype == bool else voxels
    image = sitk.GetImageFromArray(np.ascontiguousarray(plain.T))
    image.SetSpacing(header.GetSpacing()[:3])
    image.SetOrigin(header.GetOrigin()[:3])
    image.SetDirection(_direction(header).ravel().tolist())
    with replacing(path) as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=True)


def _header(path: PathLike) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise UnusableFileError(f"{path}: expected an image file, found one without a readable header") from error
    if len(reader.GetSize()) not in (3, 4):
        raise UnusableFileError(f"{path}: expected a 3D volume, found {len(reader.GetSize())}D")
    return reader


def _direction(image: sitk.Image | sitk.ImageFileReader) -> Values:
    matrix = np.asarray(image.GetDirection())
    side = round(matrix.size**0.5)
    return matrix.reshape(side, side)[:3, :3]


def _grid(image: sitk.Image | sitk.ImageFileReader) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = _direction(image) * np.asarray(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    x, y, z = image.GetSize()[:3]
    return Grid((x, y, z), _LPS_TO_RAS @ affine)


def voxel_spacing_mm(path: PathLike) -> tuple[float, float, float]:
    """Return the size of a voxel of a file along x, y and z."""
    x, y, z = np.linalg.norm(read_grid(path).affine[:3, :3], axis=0)
    return float(x), float(y), float(z)


def has_volume_suffix(path: Path) -> bool:
    """Return whether the name ends as those of volumes do: .mha, .mhd, .nrrd, .nii or .nii.gz."""
    return path.name.lower().endswith((".mha", ".mhd", ".nrrd", ".nii", ".nii.gz"))
