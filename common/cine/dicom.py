"""Cine MR in DICOM files, of one frame or many."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..data.dicom import read_dicom, should_be_dicom
from ..data.dicom_pixels import decode_pixels
from ..data.listing import visible_files
from ..errors import NoDataError, UnusableFileError
from .frames import PIXEL_TAGS, CineFrame, read_frames
from .stacks import SliceFrames, Stack, arrange_slices
from .volume import Cine, CineSlice, check_pixels, report

FrameFile = str | os.PathLike[str] | tuple[str, int]
"""A file of one frame, or a file and the index of a frame in it."""

_NOT_IMAGES = {".txt", ".csv", ".json", ".xml", ".md", ".pdf", ".cfg", ".png", ".jpg", ".mat", ".gz", ".nii", ".zip"}


def read_dicom_cine(path: str | os.PathLike[str]) -> Cine:
    """Return the short-axis cine in a folder of DICOM files, or in one enhanced multi-frame file.

    Raises:
        NoDataError: if there is no file that could be DICOM.
        UnusableFileError: if no slice is usable.
    """
    return load_stack(Path(path), read_stack(Path(path)))


def load_stack(source: Path, stack: Stack) -> Cine:
    """Return the cine of slices whose headers were read.

    Raises:
        UnusableFileError: if no slice is usable.
    """
    slices, skipped = [], list(stack.skipped)
    for found in stack.slices:
        try:
            slices.append(_load(found))
        except ValueError as fault:
            skipped.append((found.number, str(fault)))
    return report(source, Cine(slices, sorted(skipped), [*stack.notes], [*stack.doubts]))


def read_dicom_slice(files: Sequence[FrameFile], number: int = 0, phases: Sequence[float] | None = None) -> CineSlice:
    """Return one slice from the files of its frames, in the order given.

    Raises:
        UnusableFileError: if a file is damaged or the pixels cannot serve.
    """
    positions = [(str(file), 0) if isinstance(file, (str, os.PathLike)) else file for file in files]
    headers = {path: read_frames(path) for path, _ in positions}
    frames = [headers[path][index] for path, index in positions]
    try:
        return _load(SliceFrames(number, frames, None if phases is None else np.asarray(phases), []))
    except ValueError as fault:
        raise UnusableFileError(f"slice {number} of {positions[0][0]}: {fault}; leave this slice out.") from fault


def read_stack(source: Path) -> Stack:
    """Return the slices of a patient from the headers of all files.

    Raises:
        NoDataError: if there is no file that could be DICOM.
        UnusableFileError: if no slice is usable, or the files belong to more than one patient or study.
    """
    files = [source] if source.is_file() else [path for path in visible_files(source) if may_be_dicom(path)]
    if not files:
        raise NoDataError(f"{source}: expected DICOM files, found none; give the folder that holds the cine series.")
    frames: list[CineFrame] = []
    problems = []
    damaged = 0
    for file in files:
        try:
            frames += read_frames(file)
        except UnusableFileError as error:
            problems.append(str(error))
            damaged += _is_damaged(file)
    if not frames:
        raise UnusableFileError(f"{problems[0]} ({len(problems)} files in {source}, none can serve)")
    _check_one(source, frames, "patient", "(0010,0020)")
    _check_one(source, frames, "study", "(0020,000D)", least=2)
    stack = arrange_slices(source, frames)
    left_out = problems[:5] + ([f"{len(problems) - 5} more files are left out"] if len(problems) > 5 else [])
    lost = f"{damaged} damaged DICOM file{'s' * (damaged > 1)}: frames or slices of the heart may be missing"
    return Stack(stack.slices, stack.skipped, left_out + stack.notes, [lost] if damaged else [])


def _is_damaged(file: Path) -> bool:
    """Return whether a file that cannot serve may have held frames of the heart: unreadable DICOM, MR without size."""
    try:
        if not should_be_dicom(file):
            return False
        header = read_dicom(file, stop_before_pixels=True)
    except (OSError, UnusableFileError):
        return True
    return header.get("Modality") == "MR" and "Rows" not in header


def _check_one(
    source: Path, frames: Sequence[CineFrame], noun: Literal["patient", "study"], tag: str, least: int = 1
) -> None:
    """Refuse to mix two hearts, or one at two times; frames without a number are taken to belong to the others.

    Args:
        source, frames: the case.
        noun, tag: what there is to be one of.
        least: frames of one that counts; programs that convert files give each a study of its own.
    """
    found: dict[str, list[CineFrame]] = defaultdict(list)
    for frame in frames:
        found[getattr(frame, noun)].append(frame)
    files = [Path(some[0].path) for number, some in found.items() if number and len(some) >= least]
    if len(files) > 1:
        names = " and ".join(str(file.relative_to(source)) for file in files[:3])
        raise UnusableFileError(
            f"{source}: expected one {noun} {tag}, found {len(files)}, as in {names}; give each {noun} a folder of its "
            "own, none inside another"
        )


def may_be_dicom(path: Path) -> bool:
    """Return whether a file could be DICOM by its name."""
    return path.name.upper() != "DICOMDIR" and path.suffix.lower() not in _NOT_IMAGES


def _load(found: SliceFrames) -> CineSlice:
    pixels = _read_pixels(found.frames)
    check_pixels(pixels)
    return CineSlice(
        found.number, np.stack(pixels, dtype=np.float32), _affine(found.frames[0]), found.phases, found.notes
    )


def _read_pixels(frames: list[CineFrame]) -> list[np.ndarray]:
    """Return the pixels (H, W) of frames after slope and intercept; a file of several frames is opened once.

    Raises:
        UnusableFileError: if a file is damaged, or its pixels are of another size than its header says.
    """
    opened: dict[str, np.ndarray] = {}
    pixels = []
    for frame in frames:
        if frame.path not in opened:
            opened = {frame.path: _stored(frame)}
        stored = opened[frame.path][frame.index]
        slope, intercept = frame.scale
        identity = frame.scale == (1.0, 0.0)
        pixels.append(stored if identity else stored * np.float32(slope) + np.float32(intercept))
    return pixels


def _stored(frame: CineFrame) -> np.ndarray:
    dataset = read_dicom(frame.path, tags=PIXEL_TAGS)
    stored = np.asarray(decode_pixels(dataset, frame.path))
    if stored.size != frame.count * math.prod(frame.shape):
        raise UnusableFileError(
            f"{frame.path}: expected pixels of shape {(frame.count, *frame.shape)}, found {stored.shape}; export again."
        )
    return stored.reshape(frame.count, *frame.shape)


def _affine(frame: CineFrame) -> NDArray[np.float64]:
    affine = np.eye(4)
    # (0020,0037) gives the direction of a row first, along which the column index grows.
    affine[:3, 0] = np.asarray(frame.orientation[3:]) * frame.pixel_spacing_mm[0]
    affine[:3, 1] = np.asarray(frame.orientation[:3]) * frame.pixel_spacing_mm[1]
    affine[:3, 2] = frame.normal
    affine[:3, 3] = frame.position_mm
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
