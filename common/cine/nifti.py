"""Cine MR in 4D NIfTI files with axes x, y, section, frame (ACDC, M&Ms, dcm2niix)."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from ..errors import UnusableFileError
from .volume import Cine, drop_faulty, pixel_fault

_MILLISECONDS = {"sec": 1000.0, "msec": 1.0, "usec": 0.001}
_UNREADABLE = (EOFError, OSError, zlib.error, ValueError, nibabel.filebasedimages.ImageFileError)


def is_nifti(path: str | os.PathLike[str]) -> bool:
    """Return whether the name ends in .nii or .nii.gz."""
    return str(path).lower().endswith((".nii", ".nii.gz"))


def read_nifti_cine(path: str | os.PathLike[str]) -> Cine:
    """Return all sections of a 4D NIfTI file; rows are its second axis, columns its first.

    Raises:
        UnusableFileError: if the file is damaged, has no four axes, or no usable section.
    """
    source = Path(path)
    image = open_cine_nifti(source)
    voxels = _voxels(source, image, (slice(None),) * 4)
    sections = list(voxels.transpose(2, 3, 1, 0))
    usable, skipped = drop_faulty(source, sections, list(range(len(sections))), [])
    times = frame_times_ms(image)
    affine = cine_affine(image)
    affine[:3, 3] += affine[:3, 2] * usable[0]
    return Cine(
        frames=np.ascontiguousarray(np.stack([sections[k] for k in usable])),
        spacing_mm=spacing_mm(source, image),
        affine=affine,
        trigger_times_ms=None if times is None else np.tile(times, (len(usable), 1)),
        sections_skipped=skipped,
    )


def read_nifti_section(path: str | os.PathLike[str], section: int) -> Cine:
    """Return one section (S = 1) of a 4D NIfTI file without loading the others.

    Raises:
        UnusableFileError: if the file is damaged, or the section is not there or not usable.
    """
    source = Path(path)
    image = open_cine_nifti(source)
    if not 0 <= section < image.shape[2]:
        raise UnusableFileError(f"{source}: expected section {section}, found sections 0 to {image.shape[2] - 1}.")
    frames = _voxels(source, image, (slice(None), slice(None), section, slice(None))).transpose(2, 1, 0)
    fault = pixel_fault(frames)
    if fault:
        raise UnusableFileError(f"{source}: section {section}: {fault}; leave this section out.")
    times = frame_times_ms(image)
    affine = cine_affine(image)
    affine[:3, 3] += affine[:3, 2] * section
    return Cine(
        frames=np.ascontiguousarray(frames)[None],
        spacing_mm=spacing_mm(source, image),
        affine=affine,
        trigger_times_ms=None if times is None else times[None],
    )


def open_cine_nifti(source: Path) -> Any:
    """Return the opened image after checking that it is a cine; voxels are not read.

    Raises:
        UnusableFileError: if the header is damaged, there are no four axes, or fewer than two frames.
    """
    try:
        image: Any = nibabel.load(source)
    except _UNREADABLE as error:
        raise UnusableFileError(
            f"{source}: expected a NIfTI file, found one that cannot be read ({error}); copy it again."
        ) from error
    if len(image.shape) != 4 or image.shape[3] < 2:
        raise UnusableFileError(
            f"{source}: expected axes x, y, section, frame with at least 2 frames (a cine), found shape {image.shape}."
        )
    if min(image.shape) < 1:
        raise UnusableFileError(f"{source}: expected voxels, found shape {image.shape}.")
    return image


def spacing_mm(source: Path, image: Any) -> tuple[float, float, float]:
    """Return the distance between rows, columns and sections from the header's zooms.

    Raises:
        UnusableFileError: if a distance is not positive.
    """
    # As written in the file: nibabel's own header turns a missing size into 1.
    with nibabel.openers.Opener(str(source)) as stream:
        written = type(image.header).from_fileobj(stream, check=False)
    column, row, section = (abs(float(size)) for size in written["pixdim"][1:4])
    if not all(np.isfinite(zoom) and zoom > 0 for zoom in (row, column, section)):
        raise UnusableFileError(
            f"{source}: expected positive voxel sizes, found {(column, row, section)} in pixdim; correct the header."
        )
    return row, column, section


def cine_affine(image: Any) -> np.ndarray:
    """Return the affine of the grid (row, column, section): the file's with its first two axes exchanged."""
    affine: np.ndarray = np.asarray(image.affine, dtype=np.float64)[:, [1, 0, 2, 3]]
    return affine


def frame_times_ms(image: Any) -> np.ndarray | None:
    """Return the (T,) frame times, or None unless the header gives a time step of 1 to 200 ms with its unit."""
    factor = _MILLISECONDS.get(image.header.get_xyzt_units()[1])
    step = 0.0 if factor is None else float(image.header.get_zooms()[3]) * factor
    return np.arange(image.shape[3]) * step if 1.0 <= step <= 200.0 else None


def _voxels(source: Path, image: Any, part: tuple[Any, ...]) -> np.ndarray:
    try:
        return np.asarray(image.dataobj[part], dtype=np.float32)
    except _UNREADABLE as error:
        raise UnusableFileError(
            f"{source}: expected {image.shape} voxels, found a truncated or damaged file ({error}); copy it again."
        ) from error
