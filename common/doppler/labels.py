"""labels.csv of Doppler images: expert peaks in pixels, and where the trace stands and what it measures."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..errors import UnusableFileError
from ..files import read_csv
from .calibration import SMALLEST_TRACE_PX, Box, DopplerCalibration, check_calibration

WAVES = ("E", "A")
LONG_COLUMNS = {"filename", "wave", "x", "y"}
WIDE_COLUMNS = {"filename", "x1", "y1", "x2", "y2"}
REGION_COLUMNS = ("x0", "y0", "x1", "y1")
SCALE_COLUMNS = ("cm_s_per_px", "y_baseline")
Row = Mapping[str, str]
Point = tuple[float, float]


class DopplerLabel(NamedTuple):
    """What labels.csv says about one image.

    Attributes:
        peaks: a list of (x, y) in image pixels for each wave, in order of time; an empty list is a labelled absence.
        box: of the trace, from the columns x0, y0, x1, y1; None if they are empty.
        calibration: from the columns cm_s_per_px and y_baseline (and seconds_per_px); None if they are empty.
        patient: from the column patient_id; None if there is none. Images of a patient share a part of the split.
    """

    peaks: dict[str, list[Point]]
    box: Box | None
    calibration: DopplerCalibration | None
    patient: str | None


def read_label_rows(path: str | os.PathLike[str], with_peaks: bool = True) -> dict[str, list[Row]]:
    """Return the rows of labels.csv by file name.

    Two forms: `filename,wave,x,y` has a row a peak (wave E or A; wave, x and y empty for an image without any), and
    `filename,x1,y1,x2,y2` has a row with one E and one A peak (an empty pair is a missing keypoint). Further columns:
    `x0,y0,x1,y1` (corners of the trace; not in the second form), `cm_s_per_px`, `y_baseline`, `seconds_per_px`,
    `patient_id`. Where no peaks are needed, `filename` and any of these are enough.

    Raises:
        UnusableFileError: if the columns are of no such form, or the file is no table.
    """
    try:
        rows = read_csv(path)
    except (UnicodeDecodeError, ValueError) as error:
        raise UnusableFileError(f"{path}: expected a CSV file in UTF-8, found {error}.") from error
    columns = set(rows[0]) if rows else set()
    forms = [LONG_COLUMNS, WIDE_COLUMNS]
    if not with_peaks:
        forms += [{"filename", *REGION_COLUMNS}, {"filename", *SCALE_COLUMNS}]
    if rows and not any(columns >= form for form in forms):
        also = "" if with_peaks else f", or {','.join(REGION_COLUMNS)} or {','.join(SCALE_COLUMNS)}"
        raise UnusableFileError(
            f"{path}: expected the columns filename,wave,x,y or filename,x1,y1,x2,y2{also}, found {','.join(rows[0])}."
        )
    if columns >= WIDE_COLUMNS | {"x0", "y0"}:
        raise UnusableFileError(
            f"{path}: expected x1 and y1 to be either a peak or a corner, found x0,y0,x1,y1,x2,y2; write the peaks as "
            "filename,wave,x,y."
        )
    by_file: dict[str, list[Row]] = {}
    for row in rows:
        by_file.setdefault(row["filename"], []).append(row)
    return by_file


def doppler_label(rows: Iterable[Row], image_size: tuple[int, int], path: str | os.PathLike[str]) -> DopplerLabel:
    """Return the label of one image.

    Args:
        rows: the image's rows of labels.csv.
        image_size: height and width, which every peak must be inside.
        path: image that the errors name.

    Raises:
        UnusableFileError: for an unknown wave, a value that is no number, a peak outside the image or the trace, the
            same peak twice, or a trace or calibration as :func:`row_trace` refuses it.
    """
    rows = list(rows)
    box, calibration = row_trace(rows, image_size, path)
    left, top, right, bottom = box or (0, 0, image_size[1] - 1, image_size[0] - 1)
    inside = f"x {left} to {right}, y {top} to {bottom}" if box else f"the {image_size[1]} x {image_size[0]} image"
    peaks: dict[str, list[Point]] = {wave: [] for wave in WAVES}
    for wave, x, y in _points(rows, path):
        if not (left <= x <= right and top <= y <= bottom):
            raise UnusableFileError(
                f"{path}: expected peaks inside {inside}, found {wave} at ({x:g}, {y:g}); correct labels.csv."
            )
        if (x, y) in peaks[wave]:
            raise UnusableFileError(f"{path}: the {wave} peak at ({x:g}, {y:g}) is in labels.csv twice; remove one.")
        peaks[wave].append((x, y))
    patients = {row.get("patient_id", "") for row in rows} - {""}
    ordered = {wave: sorted(points) for wave, points in peaks.items()}
    return DopplerLabel(ordered, box, calibration, min(patients) if patients else None)


def row_trace(
    rows: Sequence[Row], image_size: tuple[int, int], path: str | os.PathLike[str]
) -> tuple[Box | None, DopplerCalibration | None]:
    """Return box and calibration in the image's rows of labels.csv, None where the columns are empty or not there.

    Raises:
        UnusableFileError: if one is half, no number, differs between rows, is outside the image, or is none that a
            trace of mitral inflow can have.
    """
    # In the wide form x1 and y1 are a peak.
    corners = _one_of([row for row in rows if "x2" not in row], REGION_COLUMNS, REGION_COLUMNS, path)
    box = None if corners is None else _checked_box(corners, image_size, path)
    scale = _one_of(rows, SCALE_COLUMNS, (*SCALE_COLUMNS, "seconds_per_px"), path)
    if scale is None:
        return box, None
    if scale[0] <= 0:
        raise UnusableFileError(f"{path}: expected a positive cm_s_per_px in labels.csv, found {scale[0]:g}.")
    calibration = DopplerCalibration(scale[1], scale[0], scale[2])
    check_calibration(box or (0, 0, image_size[1] - 1, image_size[0] - 1), calibration, path)
    return box, calibration


def _one_of(
    rows: Iterable[Row], needed: Sequence[str], columns: Sequence[str], path: str | os.PathLike[str]
) -> tuple[float, ...] | None:
    """Return the numbers in `columns`, the same in all rows that have them; NaN for an empty one that is not needed."""
    found: dict[tuple[str, ...], None] = {}
    for row in rows:
        cells = tuple(row.get(column, "") for column in columns)
        if not any(cells):
            continue
        if not all(row.get(column) for column in needed):
            raise UnusableFileError(f"{path}: expected all of {', '.join(needed)} in labels.csv, found some of them.")
        found[cells] = None
    values = [
        tuple(_number(cell, name, path) if cell else math.nan for cell, name in zip(cells, columns, strict=True))
        for cells in found
    ]
    distinct = {str(one): one for one in values}
    if len(distinct) > 1:
        raise UnusableFileError(
            f"{path}: expected one value of {', '.join(columns)} in labels.csv, found {len(distinct)} that differ."
        )
    return next(iter(distinct.values())) if distinct else None


def _checked_box(corners: Sequence[float], image_size: tuple[int, int], path: str | os.PathLike[str]) -> Box:
    left, top, right, bottom = (round(value) for value in corners)
    is_inside = min(left, top) >= 0 and right < image_size[1] and bottom < image_size[0]
    if not is_inside or right - left < SMALLEST_TRACE_PX or bottom - top < SMALLEST_TRACE_PX:
        raise UnusableFileError(
            f"{path}: expected x0 < x1 and y0 < y1 in labels.csv, {SMALLEST_TRACE_PX} pixels apart and inside the "
            f"{image_size[1]} x {image_size[0]} image, found {left}, {top}, {right}, {bottom}."
        )
    return left, top, right, bottom


def _points(rows: Iterable[Row], path: str | os.PathLike[str]) -> list[tuple[str, float, float]]:
    points = []
    for row in rows:
        if "wave" in row:
            cells = [(row["wave"].upper(), row["x"], row["y"])]
        else:
            cells = [("E", row["x1"], row["y1"]), ("A", row["x2"], row["y2"])]
        for wave, x, y in cells:
            is_empty = x.lower() in ("", "nan") and y.lower() in ("", "nan")
            if is_empty and (wave == "" or "wave" not in row):
                continue
            if wave not in WAVES:
                raise UnusableFileError(f"{path}: expected wave E or A in labels.csv, found {row['wave']!r}.")
            points.append((wave, _number(x, "x", path), _number(y, "y", path)))
    return points


def _number(text: str, column: str, path: str | os.PathLike[str]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UnusableFileError(f"{path}: expected a number for {column} in labels.csv, found {text!r}.")
    return value
