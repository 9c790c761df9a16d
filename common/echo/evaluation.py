"""Evaluation of ejection fractions: scores beside the constant predictor, agreement, embeddings, Grad-CAM."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from torch import Tensor

from ..evaluation.intervals import Interval, Statistic, bootstrap_interval
from ..evaluation.rows import Row
from ..evaluation.table import EvaluationRow
from ..training.processes import bare_network
from . import scores
from .figures import draw_agreement, draw_embedding, draw_grad_cam
from .network import EjectionFractionNet, WithFeatures

GRAD_CAM_CASES = 3
RESAMPLES = 2000


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
    return scores.mean_absolute_error([row["predicted"] for row in rows], [row["label"] for row in rows])


def rows_r_squared(rows: list[Row]) -> float:
    """Return R2 of rows with `predicted` and `label`."""
    return scores.r_squared([row["predicted"] for row in rows], [row["label"] for row in rows])


def mean_label(datalist: list[dict[str, Any]]) -> float:
    """Return the mean of the cases' labels: what the constant predictor says."""
    return float(np.mean([item["label"] for item in datalist]))


class EvaluatedVideos:
    """Rows of an evaluation with the embedding of each video, taken as it passes the encoder; figures of them.

    Args:
        network: the network that is evaluated, with or without its wrappers.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        bare: Any = bare_network(network)
        self.network: EjectionFractionNet = bare.network if isinstance(bare, WithFeatures) else bare
        self._passed: list[Tensor] = []
        self._shown: list[tuple[str, Tensor]] = []

    def attach(self, engine: Engine) -> None:
        """Take the embeddings during the run of `engine`."""
        self.network.encoder.register_forward_hook(self._keep)
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_STARTED, self._passed.clear)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._split)

    def __call__(self, item: Any, output: Any) -> Row:
        """Return the row of one video, with its mean embedding under `features`."""
        if len(self._shown) < GRAD_CAM_CASES:
            self._shown.append((str(item["case"]), torch.as_tensor(item["image"][:1]).cpu()))
        return {**ejection_fraction_row(item, output), "features": self._embeddings.pop(0).tolist()}

    def draw(self, folder: Path, rows: list[Row], method: str = "model") -> None:
        """Write `agreement.png`, `embedding.png` and `grad_cam.png`."""
        predicted, label, features = _columns(rows)
        draw_agreement(folder / "agreement.png", predicted, label)
        draw_embedding(folder / "embedding.png", features, label)
        draw_grad_cam(folder / "grad_cam.png", self.network, self._shown)
        self._passed.clear()

    def _keep(self, module: torch.nn.Module, inputs: Any, features: Tensor) -> None:
        self._passed.append(features.detach().float().cpu())

    def _start(self) -> None:
        self._shown.clear()

    def _split(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        features = torch.cat(self._passed)
        self._embeddings = list(features.reshape(len(batch), -1, features.shape[-1]).mean(1))


def ejection_fraction_table(
    rows: list[Row], method: str = "model", constant: float = 55.6, resamples: int = RESAMPLES
) -> list[EvaluationRow]:
    """Return errors, areas under the curve and errors by band, beside the constant predictor.

    Args:
        rows: from :class:`EvaluatedVideos`.
        method: the model's name.
        constant: EF in percent that the constant predictor says (the training cases' mean).
        resamples: draws of the bootstrap.
    """
    predicted, label, features = _columns(rows)
    same = np.full(len(label), constant)
    figures: list[tuple[str, str, Statistic, np.ndarray]] = [
        (method, "MAE (EF points)", scores.mean_absolute_error, predicted),
        ("constant", "MAE (EF points)", scores.mean_absolute_error, same),
        (method, "RMSE (EF points)", scores.root_mean_square_error, predicted),
        ("constant", "RMSE (EF points)", scores.root_mean_square_error, same),
        (method, "R2", scores.r_squared, predicted),
        (method, "AUC for EF < 50 %", _Below(50.0), predicted),
        (method, "AUC for EF < 40 %", _Below(40.0), predicted),
    ]
    table = [
        EvaluationRow(name, metric, bootstrap_interval(statistic, values, label, resamples=resamples))
        for name, metric, statistic, values in figures
    ]
    table += _bands(method, predicted, label, resamples)
    if len(label) > 2:
        order = Interval(scores.feature_order_correlation(features, label), float("nan"), float("nan"), len(label))
        table.append(EvaluationRow(method, "rank correlation of embedding and EF distances", order))
    return table


def _bands(method: str, predicted: np.ndarray, label: np.ndarray, resamples: int) -> list[EvaluationRow]:
    rows = []
    for band in scores.error_by_band(predicted, label):
        inside = (label >= band.low) & (label < band.high) if band.high < 100 else label >= band.low
        if band.cases:
            name = f"MAE for EF {band.low:.0f} to {band.high:.0f} % (EF points)"
            values = predicted[inside], label[inside]
            found = bootstrap_interval(scores.mean_absolute_error, *values, resamples=resamples)
            rows.append(EvaluationRow(method, name, found))
    return rows


def _columns(rows: list[Row]) -> list[np.ndarray]:
    return [np.array([row[key] for row in rows]) for key in ("predicted", "label", "features")]


class _Below:
    """The area under the curve of EF under a threshold, as a statistic of predictions and label values."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def __call__(self, predicted: np.ndarray, label: np.ndarray) -> float:
        return scores.area_under_curve_below(predicted, label, self.threshold)
