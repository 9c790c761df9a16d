"""Volumes in DICOM series: files of one frame each, or one enhanced multi-frame file; values with slope and unit."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError
from .dicom import read_dicom, should_be_dicom
from .dicom_pixels import decode_pixels, frame_count
from .listing import visible_files

PathLike = str | os.PathLike[str]

# Slices lie on one line and at even steps within this fraction of a step; headers have positions with few decimals.
_EVEN = 0.01
_SAME_DIRECTION = 1e-4
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_EXPECTED = "expected one volume in a DICOM series"
_HEADER = (
    "SeriesInstanceUID",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PerFrameFunctionalGroupsSequence",
)


class VolumeFrame(NamedTuple):
    """One slice of a volume; lengths in mm in the patient's left-posterior-superior axes.

    Attributes:
        file, number: the file, and which of its frames this is, from 0.
        size: (columns, rows).
        position: of the first pixel.
        orientation: (2, 3), unit vectors along a row and along a column.
        spacing: between columns and between rows.
        thickness: between slices by the header, where it says so; else of the slice; None if it says neither.
    """

    file: Path
    number: int
    size: tuple[int, int]
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing: tuple[float, float]
    thickness: float | None


class DicomVolume(NamedTuple):
    """The slices of a volume in order along their normal, row direction x column direction."""

    frames: list[VolumeFrame]
    affine: NDArray[np.float64]  # (4, 4), from (column, row, slice) to mm in RAS

    @property
    def size(self) -> tuple[int, int, int]:
        """Columns, rows and slices."""
        return *self.frames[0].size, len(self.frames)

    def in_files(self, voxels: NDArray[Any]) -> tuple[list[Path], NDArray[Any]]:
        """Return the files of the slices, and values (columns, rows, slices) as frames (N, rows, columns) beside them.

        There is a file for each frame, or one file, whose frames are meant in their order.
        """
        files = [frame.file for frame in self.frames]
        if len(set(files)) == len(files):
            return files, voxels.T
        return files[:1], voxels.T[np.argsort([frame.number for frame in self.frames])]


def read_dicom_geometry(path: PathLike) -> DicomVolume:
    """Return the slices of a series from its headers.

    Args:
        path: a folder with one series, or any file of a series, which stands for those of its series beside it.

    Raises:
        UnusableFileError: if the files are no single volume of evenly spaced parallel slices, or lack their geometry.
    """
    frames = [frame for file in series_files(path) for frame in _frames(file)]
    first = frames[0]
    for frame in frames:
        if frame.size != first.size or not np.allclose(frame.spacing, first.spacing, rtol=1e-4, atol=0):
            raise _other(frame.file, f"slices of one size, found others than in {first.file.name}")
        if np.abs(frame.orientation - first.orientation).max() > _SAME_DIRECTION:
            raise _other(frame.file, f"parallel slices, found another direction than in {first.file.name}")
    normal = np.cross(*first.orientation)
    frames = sorted(frames, key=lambda frame: float(frame.position @ normal))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = (first.orientation[axis] * first.spacing[axis] for axis in (0, 1))
    affine[:3, 2] = _step(frames, normal)
    affine[:3, 3] = frames[0].position
    return DicomVolume(frames, _LPS_TO_RAS @ affine)


def read_dicom_values(volume: DicomVolume) -> tuple[NDArray[np.float32], str]:
    """Return the voxels (columns, rows, slices) of a volume after slope and intercept, and their unit in UCUM.

    Real-world values (0040,9096) outrank the rescale slope (0028,1053). The unit is "" where the header says none.

    Raises:
        UnusableFileError: if pixels are damaged, or their unit differs between slices or is not told clearly.
    """
    voxels = np.empty(volume.size, np.float32)
    units, opened = set(), {}
    for place, frame in enumerate(volume.frames):
        if frame.file not in opened:
            dataset = read_dicom(frame.file)
            count = frame_count(dataset, frame.file)
            opened = {frame.file: (dataset, decode_pixels(dataset, frame.file).reshape(count, *frame.size[::-1]))}
        dataset, pixels = opened[frame.file]
        slope, intercept, unit = _scale(dataset, frame)
        voxels[..., place] = (pixels[frame.number].T * slope + intercept).astype(np.float32)
        units.add(unit)
    if len(units) > 1:
        raise _other(volume.frames[0].file, f"values in one unit, found {', '.join(sorted(units))}")
    return voxels, units.pop()


def series_files(path: PathLike) -> list[Path]:
    """Return the files of the series that `path` names: a folder, or any of its files.

    Raises:
        UnusableFileError: if there are none, one is damaged, a folder holds several series, or a series has several
            patients.
    """
    given = Path(path)
    folder = given if given.is_dir() else given.parent
    found: dict[str, dict[Path, str]] = {}  # series -> file -> patient's number
    for file in visible_files(folder, recursive=False):
        if should_be_dicom(file):  # the reader names one that is none: a slice may be lost
            header = read_dicom(file, stop_before_pixels=True, tags=["SOPClassUID", "SeriesInstanceUID", "PatientID"])
            series = str(header.get("SeriesInstanceUID", ""))
            found.setdefault(series, {})[file] = str(header.get("PatientID") or "")
    if given.is_dir() and len(found) != 1:
        raise UnusableFileError(f"{given}: {_EXPECTED}, found {len(found)} series; give each a folder of its own")
    files = next((files for files in found.values() if given.is_dir() or given in files), {given: ""})
    if len(set(filter(None, files.values()))) > 1:
        raise UnusableFileError(
            f"{folder}: {_EXPECTED} of one patient, found different patient numbers (0010,0020); give each a folder"
        )
    return list(files)


def _frames(file: Path) -> list[VolumeFrame]:
    dataset = read_dicom(file, stop_before_pixels=True)
    size = (int(dataset.get("Columns") or 0), int(dataset.get("Rows") or 0))
    if min(size) < 1 or dataset.get("SamplesPerPixel", 1) != 1:
        raise _other(file, "grey images with rows and columns, found others")
    count, groups = frame_count(dataset, file), dataset.get("PerFrameFunctionalGroupsSequence") or []
    if count > 1 and len(groups) != count:
        raise _other(file, f"a position of each of its {count} frames in (5200,9230), found {len(groups)}")
    return [_frame(file, dataset, index, size) for index in range(count)]


def _frame(file: Path, dataset: Any, index: int, size: tuple[int, int]) -> VolumeFrame:
    levels = _levels(dataset, index)
    orientation = _numbers(file, levels, "ImageOrientationPatient", 6).reshape(2, 3)
    if np.abs(orientation @ orientation.T - np.eye(2)).max() > _EVEN:
        raise _other(file, f"perpendicular unit vectors in (0020,0037), found {orientation.ravel().tolist()}")
    spacing = _numbers(file, levels, "PixelSpacing", 2)  # (0028,0030) gives the distance of rows first
    if spacing.min() <= 0:
        raise _other(file, f"a pixel spacing over 0, found {spacing.tolist()}")
    thickness = next((v for k in ("SpacingBetweenSlices", "SliceThickness") if (v := _found(levels, k))), None)
    return VolumeFrame(
        file,
        index,
        size,
        _numbers(file, levels, "ImagePositionPatient", 3),
        orientation,
        (float(spacing[1]), float(spacing[0])),
        None if thickness is None else float(thickness),
    )


def _step(frames: Sequence[VolumeFrame], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the way from one slice to the next."""
    if len(frames) == 1:
        thickness = frames[0].thickness
        if thickness is None:
            raise _other(frames[0].file, "a slice thickness (0018,0050) of its only slice, found none")
        return normal * thickness
    positions = np.stack([frame.position for frame in frames])
    step = (positions[-1] - positions[0]) / (len(frames) - 1)
    length = float(np.linalg.norm(step))
    off = np.abs(positions - (positions[0] + np.arange(len(frames))[:, None] * step)).max()
    if not length or off > _EVEN * length:
        raise _other(
            frames[0].file,
            f"slices at even steps along a line, found them up to {off:.3g} mm off steps of {length:.3g} mm: some are "
            "missing, there twice, or of several acquisitions",
        )
    return step


