"""From a network's answer for one image to rows of peaks: found, expert's, matched."""

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
from .matching import Tolerance, match_peaks, peak_tolerance
from .scores import ImageCounts


def doppler_row(batch: Any, output: Any) -> Row:
    """Return the peaks of one image, found and expert, in image pixels and cm/s.

    Args:
        batch: `case`, `box` (4,), `placement` (4,), `calibration` (3,; NaN where unknown), and `peaks` (2, K, 2) in the
            network's pixels if the image is labelled.
        output: `points` (2, K, 2) in image pixels and `confidence` (2, K), from DecodePeaksd.
    """
    calibration = DopplerCalibration(*(float(value) for value in batch["calibration"]))
    left, top, right, bottom = (int(value) for value in batch["box"])
    row: Row = {
        "case": str(batch["case"]),
        "found": _by_wave(output["points"], output["confidence"], calibration),
        "expert": {wave: [] for wave in WAVES},
        "trace_size": (bottom - top + 1, right - left + 1),
        "box": (left, top, right, bottom),
        "calibration": tuple(calibration),
        "seconds_per_px": calibration.seconds_per_px,
    }
    if "peaks" in batch:
        expert = to_image(
            batch["peaks"].double(), torch.as_tensor(batch["placement"]).double().to(batch["peaks"].device)
        )
        row["expert"] = _by_wave(expert, torch.ones(expert.shape[:2]), calibration)
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
    """One peak of an image: matched, false (the expert has none there) or missed.

    Positions are image pixels, velocities cm/s; NaN where there is none.
    """

    case: str
    wave: str
    status: str
    x: float
    y: float
    confidence: float
    velocity_cm_s: float
    expert_x: float
    expert_y: float
    expert_velocity_cm_s: float
    difference_cm_s: float


def peak_rows(row: Row, scale: float = 1.0, beat_share: float = 0.1, velocity_share: float = 0.1) -> list[PeakRow]:
    """Return the peaks of one image, matched one to one.

    Args:
        row: `case`, `found` and `expert` (wave to list of (x, y, confidence, velocity)), `trace_size` (height, width)
            and `seconds_per_px`.
        scale: factor of the tolerance, for sweeps.
        beat_share, velocity_share: as in :func:`common.doppler.peak_tolerance`.
    """
    expert = {wave: np.array(row["expert"][wave], float).reshape(-1, 4) for wave in WAVES}
    found = {wave: np.array(row["found"][wave], float).reshape(-1, 4) for wave in WAVES}
    reach = peak_tolerance(
        [expert[wave][:, :2] for wave in WAVES],
        tuple(row["trace_size"]),
        row["seconds_per_px"],
        beat_share,
        velocity_share,
    )
    tolerance = Tolerance(reach.x_px * scale, reach.y_px * scale)
    rows = []
    for wave in WAVES:
        pairs = match_peaks(found[wave][:, :2], expert[wave][:, :2], tolerance)
        rows += [_peak(row["case"], wave, "matched", found[wave][i], expert[wave][j]) for i, j in pairs]
        right, seen = {i for i, _ in pairs}, {j for _, j in pairs}
        rows += [_peak(row["case"], wave, "false", p, None) for i, p in enumerate(found[wave]) if i not in right]
        rows += [_peak(row["case"], wave, "missed", None, p) for j, p in enumerate(expert[wave]) if j not in seen]
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


def _peak(case: str, wave: str, status: str, found: Any, expert: Any) -> PeakRow:
    nothing = (math.nan,) * 4
    x, y, confidence, velocity = (float(value) for value in (nothing if found is None else found))
    expert_x, expert_y, _, expert_velocity = (float(value) for value in (nothing if expert is None else expert))
    difference = velocity - expert_velocity
    return PeakRow(case, wave, status, x, y, confidence, velocity, expert_x, expert_y, expert_velocity, difference)
