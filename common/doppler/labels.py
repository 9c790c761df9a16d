"""labels.csv of Doppler images: reference peaks in pixels, and where the trace stands and what it measures."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..data.tables import number, read_table
from ..errors import UnusableFileError
from .calibration import SMALLEST_TRACE_PX, Box, DopplerCalibration, check_calibration, peak_velocity_cm_s

WAVES = ("E", "A")
LONG_COLUMNS = {"filename", "wave", "x", "y"}
WIDE_COLUMNS = {"filename", "x1", "y1", "x2", "y2"}
Limits = Mapping[str, tuple[float, float]]
REGION_COLUMNS = ("x0", "y0", "x1", "y1")
# What a row and a column of any trace can measure; a decimal comma is told from a thousand by it.
SCALE_CM_S_PER_PX = (1e-3, 100.0)
SECONDS_PER_PX = (1e-5, 1.0)
DURATION_MS = (10.0, 1500.0)
SCALE_COLUMNS = ("cm_s_per_px", "y_baseline")
# A peak nearer to velocity 0, and two peaks nearer to each other, are slips of the pen.
LEAST_PEAK_CM_S, LEAST_APART_PX = 1.0, 2.0
# What labels.csv and a DICOM file say of the same trace: relative in the scales, pixels in the baseline.
SAME_SCALE, SAME_ROW_PX = 0.02, 2.0
Row = Mapping[str, str]
Point = tuple[float, float]


class DopplerLabel(NamedTuple):
    """What labels.csv says about one image.

    Attributes:
        peaks: a list of (x, y) in image pixels for each wave, in order of time; an empty list is a labelled absence.
        box: of the trace, from the columns x0, y0, x1, y1; None if they are empty.
        calibration: from the columns cm_s_per_px and y_baseline (and seconds_per_px); None if they are empty.
        patient: from the column patient_id; None if there is none. Images of a patient share a part of the split.
        durations_s: of each of the peaks, from the column duration_ms, NaN where empty.
    """

    peaks: dict[str, list[Point]]
    box: Box | None
    calibration: DopplerCalibration | None
    patient: str | None
    durations_s: dict[str, list[float]]


def read_label_rows(path: str | os.PathLike[str], with_peaks: bool = True) -> dict[str, list[Row]]:
    """Return the rows of labels.csv by file name.

    Two forms: `filename,wave,x,y` has a row a peak (wave E or A; wave, x and y empty for an image without any), and
    `filename,x1,y1,x2,y2` has a row with one E and one A peak (an empty pair is a missing keypoint). Further columns:
    `x0,y0,x1,y1` (corners of the trace; not in the second form), `cm_s_per_px`, `y_baseline`, `seconds_per_px`,
    `patient_id`, and in the first form `duration_ms` (deceleration time of an E, duration of an A). Where no peaks are
    needed, `filename` and any of these are enough.

    Raises:
        UnusableFileError: if the columns are of no such form, or the file is no table.
    """
    rows = read_table(path)
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


def doppler_label(
    rows: Iterable[Row],
    image_size: tuple[int, int],
    path: str | os.PathLike[str],
    own: tuple[Box, DopplerCalibration] | None = None,
) -> DopplerLabel:
    """Return the label of one image.

    Args:
        rows: the image's rows of labels.csv.
        image_size: height and width, which every peak must be inside.
        path: image that the errors name.
        own: what the file itself says of its trace; None if nothing.

    Raises:
        UnusableFileError: for an unknown wave, a value that is no number, a peak outside the image or the trace or on
            the baseline, two peaks in one place, two patients, or a trace or calibration as :func:`row_trace` refuses
            it.
    """
    rows = list(rows)
    box, calibration = row_trace(rows, image_size, path, own)
    trace, scale = box or (own and own[0]), calibration or (own and own[1])
    left, top, right, bottom = trace or (0, 0, image_size[1] - 1, image_size[0] - 1)
    inside = f"x {left} to {right}, y {top} to {bottom}" if trace else f"the {image_size[1]} x {image_size[0]} image"
    found: dict[str, dict[Point, float]] = {wave: {} for wave in WAVES}
    for wave, x, y, duration_ms in _points(rows, image_size, path):
        if not (left <= x <= right and top <= y <= bottom):
            raise UnusableFileError(
                f"{path}: expected peaks inside {inside}, found {wave} at ({x:g}, {y:g}); correct labels.csv."
            )
        if scale and peak_velocity_cm_s(y, scale) < LEAST_PEAK_CM_S:
            raise UnusableFileError(
                f"{path}: expected peaks away from the baseline, found {wave} at ({x:g}, {y:g}) on it; correct "
                "labels.csv."
            )
        for other, points in found.items():
            near = [point for point in points if math.dist(point, (x, y)) < LEAST_APART_PX]
            if near:
                raise UnusableFileError(
                    f"{path}: expected one peak in one place, found {wave} at ({x:g}, {y:g}) and {other} at "
                    f"({near[0][0]:g}, {near[0][1]:g}) in labels.csv; remove one."
                )
        found[wave][x, y] = duration_ms / 1000
    patients = {row.get("patient_id", "") for row in rows} - {""}
    if len(patients) > 1:
        raise UnusableFileError(
            f"{path}: expected one patient_id in labels.csv, found {', '.join(sorted(patients))}; correct labels.csv."
        )
    peaks = {wave: sorted(points) for wave, points in found.items()}
    durations = {wave: [found[wave][point] for point in points] for wave, points in peaks.items()}
    return DopplerLabel(peaks, box, calibration, min(patients) if patients else None, durations)


def row_trace(
    rows: Sequence[Row],
    image_size: tuple[int, int],
    path: str | os.PathLike[str],
    own: tuple[Box, DopplerCalibration] | None = None,
) -> tuple[Box | None, DopplerCalibration | None]:
    """Return box and calibration in the image's rows of labels.csv, None where the columns are empty or not there.

    Arguments as those of :func:`doppler_label`.

    Raises:
        UnusableFileError: if one is half, no number, differs between rows or from the file's own, is outside the image,
            or is none that a trace of mitral inflow can have.
    """
    # In the wide form x1 and y1 are a peak.
    height, width = image_size
    corner_limits = {"x0": (0, width - 1), "y0": (0, height - 1), "x1": (0, width - 1), "y1": (0, height - 1)}
    corners = _one_of([row for row in rows if "x2" not in row], corner_limits, path)
    box = None if corners is None else _checked_box(corners, image_size, path)
    scale_limits = {"cm_s_per_px": SCALE_CM_S_PER_PX, "y_baseline": (-height, 2 * height)}
    scale = _one_of(rows, scale_limits, path, {"seconds_per_px": SECONDS_PER_PX})
    if scale is None:
        return box, None
    calibration = DopplerCalibration(scale[1], scale[0], scale[2])
    if own:
        _check_same(calibration, own[1], path)
    check_calibration(box or (own and own[0]) or (0, 0, image_size[1] - 1, image_size[0] - 1), calibration, path)
    return box, calibration


def _check_same(given: DopplerCalibration, own: DopplerCalibration, path: str | os.PathLike[str]) -> None:
    """Raise an UnusableFileError if labels.csv says something else than the file, which knows."""
    pairs = [(given.cm_s_per_px, own.cm_s_per_px), (given.seconds_per_px, own.seconds_per_px)]
    # NaN, an unknown time, is no contradiction.
    if abs(given.baseline_row - own.baseline_row) > SAME_ROW_PX or any(
        abs(one / other - 1) > SAME_SCALE for one, other in pairs
    ):
        raise UnusableFileError(
            f"{path}: expected in labels.csv what the file itself says ({own.cm_s_per_px:.4g} cm/s a row, baseline row "
            f"{own.baseline_row:.5g}, {own.seconds_per_px:.4g} s a column), found {given.cm_s_per_px:.4g}, "
            f"{given.baseline_row:.5g} and {given.seconds_per_px:.4g}; leave these columns empty for DICOM files."
        )


def _one_of(
    rows: Iterable[Row], limits: Limits, path: str | os.PathLike[str], optional: Limits | None = None
) -> tuple[float, ...] | None:
    """Return the numbers of the columns in `limits`, then the `optional` ones, NaN where empty; the same in all rows.

    None if they are empty in all rows.
    """
    all_limits = {**limits, **(optional or {})}
    found: dict[str, tuple[float, ...]] = {}
    for row in rows:
        if not any(row.get(column) for column in all_limits):
            continue
        if not all(row.get(column) for column in limits):
            empty = ", ".join(column for column in limits if not row.get(column))
            raise UnusableFileError(f"{path}: expected all of {', '.join(limits)} in labels.csv, found {empty} empty.")
        values = tuple(_number(row[name], name, span, path) if row.get(name) else math.nan
                       for name, span in all_limits.items())  # fmt: skip
        found[str(values)] = values
    if len(found) > 1:
        raise UnusableFileError(
            f"{path}: expected one value of {', '.join(all_limits)} in labels.csv, found {len(found)} that differ."
        )
    return next(iter(found.values()), None)


def _checked_box(corners: Sequence[float], image_size: tuple[int, int], path: str | os.PathLike[str]) -> Box:
    left, top, right, bottom = (round(value) for value in corners)
    is_inside = min(left, top) >= 0 and right < image_size[1] and bottom < image_size[0]
    if not is_inside or right - left < SMALLEST_TRACE_PX or bottom - top < SMALLEST_TRACE_PX:
        raise UnusableFileError(
            f"{path}: expected x0 < x1 and y0 < y1 in labels.csv, {SMALLEST_TRACE_PX} pixels apart and inside the "
            f"{image_size[1]} x {image_size[0]} image, found {left}, {top}, {right}, {bottom}."
        )
    return left, top, right, bottom


def _points(
    rows: Iterable[Row], image_size: tuple[int, int], path: str | os.PathLike[str]
) -> list[tuple[str, float, float, float]]:
    """Return wave, x, y and duration in ms (NaN where unknown) of every peak."""
    points = []
    limits_y, limits_x = ((0.0, size - 1.0) for size in image_size)
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
            at = (_number(x, f"x of {wave}", limits_x, path), _number(y, f"y of {wave}", limits_y, path))
            duration = row.get("duration_ms", "") if "wave" in row else ""
            known = _number(duration, f"duration_ms of {wave}", DURATION_MS, path) if duration else math.nan
            points.append((wave, *at, known))
    return points


def _number(text: str, name: str, limits: tuple[float, float], path: str | os.PathLike[str]) -> float:
    try:
        return number(text, name, *limits)
    except UnusableFileError as error:
        raise UnusableFileError(f"{path}: {error}; correct labels.csv.") from error
