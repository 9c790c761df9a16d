"""The frames in a DICOM file: the header fields that place them, order them and tell a cine from other series."""

from __future__ import annotations

import datetime
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.dicom import UNCOMPRESSED, left_after_header, read_dicom
from ..errors import UnusableFileError

_TAGS = {
    "image_type": 0x00080008,
    "instance_uid": 0x00080018,
    "acquired": 0x0008002A,
    "acquisition_time": 0x00080032,
    "content_time": 0x00080033,
    "modality": 0x00080060,
    "description": 0x0008103E,
    "frame_type": 0x00089007,
    "patient": 0x00100020,
    "sequence": 0x00180020,
    "variant": 0x00180021,
    "sequence_name": 0x00180024,
    "thickness": 0x00180050,
    "echo_time": 0x00180081,
    "inversion_time": 0x00180082,
    "trigger_time": 0x00181060,
    "frame_acquired": 0x00189074,
    "inversion_times": 0x00189079,
    "effective_echo_time": 0x00189082,
    "study": 0x0020000D,
    "series_uid": 0x0020000E,
    "series": 0x00200011,
    "acquisition": 0x00200012,
    "instance": 0x00200013,
    "position": 0x00200032,
    "orientation": 0x00200037,
    "temporal_position": 0x00200100,
    "temporal_index": 0x00209128,
    "trigger_delay": 0x00209153,
    "number_of_frames": 0x00280008,
    "pixel_spacing": 0x00280030,
    "intercept": 0x00281052,
    "slope": 0x00281053,
}
_SHARED, _PER_FRAME = 0x52009229, 0x52009230
# What pixel decoding needs: samples, photometric interpretation, rows, columns, bits, sign, data.
PIXEL_TAGS = [0x00280002, 0x00280004, 0x00280006, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102]
PIXEL_TAGS += [0x00280103, 0x00280008, 0x7FE00010]
_EXPECTED = "expected an MR image with position, orientation and pixel spacing"
_PIXEL_SPACING_MM = (0.1, 10.0)
_THICKEST_MM = 100.0
_MOST_PIXELS = 4096
DAY_MS = 86_400_000.0


