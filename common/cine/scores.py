"""Scores of heart-failure classes by patient and by slice."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation.classes import accuracy, auc

Row = dict[str, Any]


def patient_rows(slices: Sequence[Row]) -> list[Row]:
    """Return one row a patient: the mean probability of its slices (eq. 3), in order of first appearance.

    Args:
        slices: rows with `case`, `label` and `probability`, and `ef` where it is known.

    Raises:
        ValueError: if slices of one name have two labels or EFs, so are of two patients.

    References:
        Zhong et al., EMBC 2021, eq. 3.
    """
    grouped: dict[str, list[Row]] = {}
    for row in slices:
        of_case = grouped.setdefault(row["case"], [])
        if of_case and any(str(of_case[0].get(name)) != str(row.get(name)) for name in ("label", "ef")):
            raise ValueError(f"expected each patient once, found two that are called {row['case']}; rename one of them")
        of_case.append(row)
    return [
        {
            "case": case,
            "label": rows[0]["label"],
            "probability": float(np.mean([row["probability"] for row in rows])),
            "slices": len(rows),
            **({"ef": rows[0]["ef"]} if "ef" in rows[0] else {}),
        }
        for case, rows in grouped.items()
    ]


def columns(rows: Sequence[Row]) -> tuple[NDArray, NDArray]:
    """Return labels (N,) and probabilities (N,) of `rows`."""
    return np.array([row["label"] for row in rows]), np.array([row["probability"] for row in rows], dtype=float)


def majority(labels: NDArray) -> float:
    """Return the accuracy of calling every patient by the more frequent class."""
    fraction = float(np.mean(labels))
    return max(fraction, 1 - fraction)


def call(probability: float, threshold: float) -> str:
    """Return the class of a patient: HFrEF from `threshold` on, HFpEF below."""
    return "HFrEF" if probability >= threshold else "HFpEF"


def patient_auc(slices: Sequence[Row]) -> float:
    """Return the AUC over patients of slice rows."""
    return auc(*columns(patient_rows(slices)))


def slice_auc(slices: Sequence[Row]) -> float:
    """Return the AUC over slices ("patches" in the paper)."""
    return auc(*columns(slices))


def slices_by_patient(slices: Sequence[Row]) -> NDArray:
    """Return an object array with one (n, 2) array of label and probability a patient, for draws by patient."""
    grouped: dict[str, list[tuple[float, float]]] = {}
    for row in slices:
        grouped.setdefault(row["case"], []).append((row["label"], row["probability"]))
    clusters = np.empty(len(grouped), dtype=object)
    for index, rows in enumerate(grouped.values()):
        clusters[index] = np.array(rows)
    return clusters


def clustered_auc(clusters: NDArray) -> float:
    """Return the slice AUC of drawn patients, see :func:`slices_by_patient`."""
    rows = np.concatenate(list(clusters))
    return auc(rows[:, 0], rows[:, 1])


class ClusteredAccuracy:
    """The slice accuracy of drawn patients at a threshold, see :func:`slices_by_patient`."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def __call__(self, clusters: NDArray) -> float:
        """Return the fraction of right calls over all slices."""
        rows = np.concatenate(list(clusters))
        return accuracy(rows[:, 0], rows[:, 1] >= self.threshold)
