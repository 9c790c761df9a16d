"""One DICOM frame of a cine: the header fields that order and place it, and its pixels."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from ..errors import UnusableFileError

_TAGS = {
    "modality": 0x00080060,
    "instance_uid": 0x00080018,
    "patient": 0x00100020,
    "thickness": 0x00180050,
    "trigger_time": 0x00181060,
    "series_uid": 0x0020000E,
    "series": 0x00200011,
    "acquisition": 0x00200012,
    "instance": 0x00200013,
    "position": 0x00200032,
    "orientation": 0x00200037,
    "number_of_frames": 0x00280008,
    "pixel_spacing": 0x00280030,
    "intercept": 0x00281052,
    "slope": 0x00281053,
}
# What pixel decoding needs: samples, photometric interpretation, rows, columns, bits, sign, number of frames, data.
_PIXEL_TAGS = [0x00280002, 0x00280004, 0x00280006, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102]
_PIXEL_TAGS += [0x00280103, 0x7FE00008, 0x7FE00009, 0x7FE00010]
_UNCOMPRESSED = (
    pydicom.uid.ImplicitVRLittleEndian,
    pydicom.uid.ExplicitVRLittleEndian,
    pydicom.uid.ExplicitVRBigEndian,
)
_EXPECTED = "expected a single-frame MR image with position, orientation and pixel spacing"


@dataclass(frozen=True)
class CineFrame:
    """One frame; lengths in mm in the patient's left-posterior-superior axes, time in ms after the R wave.

    `pixels` is (H, W) after slope and intercept (float32, or integer where there are none), or None if only the header
    was read; `fault` says what is wrong with the pixels although the header is good.
    """

    path: str
    position_mm: tuple[float, float, float]
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, float]
    shape: tuple[int, int]
    thickness_mm: float | None
    trigger_time_ms: float | None
    instance: int
    series: int
    acquisition: int
    series_uid: str
    instance_uid: str
    patient: str
    pixels: np.ndarray | None = None
    fault: str | None = None

    @property
    def normal(self) -> np.ndarray:
        """Unit vector that the section faces: row direction x column direction."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return np.asarray(normal / np.linalg.norm(normal))


def read_frame(path: str | os.PathLike[str], pixels: bool = True) -> CineFrame:
    """Return the frame in a DICOM file, which is opened once.

    A file whose header is whole and whose pixels are cut short comes back with `fault`, so that its section is known.

    Raises:
        UnusableFileError: if it is no DICOM file, of another modality, multi-frame, or lacks its geometry.
    """
    source = Path(path)
    tags: list[Any] = [*_TAGS.values(), *_PIXEL_TAGS]
    try:
        with source.open("rb") as stream:
            dataset = pydicom.dcmread(stream, stop_before_pixels=not pixels, specific_tags=tags)
            left_over = source.stat().st_size - stream.tell()
    except InvalidDicomError as error:
        raise UnusableFileError(f"{source}: expected a DICOM file, found another kind of file.") from error
    except (EOFError, OSError, ValueError, KeyError, NotImplementedError) as error:
        raise UnusableFileError(
            f"{source}: {_EXPECTED}, found a truncated or damaged file ({error}); copy it again."
        ) from error
    fields = {name: _text(dataset, tag) for name, tag in _TAGS.items()}
    _check_kind(source, fields)
    shape = _shape(source, dataset)
    values, fault = _pixels(dataset, fields, shape) if pixels else (None, _cut_short(dataset, shape, left_over))
    return CineFrame(
        path=str(source),
        **_geometry(source, fields),
        shape=shape,
        instance=_whole(fields["instance"]),
        series=_whole(fields["series"]),
        acquisition=_whole(fields["acquisition"]),
        series_uid=fields["series_uid"],
        instance_uid=fields["instance_uid"],
        patient=fields["patient"],
        pixels=values,
        fault=fault,
    )


def _check_kind(source: Path, fields: dict[str, str]) -> None:
    if fields["modality"] != "MR":
        found = fields["modality"] or "no modality"
        raise UnusableFileError(f"{source}: {_EXPECTED} (0008,0060) = MR, found {found}; choose the cine MR series.")
    if _whole(fields["number_of_frames"], 1) > 1:
        raise UnusableFileError(
            f"{source}: {_EXPECTED}, found {fields['number_of_frames']} frames in one file (0028,0008); "
            "convert it to single-frame DICOM or 4D NIfTI first."
        )


