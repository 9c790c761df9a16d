"""Where the spectral trace stands on the screen, and what its rows and columns measure."""

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

from ..data.ultrasound_dicom import UltrasoundRegion
from ..errors import UnusableFileError

SPECTRAL = 3
TISSUE = 1
DOPPLER_SPECTRA = (3, 4)  # pulsed and continuous wave
SECONDS = 4
CM_PER_SECOND = 7
FREQUENCY_SCALE = 1 << 2
SMALLEST_TRACE_PX = 16
LARGEST_PICTURE_PX = 2**26
# The fastest jets of the heart reach 7 m/s; scales of tissue Doppler end at 15 to 30 cm/s, those of inflow beyond 45.
FASTEST_CM_S = 700.0
SLOWEST_SCALE_CM_S = 40.0
# From one beat cut out of a sweep of 150 mm/s to a wide screen at 25 mm/s.
DURATION_S = (0.2, 60.0)

Box = tuple[int, int, int, int]


class CalibrationError(UnusableFileError):
    """The file does not say, or not clearly, what a pixel of its spectral trace measures."""


class DopplerCalibration(NamedTuple):
    """What a point of the image measures.

    Attributes:
        baseline_row: row of velocity 0, in image pixels, whole numbers at pixel centres.
        cm_s_per_px: velocity from one row to the next, positive.
        seconds_per_px: time from one column to the next; NaN if unknown.
    """

    baseline_row: float
    cm_s_per_px: float
    seconds_per_px: float = math.nan


def spectral_calibration(
    regions: Sequence[UltrasoundRegion], image_size: tuple[int, int], path: str | os.PathLike[str]
) -> tuple[Box, DopplerCalibration]:
    """Return the box (min_x, min_y, max_x, max_y, all inside) of the spectral trace and its calibration.

    Args:
        regions: all regions of the file; exactly one must be spectral.
        image_size: height and width of the image; a box that reaches over its edge is cut.
        path: file that the errors name.

    Raises:
        CalibrationError: if there is no region or no spectral one, or more than one; if it is no Doppler spectrum of
            blood (tissue Doppler among others); if the scale is a frequency or its unit is not cm/s; if a row measures
            nothing; if the reference row is missing; if the box is outside the image or smaller than 16 pixels; if
            baseline, velocities or time are outside what :func:`check_calibration` believes.

    References:
        DICOM PS3.3 C.8.5.5: the reference pixel counts from the corner of the region, rows grow downwards.
    """
    region = _spectral_region(regions, path)
    _check_scale(region, path)
    delta_y, reference_y = float(region.delta_y or 0), float(region.reference_y or 0)
    baseline_row = region.min_y + reference_y - region.reference_value_y / delta_y
    measures_time = region.units_x == SECONDS and region.delta_x is not None and region.delta_x > 0
    seconds = float(region.delta_x or 0) if measures_time else math.nan
    box, calibration = _box(region, image_size, path), DopplerCalibration(baseline_row, abs(delta_y), seconds)
    check_calibration(box, calibration, path)
    return box, calibration


def check_calibration(box: Box, calibration: DopplerCalibration, path: str | os.PathLike[str]) -> None:
    """Raise a CalibrationError unless a trace with this box and calibration can show mitral inflow.

    The baseline is at most a quarter of the height of the trace outside it; the scale ends between 40 cm/s (below it is
    tissue Doppler) and 7 m/s; where time is known, the trace lasts 0.2 to 60 s.
    """
    height = box[3] - box[1] + 1
    if not box[1] - height / 4 <= calibration.baseline_row <= box[3] + height / 4:
        raise CalibrationError(
            f"{path}: expected the baseline near rows {box[1]} to {box[3]} of the trace, found row "
            f"{calibration.baseline_row:.4g}; correct the calibration."
        )
    reach_px = max(abs(calibration.baseline_row - box[1]), abs(calibration.baseline_row - box[3]))
    fastest = reach_px * calibration.cm_s_per_px
    if not SLOWEST_SCALE_CM_S <= fastest <= FASTEST_CM_S:
        kind = "tissue Doppler or a wrong scale" if fastest < SLOWEST_SCALE_CM_S else "a wrong scale"
        raise CalibrationError(
            f"{path}: expected a velocity scale that ends between {SLOWEST_SCALE_CM_S:g} and {FASTEST_CM_S:g} cm/s, "
            f"found {fastest:.4g} cm/s: {kind}; choose a trace of mitral inflow, or correct the calibration."
        )
    duration = (box[2] - box[0] + 1) * calibration.seconds_per_px
    if math.isfinite(duration) and not DURATION_S[0] <= duration <= DURATION_S[1]:
        raise CalibrationError(
            f"{path}: expected a trace of {DURATION_S[0]:g} to {DURATION_S[1]:g} s, found {duration:.4g} s; correct "
            "the calibration."
        )


