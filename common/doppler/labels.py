"""labels.csv of Doppler images: expert peaks in pixels, and the calibration where the image has none."""

import math
import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..data.tables import read_table
from ..errors import UnusableFileError
from .calibration import DopplerCalibration

WAVES = ("E", "A")
LONG_COLUMNS = {"filename", "wave", "x", "y"}
WIDE_COLUMNS = {"filename", "x1", "y1", "x2", "y2"}
Row = Mapping[str, str]
Point = tuple[float, float]


class DopplerLabel(NamedTuple):
    """What labels.csv says about one image.

    Attributes:
        peaks: a list of (x, y) in image pixels for each wave, in order of time; an empty list is a labelled absence.
        calibration: from the columns cm_s_per_px and y_baseline (and seconds_per_px); None if they are empty.
        patient: from the column patient_id; None if there is none. Images of a patient share a part of the split.
    """

    peaks: dict[str, list[Point]]
    calibration: DopplerCalibration | None
    patient: str | None


def read_label_rows(path: str | os.PathLike[str]) -> dict[str, list[Row]]:
    """Return the rows of labels.csv by file name.

    Two forms: `filename,wave,x,y` has a row a peak (wave E or A; wave, x and y empty for an image without any), and
    `filename,x1,y1,x2,y2` has a row with one E and one A peak (an empty pair is a missing keypoint). Further columns:
    `cm_s_per_px`, `y_baseline`, `seconds_per_px`, `patient_id`.

    Raises:
        UnusableFileError: if the columns are of neither form, or the file is no text.
    """
    rows = read_table(path)
    columns = set(rows[0]) if rows else set()
    if rows and not (columns >= LONG_COLUMNS or columns >= WIDE_COLUMNS):
        raise UnusableFileError(
            f"{path}: expected the columns filename,wave,x,y or filename,x1,y1,x2,y2, found {','.join(rows[0])}."
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
        UnusableFileError: for an unknown wave, a value that is no number, a peak outside the image, the same peak
            twice, or a calibration that is half, differs between rows or has no height.
    """
    rows = list(rows)
    peaks: dict[str, list[Point]] = {wave: [] for wave in WAVES}
    for wave, x, y in _points(rows, path):
        if not (0 <= x <= image_size[1] - 1 and 0 <= y <= image_size[0] - 1):
            raise UnusableFileError(
                f"{path}: expected peaks inside the {image_size[1]} x {image_size[0]} image, found {wave} at "
                f"({x:g}, {y:g}); correct labels.csv."
            )
        if (x, y) in peaks[wave]:
            raise UnusableFileError(f"{path}: the {wave} peak at ({x:g}, {y:g}) is in labels.csv twice; remove one.")
        peaks[wave].append((x, y))
    patients = {row.get("patient_id", "") for row in rows} - {""}
    ordered = {wave: sorted(points) for wave, points in peaks.items()}
    return DopplerLabel(ordered, row_calibration(rows, path), min(patients) if patients else None)


def row_calibration(rows: Iterable[Row], path: str | os.PathLike[str]) -> DopplerCalibration | None:
    """Return the calibration in the image's rows of labels.csv, or None if the columns are empty or not there.

    Raises:
        UnusableFileError: if it is half, no number, differs between rows, or cm_s_per_px is not positive.
    """
    found = set()
    for row in rows:
        scale, baseline = row.get("cm_s_per_px", ""), row.get("y_baseline", "")
        if bool(scale) != bool(baseline):
            raise UnusableFileError(f"{path}: expected both cm_s_per_px and y_baseline in labels.csv, found one.")
        if scale:
            seconds = row.get("seconds_per_px", "")
            time = _number(seconds, "seconds_per_px", path) if seconds else math.nan
            found.add((_number(baseline, "y_baseline", path), _number(scale, "cm_s_per_px", path), f"{time}"))
    if not found:
        return None
    if len(found) > 1:
        raise UnusableFileError(f"{path}: expected one calibration in labels.csv, found {len(found)} that differ.")
    ((row_zero, cm_s_per_px, text),) = found
    if cm_s_per_px <= 0:
        raise UnusableFileError(f"{path}: expected a positive cm_s_per_px in labels.csv, found {cm_s_per_px:g}.")
    return DopplerCalibration(row_zero, cm_s_per_px, float(text))


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