def _geometry(source: Path, fields: dict[str, str]) -> dict[str, Any]:
    position, orientation = _numbers(fields["position"]), _numbers(fields["orientation"])
    spacing = _numbers(fields["pixel_spacing"])
    wanted = ((position, 3, "(0020,0032)"), (orientation, 6, "(0020,0037)"), (spacing, 2, "(0028,0030)"))
    for values, count, tag in wanted:
        if len(values) != count:
            raise UnusableFileError(f"{source}: {_EXPECTED}, found {len(values)} of {count} values in {tag}.")
    across = sum(a * b for a, b in zip(orientation[:3], orientation[3:], strict=True))
    lengths = [sum(v * v for v in direction) for direction in (orientation[:3], orientation[3:])]
    if abs(across) > 0.1 or min(lengths) < 0.5 or min(spacing) <= 0:
        raise UnusableFileError(f"{source}: {_EXPECTED}, found orientation {orientation} and spacing {spacing}.")
    thickness, trigger = _numbers(fields["thickness"]), _numbers(fields["trigger_time"])
    return {
        "position_mm": tuple(position),
        "orientation": tuple(orientation),
        "pixel_spacing_mm": tuple(spacing),
        "thickness_mm": thickness[0] if thickness and thickness[0] > 0 else None,
        "trigger_time_ms": trigger[0] if trigger else None,
    }


def _shape(source: Path, dataset: Any) -> tuple[int, int]:
    rows, columns = dataset.get("Rows"), dataset.get("Columns")
    if not rows or not columns:
        raise UnusableFileError(f"{source}: {_EXPECTED}, found no matrix size (0028,0010); it is no image.")
    if int(dataset.get("SamplesPerPixel", 1) or 1) != 1:
        raise UnusableFileError(f"{source}: {_EXPECTED}, found a colour picture (0028,0002); choose the cine series.")
    return int(rows), int(columns)


def _pixels(dataset: Any, fields: dict[str, str], shape: tuple[int, int]) -> tuple[np.ndarray | None, str | None]:
    try:
        stored = np.asarray(dataset.pixel_array)
    except (ValueError, AttributeError, EOFError, RuntimeError, KeyError) as error:
        return None, f"its pixels cannot be read: {error}"
    if stored.shape != shape:
        return None, f"its pixels have shape {stored.shape} instead of {shape}"
    slope, intercept = _numbers(fields["slope"]), _numbers(fields["intercept"])
    if slope and intercept and (slope[0], intercept[0]) != (1.0, 0.0):
        return stored * np.float32(slope[0]) + np.float32(intercept[0]), None
    return stored, None


def _cut_short(dataset: Any, shape: tuple[int, int], left_over: int) -> str | None:
    """Return a fault if the bytes after the header cannot hold the pixels of an uncompressed file."""
    syntax = getattr(dataset.file_meta, "TransferSyntaxUID", pydicom.uid.ExplicitVRLittleEndian)
    if syntax not in _UNCOMPRESSED:
        return None if left_over else "the file ends before its pixels"
    # The element's own tag and length come before its value.
    wanted = 8 if syntax == pydicom.uid.ImplicitVRLittleEndian else 12
    wanted += shape[0] * shape[1] * int(dataset.get("BitsAllocated") or 16) // 8
    return f"the file ends after {left_over} of {wanted} bytes of pixels" if left_over < wanted else None


def _text(dataset: Any, tag: int) -> str:
    """Return the element's text from its raw bytes, because real files hold values that pydicom warns about."""
    element = dataset.get_item(tag)
    if element is None or element.value is None:
        return ""
    if isinstance(element.value, bytes):
        return element.value.decode("latin-1").strip(" \0")
    value = element.value
    return "\\".join(map(str, value)) if not isinstance(value, str) and hasattr(value, "__iter__") else str(value)


def _numbers(text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split("\\")] if text else []
    except ValueError:
        return []
    return values if all(map(math.isfinite, values)) else []


def _whole(text: str, default: int = 0) -> int:
    values = _numbers(text)
    return int(values[0]) if values else default
