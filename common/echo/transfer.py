"""Tables of the two transfers of the EF encoder: CAMUS by image quality, HMC-QU by infarction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation.classes import accuracy, f1_score, precision, sensitivity, specificity
from ..evaluation.intervals import Statistic, bootstrap_interval
from ..evaluation.rows import Row
from ..evaluation.table import EvaluationRow
from . import scores

QUALITIES = ("Good and Medium", "Poor")


def camus_row(batch: Any, output: Any) -> Row:
    """Return case, picture quality, reference and predicted EF in percent."""
    return {
        "case": str(batch["case"]),
        "quality": str(batch["quality"]),
        "label": float(batch["label"]),
        "predicted": float(output["pred"].reshape(-1).mean()),
    }


def infarction_row(batch: Any, output: Any) -> Row:
    """Return case, label (1 = infarction) and predicted probability."""
    logit = float(output["pred"].reshape(-1).mean())
    return {"case": str(batch["case"]), "label": int(batch["label"]), "predicted": float(1 / (1 + np.exp(-logit)))}


def camus_table(rows: Sequence[Row], method: str = "model") -> list[EvaluationRow]:
    """Return correlation and MAE for good and medium, and for poor quality, beside the constant predictor."""
    table = []
    everyone = float(np.mean([float(row["label"]) for row in rows]))
    for quality in QUALITIES:
        chosen = [row for row in rows if row["quality"] in quality.split(" and ")]
        if not chosen:
            continue
        label, predicted = _columns(chosen)
        figures: list[tuple[str, str, Statistic, NDArray]] = [
            (method, "correlation", scores.pearson_correlation, predicted),
            (method, "MAE (EF points)", scores.mean_absolute_error, predicted),
            ("constant", "MAE (EF points)", scores.mean_absolute_error, np.full(len(label), everyone)),
        ]
        table += [
            EvaluationRow(name, f"{metric}, {quality}", bootstrap_interval(statistic, values, label))
            for name, metric, statistic, values in figures
        ]
    return table


def infarction_table(rows: Sequence[Row], method: str = "model") -> list[EvaluationRow]:
    """Return sensitivity, specificity, precision, F1 and accuracy at a probability of 0.5, beside the majority."""
    label, probability = _columns(rows)
    called = (probability >= 0.5).astype(int)
    majority = np.full(len(label), int(label.mean() >= 0.5))
    figures: list[tuple[str, str, Statistic, NDArray]] = [
        (method, "sensitivity", sensitivity, called),
        (method, "specificity", specificity, called),
        (method, "precision", precision, called),
        (method, "F1", f1_score, called),
        (method, "accuracy", accuracy, called),
        ("majority class", "F1", f1_score, majority),
        ("majority class", "accuracy", accuracy, majority),
    ]
    return [
        EvaluationRow(name, metric, bootstrap_interval(statistic, label, values))
        for name, metric, statistic, values in figures
    ]


def _columns(rows: Sequence[Row]) -> tuple[NDArray, NDArray]:
    return np.array([float(row["label"]) for row in rows]), np.array([float(row["predicted"]) for row in rows])