def _scale(dataset: Any, frame: VolumeFrame) -> tuple[float, float, str]:
    levels = _levels(dataset, frame.number)
    maps = [item for level in levels for item in level.get("RealWorldValueMappingSequence") or []]
    mapped = [item for item in maps if "RealWorldValueSlope" in item]
    if len(mapped) > 1:
        raise _other(frame.file, f"one mapping to real-world values (0040,9096), found {len(mapped)}")
    if mapped:
        codes = mapped[0].get("MeasurementUnitsCodeSequence") or []
        unit = str(codes[0].get("CodeValue", "")) if codes else ""
        return float(mapped[0].RealWorldValueSlope), float(mapped[0].RealWorldValueIntercept), unit
    slope, intercept = _found(levels, "RescaleSlope"), _found(levels, "RescaleIntercept")
    unit = str(_found(levels, "RescaleType") or "")
    return 1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept), unit


def _levels(dataset: Any, index: int) -> list[Any]:
    """Return where an attribute of a frame may stand: its own functional groups, the shared ones, the file itself."""
    groups = [
        dataset.get("PerFrameFunctionalGroupsSequence") or [],
        dataset.get("SharedFunctionalGroupsSequence") or [],
    ]
    items = [groups[0][index]] if index < len(groups[0]) else []
    items += [groups[1][0]] if groups[1] else []
    inner = [inside for item in items for element in item if element.VR == "SQ" for inside in element.value or []]
    return [*items, *inner, dataset]


def _found(levels: Sequence[Any], keyword: str) -> Any:
    return next((level.get(keyword) for level in levels if level.get(keyword) is not None), None)


def _numbers(file: Path, levels: Sequence[Any], keyword: str, count: int) -> NDArray[np.float64]:
    value = _found(levels, keyword)
    try:
        numbers = np.asarray([float(part) for part in value or []])
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise _other(file, f"{keyword} with {count} numbers, found {len(numbers) if value else 'none'}")
    return numbers


def _other(file: Path, found: str) -> UnusableFileError:
    return UnusableFileError(f"{file}: {_EXPECTED} with {found}; export the series from the scanner again.")
