"""From a network's answer for one image to rows of peaks: predicted, reference, matched."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..evaluation.rows import Row
from .beats import SURE
from .calibration import DopplerCalibration, peak_velocity_cm_s
from .fit import cut_trace, to_image, to_network
from .labels import WAVES
from .scores import ImageCounts, Tolerance, match_peaks, peak_tolerance
from .slopes import log_rise_over_fall, wave_durations_s

Found = tuple[float, ...]
LEAST_WAVES = 3  # of which rise and fall are seen


def doppler_row(batch: Any, output: Any) -> Row:
    """Return the peaks of one image, predicted and reference, in image pixels and cm/s.

    Args:
        batch: `case`, `box` (4,), `placement` (4,), `calibration` (3,; NaN where unknown), how sure the box is as
            `strip` (1 without), `peaks` (2, K, 2) in the network's pixels and their `durations` (2, K) if the image is
            labelled, and `trace` (1, n H, n W) where durations and `rise_over_fall` are to be measured.
        output: `points` (2, K, 2) in image pixels, `confidence` (2, K), `unused_tops` and `r_peaks` (N,), from
            DecodePeaksd.
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
        "rise_over_fall": math.nan,
        "unused_tops": int(output.get("unused_tops", 0)),
        "r_peaks": [float(column) for column in output.get("r_peaks", ())],
        "seen_px_per_s": float(batch["placement"][2]) / calibration.seconds_per_px,
        "rainbow": bool(batch.get("rainbow", False)),
    }
    if "peaks" in batch:
        reference = to_image(
            batch["peaks"].double(), torch.as_tensor(batch["placement"]).double().to(batch["peaks"].device)
        )
        durations = torch.as_tensor(batch.get("durations", torch.full(reference.shape[:2], math.nan)))
        row["reference"] = _by_wave(reference, torch.ones(reference.shape[:2]), calibration, durations)
    if "trace" in batch and math.isfinite(calibration.seconds_per_px):
        row["rise_over_fall"] = _rise_over_fall(batch, row["predicted"].values(), calibration)
        row["predicted"] = {wave: _measured(batch, wave, of, calibration) for wave, of in row["predicted"].items()}
    return row


def _by_wave(
    points: Tensor, confidence: Tensor, calibration: DopplerCalibration, durations: Tensor | None = None
) -> dict[str, list[Found]]:
    """Return (x, y, confidence, velocity, duration) of each peak of each wave, in order of time."""
    peaks: dict[str, list[Found]] = {}
    known = torch.full(confidence.shape, math.nan) if durations is None else durations
    for index, wave in enumerate(WAVES):
        listed = zip(*(values[index].cpu().tolist() for values in (points, confidence, known)), strict=True)
        peaks[wave] = sorted(
            (x, y, score, peak_velocity_cm_s(y, calibration), duration_s)
            for (x, y), score, duration_s in listed
            if not math.isnan(x)
        )
    return peaks


def _measured(batch: Any, wave: str, peaks: Sequence[Found], calibration: DopplerCalibration) -> list[Found]:
    """Return the peaks with their durations, measured on the trace."""
    trace, points, *scales = _on_trace(batch, peaks, calibration)
    durations = wave_durations_s(trace, points, wave, *scales)
    return [(*peak[:4], float(duration_s)) for peak, duration_s in zip(peaks, durations, strict=True)]


def _rise_over_fall(batch: Any, waves: Iterable[Sequence[Found]], calibration: DopplerCalibration) -> float:
    """Return the time of the rise over that of the fall, the geometric mean over both waves of a trace.

    NaN where fewer than 3 waves with a confidence of at least 0.5 show both.
    """
    sure = [[peak for peak in peaks if peak[2] >= SURE] for peaks in waves]
    logarithms = np.concatenate([log_rise_over_fall(*_on_trace(batch, peaks, calibration)) for peaks in sure])
    seen = logarithms[np.isfinite(logarithms)]
    return math.exp(seen.mean()) if len(seen) >= LEAST_WAVES else math.nan


def _on_trace(
    batch: Any, peaks: Sequence[Found], calibration: DopplerCalibration
) -> tuple[NDArray, list[tuple[float, float]], float, float, float]:
    """Return the trace without padding, the peaks and the row of velocity 0 in its pixels, their cm/s and seconds."""
    trace, placement = cut_trace(batch)
    x_scale, y_scale = placement[2:].tolist()
    points = to_network(torch.tensor([[*peak[:2]] for peak in peaks]).reshape(-1, 2).double(), placement).tolist()
    zero = float((calibration.baseline_row + 0.5 - placement[1]) * placement[3] - 0.5)
    scales = calibration.cm_s_per_px / y_scale, calibration.seconds_per_px / x_scale
    return trace.numpy(), [(x, y) for x, y in points], zero, *scales


class PeakRow(NamedTuple):
    """One peak of an image: matched, false (there is none in the reference there) or missed.

    Positions are image pixels, velocities cm/s, durations (deceleration time of an E, duration of an A) ms; NaN where
    there is none.
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
    duration_ms: float = math.nan
    reference_duration_ms: float = math.nan


def peak_rows(
    row: Row, scale: float = 1.0, beat_fraction: float = 0.1, velocity_fraction: float = 0.1
) -> list[PeakRow]:
    """Return the peaks of one image, matched one to one.

    Args:
        row: `case`, `predicted` and `reference` (wave to list of (x, y, confidence, velocity), and maybe
            duration in s), `trace_size` (height,
            width) and `seconds_per_px`.
        scale: factor of the tolerance, for sweeps.
        beat_fraction, velocity_fraction: as in :func:`common.doppler.peak_tolerance`.
    """
    reference, predicted = (
        {wave: np.array([(*peak, math.nan)[:5] for peak in row[which][wave]], float).reshape(-1, 5) for wave in WAVES}
        for which in ("reference", "predicted")
    )
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
    nothing = (math.nan,) * 5
    x, y, confidence, speed, lasts_s = (float(value) for value in (nothing if predicted is None else predicted))
    true_x, true_y, _, true_speed, true_s = (float(value) for value in (nothing if reference is None else reference))
    speeds = (true_speed, speed - true_speed)
    return PeakRow(case, wave, status, x, y, confidence, speed, true_x, true_y, *speeds, 1000 * lasts_s, 1000 * true_s)
