"""Evaluation of heart-failure classes: scores by patient and by slice, with intervals, and the ROC curve."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..evaluation import classes
from ..evaluation.intervals import Statistic, bootstrap_interval
from ..evaluation.rows import Row
from ..evaluation.table import EvaluationRow
from ..figure import figure
from ..files import write_csv
from . import scores

RESAMPLES = 2000


def slice_row(batch: Any, output: Any) -> Row:
    """Return case, slice, label (1 HFrEF, 0 HFpEF; None without one) and probability of HFrEF of one slice."""
    label = batch.get("label")
    return {
        "case": str(batch["case"]),
        "slice": int(batch["slice_number"]),
        "label": None if label is None else int(label),
        "probability": float(output["pred"].reshape(-1)[0]),
    }


def heart_failure_table(
    rows: list[Row], method: str = "model", threshold: float = 0.5, resamples: int = RESAMPLES
) -> list[EvaluationRow]:
    """Return the table of slice rows: scores of patients and slices, beside the more frequent class.

    Args:
        rows: from :func:`slice_row`.
        method: the model's name.
        threshold: probability of HFrEF from which a patient is called so.
        resamples: draws of the bootstrap, by patient.
    """
    clusters = scores.slices_by_patient(rows)
    labels, probabilities = scores.columns(scores.patient_rows(rows))
    called = (probabilities >= threshold).astype(int)
    figures: list[tuple[str, str, Statistic, tuple[NDArray, ...]]] = [
        (method, "patient AUC", classes.auc, (labels, probabilities)),
        (method, "patient accuracy", classes.accuracy, (labels, called)),
        (method, "sensitivity", classes.sensitivity, (labels, called)),
        (method, "specificity", classes.specificity, (labels, called)),
        (method, "slice AUC", scores.clustered_auc, (clusters,)),
        (method, "slice accuracy", scores.ClusteredAccuracy(threshold), (clusters,)),
        ("majority class", "patient accuracy", scores.majority, (labels,)),
    ]
    return [
        EvaluationRow(name, metric, bootstrap_interval(statistic, *samples, resamples=resamples))
        for name, metric, statistic, samples in figures
    ]


def draw_heart_failure(folder: Path, rows: list[Row], method: str = "model", threshold: float = 0.5) -> None:
    """Write `patients.csv` and `roc.png`."""
    from sklearn.metrics import roc_curve

    patients = scores.patient_rows(rows)
    write_csv(folder / "patients.csv", [{**p, "call": scores.call(p["probability"], threshold)} for p in patients])
    with figure(folder / "roc.png", 4.2, 4.2) as made:
        axes = made.add_subplot()
        for chosen, name in ((patients, "patients"), (rows, "slices")):
            labels, probabilities = scores.columns(chosen)
            if len(set(labels.tolist())) == 2:
                false, true, _ = roc_curve(labels, probabilities)
                value = classes.auc(labels, probabilities)
                axes.plot(false, true, label=f"{name}: AUC {value:.3f} (n = {len(chosen)})")
        axes.plot([0, 1], [0, 1], color="0.7", linestyle=":", label="chance")
        axes.set(xlabel="1 - specificity", ylabel="sensitivity", title="HFrEF against HFpEF", aspect="equal")
        axes.legend(loc="lower right", frameon=False)
