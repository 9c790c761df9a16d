"""Evaluation of heart-failure classes: scores by patient and by slice, with intervals, and the ROC curve."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation import classes
from ..evaluation.intervals import Statistic, bootstrap_interval
from ..evaluation.rows import Row
from ..evaluation.table import EvaluationRow
from ..figure import figure
from ..files import write_csv
from . import scores
from .calibration import PatientReading

RESAMPLES = 2000
_BINS = 5


def slice_row(batch: Any, output: Any) -> Row:
    """Return case, slice, label (1 HFrEF, 0 HFpEF; None without one) and the network's output for one slice.

    The output, 0 to 1, stands under `probability`; with target "ef" it is 1 - EF / 100. `ef` is in the row if the batch
    has it.
    """
    label = batch.get("reduced", batch.get("label"))
    known = {"ef": float(batch["ef"])} if "ef" in batch and np.isfinite(float(batch["ef"])) else {}
    return {
        "case": str(batch["case"]),
        "slice": int(batch["slice_number"]),
        "label": None if label is None else int(label),
        "probability": float(output["pred"].reshape(-1)[0]),
        **known,
    }


def heart_failure_table(
    rows: list[Row],
    method: str = "model",
    threshold: float = 0.5,
    resamples: int = RESAMPLES,
    reading: PatientReading | None = None,
) -> list[EvaluationRow]:
    """Return the table of slice rows: scores of patients and slices, beside the more frequent class.

    Where the outputs tell an ejection fraction, its errors are in the table too.

    Args:
        rows: from :func:`slice_row`.
        method: the model's name.
        threshold: probability of HFrEF from which a patient is called so.
        resamples: draws of the bootstrap, by patient.
        reading: from slices to patients; by default the mean of the outputs, called at `threshold`.
    """
    clusters = scores.slices_by_patient(rows)
    reading = reading or PatientReading(threshold=threshold)
    patients = reading(rows)
    labels, probabilities = scores.columns(patients)
    called = (probabilities >= reading.threshold).astype(int)
    figures: list[tuple[str, str, Statistic, tuple[NDArray, ...]]] = [
        (method, "patient AUC", classes.auc, (labels, probabilities)),
        (method, "patient accuracy", classes.accuracy, (labels, called)),
        (method, "sensitivity", classes.sensitivity, (labels, called)),
        (method, "specificity", classes.specificity, (labels, called)),
        (method, "Brier score", brier_score, (labels, probabilities)),
        (method, "slice AUC", scores.clustered_auc, (clusters,)),
        (method, "slice accuracy", scores.ClusteredAccuracy(reading.slice_threshold), (clusters,)),
        ("majority class", "patient accuracy", scores.majority, (labels,)),
    ]
    if all({"ef", "predicted_ef"} <= row.keys() for row in patients):
        errors = np.array([row["predicted_ef"] - row["ef"] for row in patients])
        figures.append((method, "EF MAE (points)", _mean_size, (errors,)))
        figures.append((method, "EF bias (points)", np.mean, (errors,)))
    return [
        EvaluationRow(name, metric, bootstrap_interval(statistic, *samples, resamples=resamples))
        for name, metric, statistic, samples in figures
    ]


def draw_heart_failure(
    folder: Path,
    rows: list[Row],
    method: str = "model",
    threshold: float = 0.5,
    reading: PatientReading | None = None,
) -> None:
    """Write `patients.csv`, `roc.png`, `reliability.png` and, where the outputs tell an EF, `ef.png`."""
    from sklearn.metrics import roc_curve

    patients = (reading or PatientReading(threshold=threshold))(rows)
    write_csv(folder / "patients.csv", patients)
    _draw_reliability(folder / "reliability.png", *scores.columns(patients))
    if all({"ef", "predicted_ef"} <= row.keys() for row in patients):
        _draw_ef(folder / "ef.png", patients)
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


def brier_score(labels: NDArray, probabilities: NDArray) -> float:
    """Return the mean squared difference of probability and label (Brier, 1950); 0 is best, .25 that of always .5."""
    return float(np.mean((probabilities - labels) ** 2))


def _mean_size(errors: NDArray) -> float:
    return float(np.mean(np.abs(errors)))


def _draw_reliability(path: Path, labels: NDArray, probabilities: NDArray) -> None:
    """Draw how often patients of about one probability have HFrEF, in five bins, with 95 % intervals (Wilson)."""
    from scipy.stats import binomtest

    bins = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
    with figure(path, 4.2, 4.2) as made:
        axes = made.add_subplot()
        axes.plot([0, 1], [0, 1], color="0.7", linestyle=":")
        for number in np.unique(bins):
            inside = bins == number
            found = binomtest(int(labels[inside].sum()), int(inside.sum()))
            low, high = found.proportion_ci(method="wilson")
            mean, share = float(probabilities[inside].mean()), found.statistic
            axes.errorbar(mean, share, [[share - low], [high - share]], marker="o", color="C0", capsize=3)
            axes.annotate(f"{inside.sum()}", (mean, share), (5, 5), textcoords="offset points", fontsize=8)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        axes.set(xlabel="probability of HFrEF", ylabel="fraction of patients with HFrEF")
        axes.set(title="Reliability (patients in each bin)")


def _draw_ef(path: Path, patients: list[Row]) -> None:
    known, predicted = (np.array([row[name] for row in patients]) for name in ("ef", "predicted_ef"))
    with figure(path, 4.2, 4.2) as made:
        axes = made.add_subplot()
        axes.plot([0, 85], [0, 85], color="0.7", linestyle=":")
        axes.plot(known, predicted, ".", alpha=0.6)
        axes.set(xlabel="EF (%)", ylabel="predicted EF (%)", aspect="equal", xlim=(0, 85), ylim=(0, 85))
        axes.set(title=f"mean absolute error {_mean_size(predicted - known):.1f} points (n = {len(patients)})")