@dataclass(frozen=True)
class CineFrame:
    """One frame; lengths in mm in the patient's left-posterior-superior axes.

    Attributes:
        path, index: the file, and which of its `count` frames this is.
        times: what may order the frames of a slice, by name, the most trustworthy first; NaN where it is not known.
        protocol: scanning sequence, its variant and name, which tell cines from other series at the same positions.
        contrast: inversion and echo times, of which a cine has one each.
        scale: slope and intercept of the stored values.
        fault: what is wrong with the pixels although the header is good.
    """

    path: str
    index: int
    count: int
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, float]
    shape: tuple[int, int]
    times: Mapping[str, float]
    instance: int
    series: int
    acquisition: int
    series_uid: str
    instance_uid: str
    patient: str
    study: str
    description: str
    protocol: str
    image_type: frozenset[str]
    contrast: tuple[str, ...]
    scale: tuple[float, float]
    fault: str | None

    @property
    def normal(self) -> np.ndarray:
        """Unit vector that the slice faces: row direction x column direction."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return np.asarray(normal / np.linalg.norm(normal))


def read_frames(path: str | os.PathLike[str]) -> list[CineFrame]:
    """Return the frames in a DICOM file from its header: one, or those of an enhanced multi-frame image.

    Raises:
        UnusableFileError: if it is no DICOM file, of another modality, or lacks its geometry.
    """
    source = Path(path)
    try:
        return _read_frames(source)
    except UnusableFileError:
        raise
    except OSError as error:
        raise UnusableFileError(f"{source}: {_EXPECTED}, found no file to read ({error.strerror}).") from error
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        found = f"a damaged header ({type(error).__name__})"
        raise UnusableFileError(f"{source}: {_EXPECTED}, found {found}; export it again.") from error


def _read_frames(source: Path) -> list[CineFrame]:
    tags = [*_TAGS.values(), *PIXEL_TAGS, _SHARED, _PER_FRAME]
    dataset = read_dicom(source, stop_before_pixels=True, tags=tags)
    fields = {name: _text(dataset.get(tag)) for name, tag in _TAGS.items()}
    if fields["modality"] != "MR":
        found = fields["modality"] or "no modality"
        raise UnusableFileError(f"{source}: {_EXPECTED} (0008,0060) = MR, found {found}; choose the cine MR series.")
    shape = _shape(source, dataset)
    groups, count = _functional_groups(dataset), int(_number(fields["number_of_frames"], 1.0))
    if len(groups) != count:
        found = f"{len(groups)} of {count} frames" if _PER_FRAME in dataset else f"none for its {count} frames"
        raise UnusableFileError(
            f"{source}: {_EXPECTED} of each frame in (5200,9230), found {found}; export it again as enhanced "
            "or single-frame MR images."
        )
    fault = _cut_short(source, dataset, (count, *shape))
    return [_frame(source, {**fields, **group}, index, count, shape, fault) for index, group in enumerate(groups)]


def _frame(
    source: Path, fields: dict[str, str], index: int, count: int, shape: tuple[int, int], fault: str | None
) -> CineFrame:
    sequence_name = re.sub(r"[^A-Za-z]", "", fields["sequence_name"])
    image_type = f"{fields['image_type']}\\{fields['frame_type']}".upper().split("\\")
    return CineFrame(
        path=str(source),
        index=index,
        count=count,
        **_geometry(source, fields),
        shape=shape,
        times=_times(fields, index if count > 1 else None),
        instance=int(_number(fields["instance"], 0.0)),
        series=int(_number(fields["series"], 0.0)),
        acquisition=int(_number(fields["acquisition"], 0.0)),
        series_uid=fields["series_uid"],
        instance_uid=fields["instance_uid"],
        patient=fields["patient"],
        study=fields["study"],
        description=fields["description"],
        protocol=f"{fields['sequence']} {fields['variant']} {sequence_name}",
        image_type=frozenset(word.strip() for word in image_type[2:]),
        contrast=tuple(
            fields[name] for name in ("inversion_time", "inversion_times", "echo_time", "effective_echo_time")
        ),
        scale=(_number(fields["slope"], 1.0), _number(fields["intercept"], 0.0)),
        fault=fault,
    )


def _times(fields: dict[str, str], index: int | None) -> dict[str, float]:
    acquired = [_clock_ms(fields[name]) for name in ("frame_acquired", "acquired", "acquisition_time")]
    instance = _number(fields["instance"])
    return {
        "trigger time": _number(fields["trigger_time"]),
        "trigger delay": _number(fields["trigger_delay"]),
        "temporal position": _number(fields["temporal_position"], _number(fields["temporal_index"])),
        "acquisition time": next((time for time in acquired if not math.isnan(time)), math.nan),
        "content time": _clock_ms(fields["content_time"]),
        # The frames of an enhanced image share its instance number; their order in the file tells as much.
        "instance number": instance if index is None else float(index),
    }


def _functional_groups(dataset: Any) -> list[dict[str, str]]:
    """Return for each frame the fields of its functional groups; of an image without them {}."""
    if _PER_FRAME not in dataset:
        return [{}]
    names = {tag: name for name, tag in _TAGS.items()}

    def fields(group: Any) -> dict[str, str]:
        items = (item for element in group if element.VR == "SQ" for item in element.value)
        return {names[leaf.tag]: _text(leaf) for item in items for leaf in item if leaf.tag in names}

    shared = fields(dataset[_SHARED].value[0]) if dataset.get(_SHARED) and dataset[_SHARED].value else {}
    return [{**shared, **fields(group)} for group in dataset[_PER_FRAME].value]


def _geometry(source: Path, fields: dict[str, str]) -> dict[str, Any]:
    position, orientation = _numbers(fields["position"]), _numbers(fields["orientation"])
    spacing = _numbers(fields["pixel_spacing"])
    wanted = ((position, 3, "(0020,0032)"), (orientation, 6, "(0020,0037)"), (spacing, 2, "(0028,0030)"))
    for values, count, tag in wanted:
        if len(values) != count:
            found = f"{len(values)} of {count} values in {tag}"
            raise UnusableFileError(f"{source}: {_EXPECTED}, found {found}; export the series again.")
    across = sum(a * b for a, b in zip(orientation[:3], orientation[3:], strict=True))
    lengths = [sum(v * v for v in direction) for direction in (orientation[:3], orientation[3:])]
    if abs(across) > 0.1 or min(lengths) < 0.5:
        raise UnusableFileError(f"{source}: {_EXPECTED}, found orientation {orientation}.")
    if not _PIXEL_SPACING_MM[0] <= min(spacing) <= max(spacing) <= _PIXEL_SPACING_MM[1]:
        raise UnusableFileError(
            f"{source}: {_EXPECTED} of {_PIXEL_SPACING_MM[0]:g} to {_PIXEL_SPACING_MM[1]:g} mm, found {spacing}."
        )
    thickness = _number(fields["thickness"], 0.0)
    if not 0.0 <= thickness <= _THICKEST_MM:
        raise UnusableFileError(
            f"{source}: expected a slice thickness (0018,0050) of at most {_THICKEST_MM:g} mm, found {thickness:g}."
        )
    return {"position_mm": tuple(position), "orientation": tuple(orientation), "pixel_spacing_mm": tuple(spacing)}


def _shape(source: Path, dataset: Any) -> tuple[int, int]:
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if not 1 <= rows <= _MOST_PIXELS or not 1 <= columns <= _MOST_PIXELS:
        found = f"{rows} x {columns}" if rows or columns else "no matrix size"
        raise UnusableFileError(f"{source}: {_EXPECTED} and at most {_MOST_PIXELS} x {_MOST_PIXELS}, found {found}.")
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise UnusableFileError(f"{source}: {_EXPECTED}, found a colour picture (0028,0002); choose the cine series.")
    return rows, columns


def _cut_short(source: Path, dataset: Any, shape: tuple[int, int, int]) -> str | None:
    """Return a fault if the bytes after the header of an uncompressed file cannot hold the pixels."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in UNCOMPRESSED:
        return None
    left_over = left_after_header(source)
    # The element's own tag, type and length come before its value.
    own = 8 if syntax.is_implicit_VR else 12
    wanted = own + math.prod(shape) * int(dataset.get("BitsAllocated") or 16) // 8
    return f"the file ends after {left_over} of {wanted} bytes of pixels" if left_over < wanted else None


def _text(element: Any) -> str:
    value = None if element is None else element.value
    if value is None:
        return ""
    return "\\".join(map(str, value)) if not isinstance(value, str) and hasattr(value, "__iter__") else str(value)


def _numbers(text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split("\\")] if text else []
    except ValueError:
        return []
    return values if all(map(math.isfinite, values)) else []


def _number(text: str, default: float = math.nan) -> float:
    values = _numbers(text)
    return values[0] if values else default


def _clock_ms(text: str) -> float:
    """Return a time of day (TM), or a date and time (DT), of DICOM in ms; NaN where there is none."""
    found = re.match(r"(\d{8})?(\d{2}):?(\d{2}):?(\d{2}(?:\.\d+)?)", text)
    if found is None:
        return math.nan
    date, hours, minutes, seconds = found.groups()
    try:
        days = datetime.datetime.strptime(date, "%Y%m%d").toordinal() if date else 0
    except ValueError:
        return math.nan
    return days * DAY_MS + (int(hours) * 60 + int(minutes)) * 60_000.0 + float(seconds) * 1000.0
