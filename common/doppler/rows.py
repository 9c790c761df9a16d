"""From a batch and its heat maps to plain rows of peaks."""

import math
from typing import Any

import torch
from torch import Tensor

from common.doppler.calibration import DopplerCalibration, peak_velocity_cm_s
from common.doppler.fit import to_image
from common.doppler.labels import WAVES
from common.evaluation.rows import Row


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
        "section": 0,
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
