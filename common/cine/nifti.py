"""Cine MR in 4D NIfTI files with axes x, y, slice, frame (ACDC, M&Ms, dcm2niix)."""

from __future__ import annotations

import os
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from ..data.geometry import nifti_affine
from ..data.integrity import check_claimed_size, check_compressed, check_kind
from ..errors import UnusableFileError
from .volume import Cine, CineSlice, check_pixels, report

SUFFIXES = (".nii.gz", ".nii")
_SPACING_MM = (0.1, 200.0)
_LIKE = 0.05
_UNREADABLE = (EOFError, OSError, zlib.error, ValueError, nibabel.filebasedimages.ImageFileError)


def is_nifti(path: str | os.PathLike[str]) -> bool:
    """Return whether the name ends in .nii or .nii.gz."""
    return str(path).lower().endswith(SUFFIXES)


def read_nifti_cine(path: str | os.PathLike[str]) -> Cine:
    """Return all slices of a 4D NIfTI file; rows are its second axis, columns its first.

    Raises:
        UnusableFileError: if the file is damaged, has no four axes, or no usable slice.
    """
    source = Path(path)
    image = open_cine_nifti(source)
    voxels = read_voxels(source, image)
    slices, skipped = [], []
    for number in range(image.shape[2]):
        try:
            slices.append(_slice(image, source, number, voxels[:, :, number]))
        except ValueError as fault:
            skipped.append((number, str(fault)))
    return report(source, Cine(slices, skipped, []))


def read_nifti_slice(path: str | os.PathLike[str], number: int) -> CineSlice:
    """Return one slice of a 4D NIfTI file; the others are not loaded unless the file is compressed.

    Of compressed files the last one is kept in memory, because its slices are asked for one after the other.

    Raises:
        UnusableFileError: if the file is damaged, or the slice is not there or not usable.
    """
    source = Path(path)
    image = open_cine_nifti(source)
    if not 0 <= number < image.shape[2]:
        raise UnusableFileError(f"{source}: expected slice {number}, found slices 0 to {image.shape[2] - 1}.")
    if source.suffix.lower() == ".gz":
        status = source.stat()
        voxels = _decompressed(source, status.st_size, status.st_mtime_ns)[:, :, number]
    else:
        voxels = read_voxels(source, image, (slice(None), slice(None), number))
    try:
        return _slice(image, source, number, voxels)
    except ValueError as fault:
        raise UnusableFileError(f"{source}: slice {number}: {fault}; leave this slice out.") from fault


def open_cine_nifti(source: Path) -> Any:
    """Return the opened image after checking that it is a cine; voxels are not read.

    Raises:
        UnusableFileError: if the header is damaged or says two places, there are no four axes, fewer than two frames,
            or the voxels are of no size that MR has.
    """
    image = open_nifti(source)
    if len(image.shape) != 4 or image.shape[3] < 2:
        raise UnusableFileError(
            f"{source}: expected axes x, y, slice, frame with at least 2 frames (a cine), found shape {image.shape}."
        )
    # As written in the file: nibabel's own header turns a missing size into 1.
    with nibabel.openers.Opener(str(source)) as stream:
        written = type(image.header).from_fileobj(stream, check=False)
    sizes = [abs(float(size)) for size in written["pixdim"][1:4]]
    if not all(_SPACING_MM[0] <= size <= _SPACING_MM[1] for size in sizes):
        raise UnusableFileError(
            f"{source}: expected voxels of {_SPACING_MM[0]:g} to {_SPACING_MM[1]:g} mm, found {sizes} in pixdim; "
            "correct the header."
        )
    steps = np.linalg.norm(nifti_affine(image, source)[:3, :3], axis=0)
    if not np.allclose(steps, sizes, rtol=_LIKE, atol=0):
        raise UnusableFileError(
            f"{source}: expected one voxel size, found {sizes} mm in pixdim and {steps.round(4).tolist()} mm in the "
            "affine; correct the header."
        )
    return image


def open_nifti(source: Path) -> Any:
    """Return the opened image of a NIfTI file whose compression and size are verified.

    Raises:
        UnusableFileError: if it is damaged or claims more than it holds.
    """
    if source.is_file():
        _verify(source, source.stat().st_size, source.stat().st_mtime_ns)
    image = _opened(source)
    check_claimed_size(source, image.shape, image.get_data_dtype().itemsize)
    return image


def nifti_shape(source: Path) -> tuple[int, ...]:
    """Return the size that the header of a NIfTI file says; nothing is verified.

    Raises:
        UnusableFileError: if the header is damaged.
    """
    return tuple(_opened(source).shape)


def read_voxels(source: Path, image: Any, part: Any = ...) -> NDArray[np.float32]:
    """Return voxels of an opened image after slope and intercept.

    Raises:
        UnusableFileError: if the file is cut off, or its voxels are complex.
    """
    if image.get_data_dtype().kind == "c":
        raise UnusableFileError(f"{source}: expected grey values, found complex voxels; save their magnitude.")
    try:
        return np.asarray(image.dataobj[part], dtype=np.float32)
    except (*_UNREADABLE, IndexError) as error:
        raise UnusableFileError(
            f"{source}: expected {image.shape} voxels, found a truncated or damaged file ({error}); copy it again."
        ) from error


def _opened(source: Path) -> Any:
    try:
        return nibabel.load(source)
    except _UNREADABLE as error:
        found = "no file" if isinstance(error, FileNotFoundError) else "a damaged file or another kind of file"
        raise UnusableFileError(f"{source}: expected a NIfTI file, found {found}; copy it again.") from error


@lru_cache(maxsize=1)
def _decompressed(source: Path, size: int, modified_ns: int) -> NDArray[np.float32]:
    """Return all voxels of a file; `size` and `modified_ns` tell another file of the same name."""
    return read_voxels(source, _opened(source))


@lru_cache(maxsize=256)
def _verify(source: Path, size: int, modified_ns: int) -> None:
    """Verify a file once for all its slices; `size` and `modified_ns` tell another file of the same name."""
    check_kind(source, "a NIfTI file")
    check_compressed(source)


def _slice(image: Any, source: Path, number: int, voxels: NDArray[np.float32]) -> CineSlice:
    frames = np.ascontiguousarray(voxels.transpose(2, 1, 0))
    check_pixels(frames)
    affine = nifti_affine(image, source)[:, [1, 0, 2, 3]]
    affine[:3, 3] += affine[:3, 2] * number
    affine[:3, 2] /= np.linalg.norm(affine[:3, 2])
    return CineSlice(number, frames, affine)
