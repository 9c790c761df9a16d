"""From a network's answer for one image to rows of peaks: predicted, reference, matched."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..evaluation.rows import Row
from .calibration import DopplerCalibration, peak_velocity_cm_s
from .fit import to_image
from .labels import WAVES
from .scores import ImageCounts, Tolerance, match_peaks, peak_tolerance


def doppler_row(batch: Any, output: Any) -> Row:
    """Return the peaks of one image, predicted and reference, in image pixels and cm/s.

    Args:
        batch: `case`, `box` (4,), `placement` (4,), `calibration` (3,; NaN where unknown), how sure the box is as
            `strip` (1 without), and `peaks` (2, K, 2) in the network's pixels if the image is labelled.
        output: `points` (2, K, 2) in image pixels and `confidence` (2, K), from DecodePeaksd.
    """
    calibration = DopplerCalibration(*(float(value) for value in batch["calibration"]))
    left, top, right, bottom = (int(value) for value in batch["box"])
    row: Row = {
        "case": str(batch["case"]),
        "predicted": _by_wave(output["points"], output["confidence"], calibration),
        "reference": {wave: [] for wave in WAVES},
        "trace_size": (bottom - top + 1, right - left + 1),
        "box": (left, top, right, bottom),
        "calibration": tuple(calibration),
        "seconds_per_px": calibration.seconds_per_px,
        "strip": float(batch.get("strip", 1.0)),
    }
    if "peaks" in batch:
        reference = to_image(
            batch["peaks"].double(), torch.as_tensor(batch["placement"]).double().to(batch["peaks"].device)
        )
        row["reference"] = _by_wave(reference, torch.ones(reference.shape[:2]), calibration)
    return row


def _by_wave(points: Tensor, confidence: Tensor, calibration: DopplerCalibration) -> dict[str, list[tuple[float, ...]]]:
    """Return (x, y, confidence, velocity) of each peak of each wave, in order of time."""
    peaks: dict[str, list[tuple[float, ...]]] = {}
    for index, wave in enumerate(WAVES):
        listed = zip(points[index].cpu().tolist(), confidence[index].cpu().tolist(), strict=True)
        peaks[wave] = sorted(
            (x, y, score, peak_velocity_cm_s(y, calibration)) for (x, y), score in listed if not math.isnan(x)
        )
    return peaks


class PeakRow(NamedTuple):
    """One peak of an image: matched, false (there is none in the reference there) or missed.

    Positions are image pixels, velocities cm/s; NaN where there is none.
    """

    case: str
    wave: str
    status: str
    x: float
    y: float
    confidence: float
    velocity_cm_s: float
    reference_x: float
    reference_y: float
    reference_velocity_cm_s: float
    difference_cm_s: float


def peak_rows(
    row: Row, scale: float = 1.0, beat_fraction: float = 0.1, velocity_fraction: float = 0.1
) -> list[PeakRow]:
    """Return the peaks of one image, matched one to one.

    Args:
        row: `case`, `predicted` and `reference` (wave to list of (x, y, confidence, velocity)), `trace_size` (height,
            width) and `seconds_per_px`.
        scale: factor of the tolerance, for sweeps.
        beat_fraction, velocity_fraction: as in :func:`common.doppler.peak_tolerance`.
    """
    reference = {wave: np.array(row["reference"][wave], float).reshape(-1, 4) for wave in WAVES}
    predicted = {wave: np.array(row["predicted"][wave], float).reshape(-1, 4) for wave in WAVES}
    reach = peak_tolerance(
        [reference[wave][:, :2] for wave in WAVES],
        tuple(row["trace_size"]),
        row["seconds_per_px"],
        beat_fraction,
        velocity_fraction,
    )
    tolerance = Tolerance(reach.x_px * scale, reach.y_px * scale)
    rows = []
    for wave in WAVES:
        pairs = match_peaks(predicted[wave][:, :2], reference[wave][:, :2], tolerance)
        rows += [_peak(row["case"], wave, "matched", predicted[wave][i], reference[wave][j]) for i, j in pairs]
        right, seen = {i for i, _ in pairs}, {j for _, j in pairs}
        rows += [_peak(row["case"], wave, "false", p, None) for i, p in enumerate(predicted[wave]) if i not in right]
        rows += [_peak(row["case"], wave, "missed", None, p) for j, p in enumerate(reference[wave]) if j not in seen]
    return rows


def image_counts(peaks: Sequence[PeakRow], wave: str) -> ImageCounts:
    """Return what the peaks of one image add to the scores of a wave."""
    status = [peak.status for peak in peaks if peak.wave == wave]
    differences = [peak.difference_cm_s for peak in peaks if peak.wave == wave]
    return ImageCounts(
        status.count("matched"),
        status.count("false"),
        status.count("missed"),
        tuple(value for value in differences if math.isfinite(value)),
    )


def mean_f1(rows: Sequence[Row]) -> float:
    """Return the mean of the F1 scores of E and A, the metric that picks the best model; 0 where a wave has none."""
    return (e_f1(rows) + a_f1(rows)) / 2


def e_f1(rows: Sequence[Row]) -> float:
    """Return the F1 score of the E waves over all images."""
    return _f1(rows, "E")


def a_f1(rows: Sequence[Row]) -> float:
    """Return the F1 score of the A waves over all images."""
    return _f1(rows, "A")


def _f1(rows: Sequence[Row], wave: str) -> float:
    counts = np.array([image_counts(peak_rows(row), wave)[:3] for row in rows], float).reshape(-1, 3).sum(0)
    total = 2 * counts[0] + counts[1] + counts[2]
    return float(2 * counts[0] / total) if total else 0.0


def _peak(case: str, wave: str, status: str, predicted: Any, reference: Any) -> PeakRow:
    nothing = (math.nan,) * 4
    x, y, confidence, speed = (float(value) for value in (nothing if predicted is None else predicted))
    true_x, true_y, _, true_speed = (float(value) for value in (nothing if reference is None else reference))
    return PeakRow(case, wave, status, x, y, confidence, speed, true_x, true_y, true_speed, speed - true_speed)