def check_screen_size(height: int, width: int, path: str | os.PathLike[str]) -> None:
    """Raise an UnusableFileError unless a picture or a frame of a video can show a trace, and fits into memory."""
    if width * height > LARGEST_PICTURE_PX:
        raise UnusableFileError(
            f"{path}: expected a picture of at most {LARGEST_PICTURE_PX:,} pixels, found {width:,} x {height:,}; crop "
            "it to the trace."
        )
    if min(width, height) < SMALLEST_TRACE_PX:
        raise UnusableFileError(
            f"{path}: expected a picture of at least {SMALLEST_TRACE_PX} x {SMALLEST_TRACE_PX} pixels, found "
            f"{width} x {height}; save the screen in its own size."
        )


def peak_velocity_cm_s(row: float, calibration: DopplerCalibration) -> float:
    """Return the speed at an image row, positive on both sides of the baseline (a trace may stand upside down)."""
    return abs(row - calibration.baseline_row) * calibration.cm_s_per_px


def _spectral_region(regions: Sequence[UltrasoundRegion], path: str | os.PathLike[str]) -> UltrasoundRegion:
    if not regions:
        raise CalibrationError(
            f"{path}: expected the sequence of ultrasound regions (0018,6011), found none; export the original DICOM "
            "file, or save the trace as PNG and give cm_s_per_px and y_baseline in labels.csv."
        )
    spectral = [region for region in regions if region.spatial_format == SPECTRAL]
    # An ECG may be written as a spectrum too.
    spectral = [region for region in spectral if region.data_type in DOPPLER_SPECTRA] or spectral
    if len(spectral) != 1:
        formats = ", ".join(str(region.spatial_format) for region in regions)
        raise CalibrationError(
            f"{path}: expected one spectral region in (0018,6011), found {len(spectral)} (spatial formats: {formats}); "
            "crop the file to a single trace first."
        )
    spectral[0].check(path)
    if spectral[0].data_type not in DOPPLER_SPECTRA:
        raise CalibrationError(
            f"{path}: expected pulsed or continuous wave Doppler of blood flow (3 or 4 in (0018,6014)), found type "
            f"{spectral[0].data_type}{' (tissue)' if spectral[0].data_type == TISSUE else ''}; choose a trace of "
            "mitral inflow."
        )
    return spectral[0]


def _check_scale(region: UltrasoundRegion, path: str | os.PathLike[str]) -> None:
    if region.units_y != CM_PER_SECOND or region.flags & FREQUENCY_SCALE:
        raise CalibrationError(
            f"{path}: expected a velocity scale in cm/s (unit 7 in (0018,6026), bit 2 of (0018,6016) not set), found "
            f"unit {region.units_y} and flags {region.flags}; switch the scanner to velocity."
        )
    if not region.delta_y or not math.isfinite(region.delta_y):
        raise CalibrationError(
            f"{path}: expected the velocity of one row in (0018,602E), found {region.delta_y}; export the file again."
        )
    if region.reference_y is None:
        raise CalibrationError(
            f"{path}: expected the reference row of the trace in (0018,6022), found none; export the file again."
        )


def _box(region: UltrasoundRegion, image_size: tuple[int, int], path: str | os.PathLike[str]) -> Box:
    height, width = image_size
    box = (
        max(region.min_x, 0),
        max(region.min_y, 0),
        min(region.max_x, width - 1),
        min(region.max_y, height - 1),
    )
    if box[2] - box[0] < SMALLEST_TRACE_PX or box[3] - box[1] < SMALLEST_TRACE_PX:
        raise CalibrationError(
            f"{path}: expected a spectral region of at least {SMALLEST_TRACE_PX} pixels within the {width} x {height} "
            f"image, found x {region.min_x} to {region.max_x}, y {region.min_y} to {region.max_y}."
        )
    return box
