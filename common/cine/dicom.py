"""Cine MR in folders of DICOM files, one frame a file."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..errors import NoDataError, UnusableFileError
from .frames import CineFrame, read_frame
from .stacks import arrange_sections, section_fault, thickness_mm, time_ms
from .volume import Cine, drop_faulty, pixel_fault

_LOG = logging.getLogger(__name__)
_NOT_IMAGES = {".txt", ".csv", ".json", ".xml", ".md", ".pdf", ".cfg", ".png", ".jpg", ".mat", ".gz", ".nii", ".zip"}


def read_dicom_cine(folder: str | os.PathLike[str]) -> Cine:
    """Return the short-axis cine in a folder of DICOM files; each file is read once.

    Raises:
        NoDataError: if the folder holds no file that could be DICOM.
        UnusableFileError: if no section is usable.
    """
    source = Path(folder)
    stack = arrange_sections(source, read_frames(source, dicom_files(source), pixels=True))
    pixels = [[_pixels(frame) for frame in section] for section in stack.sections]
    usable, skipped = drop_faulty(source, pixels, stack.numbers, stack.skipped)
    sections = [stack.sections[k] for k in usable]
    return Cine(
        frames=_float_stack([pixels[k] for k in usable]),
        spacing_mm=stack.spacing_mm,
        affine=section_affine(sections, stack.spacing_mm),
        trigger_times_ms=trigger_times_ms(sections),
        sections_skipped=skipped,
    )


def read_dicom_section(files: Sequence[str | os.PathLike[str]]) -> Cine:
    """Return one section (S = 1) from the DICOM files of its frames, in the order given.

    Raises:
        UnusableFileError: if a file is damaged, the matrix sizes differ, or the pixels are constant.
    """
    frames = [read_frame(file) for file in files]
    source = Path(files[0]).parent
    fault = section_fault(frames, len(frames)) or pixel_fault([_pixels(frame) for frame in frames])
    if fault:
        raise UnusableFileError(f"{source}: section of {Path(files[0]).name}: {fault}; leave this section out.")
    spacing = (*frames[0].pixel_spacing_mm, thickness_mm(source, frames[0]))
    return Cine(
        frames=_float_stack([[_pixels(frame) for frame in frames]]),
        spacing_mm=spacing,
        affine=section_affine([frames], spacing),
        trigger_times_ms=trigger_times_ms([frames]),
    )


def dicom_files(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files below `folder` that could be DICOM, by name: no hidden file, DICOMDIR or other known kind.

    Raises:
        NoDataError: if there is none.
    """
    source = Path(folder)
    files = sorted(path for path in source.rglob("*") if _may_be_dicom(path) and path.is_file())
    if not files:
        raise NoDataError(f"{source}: expected DICOM files, found none; give the folder that holds the cine series.")
    return files


def read_frames(source: Path, files: Iterable[Path], pixels: bool) -> list[CineFrame]:
    """Return the frames of all files that can serve; the others are logged.

    Raises:
        UnusableFileError: if none can serve, or they belong to more than one patient.
    """
    frames, problems = [], []
    for file in files:
        try:
            frames.append(read_frame(file, pixels))
        except UnusableFileError as error:
            problems.append(error)
    for problem in problems[:5] if frames else []:
        _LOG.warning("%s", problem)
    if len(problems) > 5:
        _LOG.warning("%s: %d more files are left out for such reasons", source, len(problems) - 5)
    if not frames:
        raise UnusableFileError(f"{problems[0]} ({len(problems)} files in {source}, none can serve)")
    if len({frame.patient for frame in frames if frame.patient}) > 1:
        raise UnusableFileError(
            f"{source}: expected one patient, found files with different patient numbers (0010,0020); "
            "put each patient into a folder of its own."
        )
    return frames


def section_affine(sections: Sequence[Sequence[CineFrame]], spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return the (4, 4) affine from (row, column, section) to right-anterior-superior mm."""
    first = sections[0][0]
    rows, columns, between = spacing_mm
    affine = np.eye(4)
    # (0020,0037) gives the direction of a row first, along which the column index grows.
    affine[:3, 0] = np.asarray(first.orientation[3:]) * rows
    affine[:3, 1] = np.asarray(first.orientation[:3]) * columns
    affine[:3, 2] = first.normal * between
    if len(sections) > 1:
        # The stack may be sheared: the step is the one between positions, its part along the normal is `between`.
        offset = np.subtract(sections[-1][0].position_mm, first.position_mm)
        affine[:3, 2] = offset * between / float(offset @ first.normal)
    affine[:3, 3] = first.position_mm
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def trigger_times_ms(sections: Sequence[Sequence[CineFrame]]) -> np.ndarray | None:
    """Return the (S, T) trigger times, or None unless they grow in every section."""
    times = np.array([[time_ms(frame) for frame in section] for section in sections])
    return times if bool((np.diff(times, axis=1) > 0).all()) else None


def _may_be_dicom(path: Path) -> bool:
    hidden = path.name.startswith(".") or path.name.upper() == "DICOMDIR"
    return not hidden and path.suffix.lower() not in _NOT_IMAGES


def _pixels(frame: CineFrame) -> np.ndarray:
    if frame.pixels is None:
        raise UnusableFileError(f"{frame.path}: {frame.fault or 'has no pixels'}; leave this section out.")
    return frame.pixels


def _float_stack(sections: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Return (S, T, H, W) float32, each pixel copied once."""
    stack = np.empty((len(sections), len(sections[0]), *sections[0][0].shape), np.float32)
    for place, section in zip(stack, sections, strict=True):
        for target, frame in zip(place, section, strict=True):
            target[...] = frame
    return stack
