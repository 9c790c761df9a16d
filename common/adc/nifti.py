"""NIfTI volumes by nibabel: voxels, position in space, and files that keep another one's sform and qform."""

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from ..data.geometry import nifti_affine
from ..data.integrity import check_claimed_size, check_compressed
from ..errors import UnusableFileError
from .grid import Grid, check_grid

# What places voxels in space. Nothing else is taken over: a header may name the patient.
QFORM = ("qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
SFORM = ("sform_code", "srow_x", "srow_y", "srow_z")
MM_PER_UNIT = {"unknown": 1.0, "mm": 1.0, "meter": 1e3, "micron": 1e-3}


def is_nifti(path: Path) -> bool:
    """Return whether the name ends in .nii or .nii.gz."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def read_nifti_grid(path: Path) -> Grid:
    """Return the grid of a NIfTI file from its header alone."""
    image = _opened(path)
    x, y, z = image.shape[:3]
    mm = MM_PER_UNIT[image.header.get_xyzt_units()[0]]
    return check_grid(Grid((x, y, z), np.diag([mm, mm, mm, 1.0]) @ nifti_affine(image, path)), path)


def read_nifti(path: Path) -> tuple[NDArray[np.float32], Grid]:
    """Return the voxels (C, X, Y, Z) of a NIfTI file and its grid.

    Raises:
        UnusableFileError: if the file is damaged, no volume, or contradicts itself about its position in space.
    """
    check_compressed(path)
    grid = read_nifti_grid(path)
    image = _opened(path)
    try:
        with np.errstate(over="ignore"):  # too large for float32 is infinite, which no map may be
            array = np.asarray(image.dataobj).astype(np.float32)
    except Exception as error:
        raise _damaged(path) from error
    return np.ascontiguousarray(np.moveaxis(array.reshape(*grid.size, -1), -1, 0)), grid


def write_nifti(voxels: NDArray[Any], path: Path, reference: Path) -> None:
    """Write `voxels` (X, Y, Z) with the sform and the qform of the NIfTI file `reference`, as they stand there."""
    source = _opened(reference)
    header = type(source.header)()
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape(voxels.shape)
    header["pixdim"][:4] = source.header["pixdim"][:4]
    for name in (*QFORM, *SFORM, "xyzt_units"):
        header[name] = source.header[name]
    content = type(source)(voxels, None, header).to_bytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix.lower() == ".gz" else content)


def write_nifti_on(affine: NDArray[np.float64], voxels: NDArray[Any], path: Path) -> None:
    """Write `voxels` (X, Y, Z) with `affine`, to mm in RAS, as sform and qform in the scanner's axes."""
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, "scanner")
    image.set_qform(affine, "scanner")
    content = image.to_bytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix.lower() == ".gz" else content)


def _opened(path: Path) -> Any:
    """Return the image with its header read and its claims checked, the voxels not yet."""
    try:
        with nibabel.imageglobals.LoggingOutputSuppressor():  # notes on headers that other programs may not read
            image: Any = nibabel.load(path)
        kind, _ = image.get_data_dtype(), image.header.get_xyzt_units()
    except Exception as error:
        raise _damaged(path) from error
    if not isinstance(image, nibabel.Nifti1Image):
        raise UnusableFileError(f"{path}: expected a NIfTI file, found {type(image).__name__}")
    channels = image.shape[4:] if image.shape[3:4] == (1,) else image.shape[3:]
    if len(image.shape) < 3 or len(channels) > 1:
        raise UnusableFileError(f"{path}: expected a 3D volume (or 4D with channels last), found {len(image.shape)}D")
    if kind.kind not in "iuf":
        raise UnusableFileError(f"{path}: expected integers or floating-point numbers, found voxels of {kind}")
    if min(image.shape) < 1:
        raise UnusableFileError(f"{path}: expected voxels along each axis, found size {image.shape}")
    check_claimed_size(path, image.shape, kind.itemsize)
    return image


def _damaged(path: Path) -> UnusableFileError:
    return UnusableFileError(f"{path}: expected a whole image file, found a damaged NIfTI; copy or export it again")
