"""Tables of the two transfers of the EF encoder: CAMUS by picture quality, HMC-QU by infarction; fold after fold."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine
from numpy.typing import NDArray

from ..evaluation.classes import accuracy, f1_score, precision, sensitivity, specificity
from ..evaluation.intervals import Statistic, bootstrap_interval
from ..evaluation.rows import Row, RowCollector
from ..evaluation.table import EvaluationRow, write_evaluation
from ..files import read_csv, write_csv
from ..training.processes import is_main_process
from . import scores as regression

# Correlation and MAE of the paper's fine-tuning (table 4), and its five scores on HMC-QU (table 5).
CAMUS_PUBLISHED = {"Good and Medium": (0.807, 5.29), "Poor": (0.693, 6.81)}
HMC_QU_PUBLISHED = {
    "sensitivity": 0.9295,
    "specificity": 0.8607,
    "precision": 0.9355,
    "F1": 0.9291,
    "accuracy": 0.9064,
}


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


class FoldTable(RowCollector):
    """Writes `fold_K.csv` after each validation, and `evaluation.csv` and `.json` over all folds that are there.

    Args:
        output_dir: folder shared by the folds.
        fold: number of this one.
        row: from one case's batch and output dictionaries to a row.
        table: from the rows of all folds (cells as text) to the table's rows.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        fold: int,
        row: Callable[[Any, Any], Row],
        table: Callable[[list[dict[str, str]]], list[EvaluationRow]],
    ) -> None:
        super().__init__(row)
        self.folder, self.fold, self.table = Path(output_dir), fold, table

    def finish(self, engine: Engine) -> None:
        """Write the fold, then the table, on the main process."""
        if not is_main_process():
            return
        write_csv(self.folder / f"fold_{self.fold}.csv", self.rows)
        cases = [row for path in sorted(self.folder.glob("fold_*.csv")) for row in read_csv(path)]
        write_evaluation(self.folder, self.table(cases))


def camus_table(cases: list[dict[str, str]]) -> list[EvaluationRow]:
    """Return correlation and MAE for good and medium, and for poor quality, beside the constant predictor."""
    rows = []
    everyone = float(np.mean([float(case["label"]) for case in cases]))
    for name, (correlation, error) in CAMUS_PUBLISHED.items():
        chosen = [case for case in cases if case["quality"] in name.split(" and ")]
        if not chosen:
            continue
        actual, predicted = _columns(chosen)
        constant = np.full(len(actual), everyone)
        figures: list[tuple[str, str, Statistic, NDArray, float | None]] = [
            ("model", "correlation", regression.pearson_correlation, predicted, correlation),
            ("model", "MAE (EF points)", regression.mean_absolute_error, predicted, error),
            ("constant", "MAE (EF points)", regression.mean_absolute_error, constant, None),
        ]
        rows += [
            EvaluationRow(method, f"{metric}, {name}", bootstrap_interval(statistic, values, actual), published)
            for method, metric, statistic, values, published in figures
        ]
    return rows


def infarction_table(cases: list[dict[str, str]]) -> list[EvaluationRow]:
    """Return sensitivity, specificity, precision, F1 and accuracy at a probability of 0.5, beside the majority."""
    actual, probability = _columns(cases)
    called = (probability >= 0.5).astype(int)
    majority = np.full(len(actual), int(actual.mean() >= 0.5))
    statistics: dict[str, Statistic] = {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "precision": precision,
        "F1": f1_score,
        "accuracy": accuracy,
    }
    rows = [
        EvaluationRow("model", name, bootstrap_interval(statistic, actual, called), HMC_QU_PUBLISHED[name])
        for name, statistic in statistics.items()
    ]
    return [
        *rows,
        EvaluationRow("majority class", "F1", bootstrap_interval(f1_score, actual, majority)),
        EvaluationRow("majority class", "accuracy", bootstrap_interval(accuracy, actual, majority)),
    ]


def _columns(cases: list[dict[str, str]]) -> tuple[NDArray, NDArray]:
    return np.array([float(c["label"]) for c in cases]), np.array([float(c["predicted"]) for c in cases])
