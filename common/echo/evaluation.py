"""What an evaluation of ejection fractions leaves behind: tables beside the constant predictor, and pictures."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from torch import Tensor

from ..evaluation.intervals import Interval, Statistic, bootstrap_interval
from ..evaluation.rows import Row, RowCollector
from ..evaluation.table import EvaluationRow, write_evaluation
from ..files import write_csv
from ..training.processes import bare_network, is_main_process
from . import scores as metrics
from .figures import draw_agreement, draw_embedding, draw_grad_cam
from .network import EjectionFractionNet, WithFeatures

GRAD_CAM_CASES = 3


def ejection_fraction_row(batch: Any, output: Any) -> Row:
    """Return case, label (None without one), predicted EF (mean over clips) and its spread over clips, in percent."""
    clips = output["pred"].reshape(-1).float()
    label = batch.get("label")
    return {
        "case": str(batch["case"]),
        "label": None if label is None else float(label),
        "predicted": float(clips.mean()),
        "spread": float(clips.std(unbiased=False)),
        "clips": [round(float(value), 3) for value in clips],
    }


def rows_mean_absolute_error(rows: list[Row]) -> float:
    """Return the mean absolute error of rows with `predicted` and `label`."""
    return metrics.mean_absolute_error([row["predicted"] for row in rows], [row["label"] for row in rows])


def rows_r_squared(rows: list[Row]) -> float:
    """Return R2 of rows with `predicted` and `label`."""
    return metrics.r_squared([row["predicted"] for row in rows], [row["label"] for row in rows])


def mean_label(datalist: list[dict[str, Any]]) -> float:
    """Return the mean of the cases' labels: what the constant predictor says."""
    return float(np.mean([item["label"] for item in datalist]))


class EjectionFractionEvaluation(RowCollector):
    """Writes `cases.csv`, `evaluation.csv` and `.json`, and pictures after an evaluation.

    Pictures: scatter with Bland-Altman, the map of embeddings coloured by EF, and Grad-CAM frames of a few cases.

    Args:
        output_dir: folder to write to.
        network: the network that is evaluated, with or without its wrappers: its embeddings are taken as they pass.
        constant: EF in percent that the constant predictor says (the training cases' mean).
        method: the model's name in the table.
        resamples: draws of the bootstrap intervals.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        network: torch.nn.Module,
        constant: float,
        method: str = "model",
        resamples: int = 2000,
    ) -> None:
        super().__init__(ejection_fraction_row)
        self.folder, self.constant, self.method, self.resamples = Path(output_dir), constant, method, resamples
        bare: Any = bare_network(network)
        self.network: EjectionFractionNet = bare.network if isinstance(bare, WithFeatures) else bare
        self._passed: list[Tensor] = []
        self._shown: list[tuple[str, Tensor]] = []

    def attach(self, engine: Engine, name: str = "") -> None:
        """Collect in `engine`."""
        self.network.encoder.register_forward_hook(self._keep)
        super().attach(engine, name)

    def _keep(self, module: torch.nn.Module, inputs: Any, features: Tensor) -> None:
        self._passed.append(features.detach().float().cpu())

    def _start(self, engine: Engine) -> None:
        super()._start(engine)
        self._passed, self._shown = [], []

    def _add(self, engine: Engine) -> None:
        before = len(self.rows)
        super()._add(engine)
        rows = self.rows[before:]
        batch: Any = engine.state.batch
        features = torch.cat(self._passed).reshape(len(rows), -1, self._passed[0].shape[-1]).mean(1)
        self._passed = []
        for row, item, embedding in zip(rows, batch, features, strict=True):
            row["features"] = embedding.tolist()
            if len(self._shown) < GRAD_CAM_CASES:
                self._shown.append((row["case"], torch.as_tensor(item["image"][:1]).cpu()))

    def finish(self, engine: Engine) -> None:
        """Write the tables and pictures, on the main process."""
        if not is_main_process():
            return
        predicted = np.array([row["predicted"] for row in self.rows])
        actual = np.array([row["label"] for row in self.rows])
        features = np.array([row["features"] for row in self.rows])
        shown = ("case", "label", "predicted", "spread", "clips")
        write_csv(self.folder / "cases.csv", [{key: row[key] for key in shown} for row in self.rows])
        write_evaluation(self.folder, self._table(predicted, actual, features))
        draw_agreement(self.folder / "agreement.png", predicted, actual)
        draw_embedding(self.folder / "embedding.png", features, actual)
        engine.add_event_handler(Events.COMPLETED, self._explain)

    def _explain(self, engine: Engine) -> None:
        self._passed = []
        draw_grad_cam(self.folder / "grad_cam.png", self.network, self._shown)

    def _table(self, predicted: np.ndarray, actual: np.ndarray, features: np.ndarray) -> list[EvaluationRow]:
        constant = np.full(len(actual), self.constant)
        figures: list[tuple[str, str, Statistic, np.ndarray, float | None]] = [
            (self.method, "MAE (EF points)", metrics.mean_absolute_error, predicted, 3.90),
            ("constant", "MAE (EF points)", metrics.mean_absolute_error, constant, 9.01),
            (self.method, "RMSE (EF points)", metrics.root_mean_square_error, predicted, 5.13),
            ("constant", "RMSE (EF points)", metrics.root_mean_square_error, constant, 12.23),
            (self.method, "R2", metrics.r_squared, predicted, 0.8244),
            (self.method, "AUC for EF < 50 %", _Below(50.0), predicted, None),
            (self.method, "AUC for EF < 40 %", _Below(40.0), predicted, None),
        ]
        rows = [
            EvaluationRow(method, name, bootstrap_interval(statistic, values, actual, resamples=self.resamples), known)
            for method, name, statistic, values, known in figures
        ]
        for band in metrics.error_by_band(predicted, actual):
            inside = (actual >= band.low) & (actual < band.high) if band.high < 100 else actual >= band.low
            if band.cases:
                name = f"MAE for EF {band.low:.0f} to {band.high:.0f} % (EF points)"
                found = bootstrap_interval(
                    metrics.mean_absolute_error, predicted[inside], actual[inside], resamples=self.resamples
                )
                rows.append(EvaluationRow(self.method, name, found))
        if len(actual) > 2:
            order = metrics.feature_order_correlation(features, actual)
            whole = Interval(order, float("nan"), float("nan"), len(actual))
            rows.append(EvaluationRow(self.method, "rank correlation of embedding and EF distances", whole))
        return rows


class _Below:
    """The area under the curve of EF under a threshold, as a statistic of predictions and actual values."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def __call__(self, predicted: np.ndarray, actual: np.ndarray) -> float:
        return metrics.area_under_curve_below(predicted, actual, self.threshold)
