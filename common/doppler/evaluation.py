"""Evaluation of Doppler peaks: table 1 of the paper with intervals, every peak, figures."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine

from ..evaluation.intervals import Interval
from ..evaluation.rows import Row, RowCollector
from ..evaluation.table import EvaluationRow, write_evaluation
from ..files import replacing, write_csv
from ..training.processes import is_main_process
from .calibration import DopplerCalibration, peak_velocity_cm_s
from .envelope import envelope_peaks
from .figures import draw_bland_altman, draw_sweep
from .fit import to_image
from .rows import WAVES, PeakRow, doppler_row, image_counts, peak_rows
from .scores import wave_agreement

SWEEP = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
NAMES = {
    "precision": "precision", "recall": "recall", "f1": "F1", "bias_cm_s": "bias (cm/s)", "sd_cm_s": "SD (cm/s)",
}  # fmt: skip
BASELINE = "outline trace"


class DopplerEvaluation(RowCollector):
    """Writes the tables and pictures of an evaluation, beside a trace of the spectrum's outline as the baseline.

    `peaks.csv` (every peak), `evaluation.csv` and `.json` (intervals by image, published figures), `table1.md` (the
    paper's layout), `tolerance_sweep.csv` and `.png`, `bland_altman_E.png` and `bland_altman_A.png`.

    Args:
        output_dir: folder to write to.
        method: name of the arm, such as "EfficientNetB0 unfrozen", under which the paper's figures are looked up.
        beat_share: tolerance along time, as share of a beat.
        velocity_share: tolerance along velocity, as share of the trace's range.
        resamples: draws of the bootstrap.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        method: str = "model",
        beat_share: float = 0.1,
        velocity_share: float = 0.1,
        resamples: int = 2000,
    ) -> None:
        super().__init__(_row_with_baseline)
        self.folder, self.method, self.resamples = Path(output_dir), method, resamples
        self.shares = (beat_share, velocity_share)

    def finish(self, engine: Engine) -> None:
        """Write everything, on the main process."""
        if not is_main_process():
            return
        matched = self._matched(self.rows)
        baseline = self._matched([{**row, "found": row["baseline"]} for row in self.rows])
        write_csv(self.folder / "peaks.csv", [p._asdict() for image in matched for p in image], PeakRow._fields)
        scores = {self.method: self._scores(matched), BASELINE: self._scores(baseline)}
        write_evaluation(self.folder, _table(scores))
        write_table_1(self.folder / "table1.md", scores)
        self._sweep()
        for wave in WAVES:
            draw_bland_altman(self.folder / f"bland_altman_{wave}.png", [p for image in matched for p in image], wave)

    def _matched(self, rows: Sequence[Row], scale: float = 1.0) -> list[list[PeakRow]]:
        return [peak_rows(row, scale, *self.shares) for row in rows]

    def _scores(self, matched: Sequence[Sequence[PeakRow]]) -> dict[str, dict[str, Interval]]:
        return {
            wave: wave_agreement([image_counts(image, wave) for image in matched], self.resamples) for wave in WAVES
        }

    def _sweep(self) -> None:
        table = []
        for scale in SWEEP:
            matched = self._matched(self.rows, scale)
            for wave in WAVES:
                scores = wave_agreement([image_counts(image, wave) for image in matched], resamples=1)
                shares = {"beat_share": self.shares[0] * scale, "velocity_share": self.shares[1] * scale}
                table.append({"wave": wave, **shares, **{name: scores[name].value for name in METRICS}})
        write_csv(self.folder / "tolerance_sweep.csv", table)
        draw_sweep(self.folder / "tolerance_sweep.png", table)


def write_table_1(path: Path, scores: dict[str, dict[str, dict[str, Interval]]]) -> None:
    """Write the scores in the layout of the paper's table 1, as Markdown, the paper's own figures below each arm."""
    lines = [
        "| Model | E P/R/F1 | A P/R/F1 | E bias±SD (cm/s) | A bias±SD (cm/s) |",
        "|---|---|---|---|---|",
    ]
    for method, waves in scores.items():
        lines.append(_line(method, {wave: {name: waves[wave][name].value for name in METRICS} for wave in WAVES}))
        if published_figure(method, "E", "f1") is not None:
            figures = {wave: {name: published_figure(method, wave, name) for name in METRICS} for wave in WAVES}
            lines.append(_line(f"{method} (published, other images)", figures))
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(name: str, figures: dict[str, dict[str, Any]]) -> str:
    shares = ["/".join(f"{figures[wave][m]:.2f}" for m in ("precision", "recall", "f1")) for wave in WAVES]
    agreement = [f"{figures[wave]['bias_cm_s']:.2f}±{figures[wave]['sd_cm_s']:.2f}" for wave in WAVES]
    return f"| {' | '.join([name, *shares, *agreement])} |"


def _table(scores: dict[str, dict[str, dict[str, Interval]]]) -> list[EvaluationRow]:
    return [
        EvaluationRow(method, f"{wave} {NAMES[name]}", waves[wave][name], published_figure(method, wave, name))
        for method, waves in scores.items()
        for wave in WAVES
        for name in METRICS
    ]


def _row_with_baseline(batch: Any, output: Any) -> Row:
    """Return the row of the image with what the outline of its spectrum gives under `baseline`."""
    row = doppler_row(batch, output)
    placement = batch["placement"].double().cpu()
    calibration = DopplerCalibration(*row["calibration"])
    middle = (row["box"][1] + row["box"][3]) / 2
    zero = calibration.baseline_row if math.isfinite(calibration.baseline_row) else middle
    baseline_row = float((zero + 0.5 - placement[1]) * placement[3] - 0.5)
    image = batch["image"][0].float().cpu().numpy()
    traced = envelope_peaks(image, baseline_row, max(4, image.shape[1] // 40))
    row["baseline"] = {}
    for wave in WAVES:
        points = to_image(
            batch["placement"].new_tensor(np.asarray(traced[wave])).double().cpu().reshape(-1, 2), placement
        )
        row["baseline"][wave] = [(x, y, 1.0, peak_velocity_cm_s(y, calibration)) for x, y in points.tolist()]
    return row


METRICS = ("precision", "recall", "f1", "bias_cm_s", "sd_cm_s")

# Backbone and mode: the five figures of E, then of A.
TABLE_1: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "EfficientNetB0 unfrozen": ((0.91, 0.92, 0.92, 2.65, 8.36), (0.93, 0.81, 0.87, -0.05, 4.52)),
    "EfficientNetB0 frozen": ((0.71, 0.79, 0.75, 2.01, 11.14), (0.82, 0.66, 0.73, 0.85, 7.36)),
    "EfficientNetB0 supervised": ((0.85, 0.90, 0.87, 1.74, 5.17), (0.92, 0.78, 0.84, 0.56, 8.15)),
    "MobileNetV2 unfrozen": ((0.79, 0.81, 0.80, 1.83, 8.83), (0.84, 0.63, 0.72, -0.53, 4.47)),
    "MobileNetV2 frozen": ((0.78, 0.79, 0.78, 1.03, 8.29), (0.81, 0.75, 0.78, 0.18, 13.37)),
    "MobileNetV2 supervised": ((0.92, 0.79, 0.85, 4.54, 12.57), (0.87, 0.69, 0.77, 5.02, 20.39)),
    "ResNet50 unfrozen": ((0.85, 0.88, 0.87, 1.89, 5.18), (0.89, 0.74, 0.81, 0.54, 12.33)),
    "ResNet50 frozen": ((0.71, 0.86, 0.78, 1.45, 6.40), (0.81, 0.71, 0.75, 0.17, 11.34)),
    "ResNet50 supervised": ((0.88, 0.87, 0.87, 2.19, 12.78), (0.92, 0.77, 0.84, 0.25, 5.25)),
}


def published_figure(arm: str, wave: str, metric: str) -> float | None:
    """Return the figure of an arm such as "ResNet50 frozen" for wave E or A; None where the paper has no such arm."""
    figures = TABLE_1.get(arm)
    return figures["EA".index(wave)][METRICS.index(metric)] if figures else None
