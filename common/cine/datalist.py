"""Datalists of cine MR: training items by slice, inference cases by patient, in any known layout."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..data.splits import SPLITS, assign_splits, check_fold, wanted_splits
from ..errors import NoDataError, UnusableFileError
from .layouts import cine_patients
from .patients import CinePatient

_LOG = logging.getLogger(__name__)


def cine_datalist(
    dataset_dir: str | Path,
    split: str = "training",
    fold: int = 0,
    folds: int = 5,
    seed: int = 0,
    ef_threshold: float = 50.0,
    slices: str = "left_ventricle",
    labelled: bool = True,
    further_dirs: Sequence[str | Path] = (),
    target: str = "class",
) -> list[dict[str, Any]]:
    """Return one item for each slice of a heart: case, slice_number, image; reduced, ef and label where `labelled`.

    `image` is a list of DICOM paths in order of time, or the path of a 4D NIfTI file; `reduced` is 1 for HFrEF. A
    patient without a label, that cannot be read, or whose name another one has, is logged by name and left out.

    Args:
        dataset_dir: Sunnybrook, ACDC, M&Ms, Kaggle 2015, or any folder of patients with labels.csv.
        split: "training", "validation", "test", several joined by "+", "development" (the first two) or "all".
        fold: which of `folds` parts is the test; the next one is the validation.
        folds: parts of the cross-validation, by patient, with both classes in each; simulated patients that were made
            of the images of one real patient stay together.
        seed: shuffles the patients.
        ef_threshold: HFrEF is an ejection fraction below it, in percent.
        slices: "left_ventricle" keeps the slices with a mask or contour of the cavity at end-diastole in patients that
            have any; "all" keeps every slice.
        labelled: False lists patients without labels too (for stage 1); labelled patients keep their split.
        further_dirs: folders of any layout whose patients come on top, all of them, whatever the split; for stage 1.
        target: what `label` is: "class" for `reduced`, "ef" for 1 - EF / 100, the part of the blood that remains.

    Raises:
        NoDataError: if a folder holds no patient, or none is left.
        ValueError: if a class has too few patients for the split, an argument is not one of its values, or
            `further_dirs` are given with `labelled`.
    """
    wanted = wanted_splits(split)
    check_fold(fold, folds)
    if further_dirs and labelled:
        raise ValueError("further_dirs: expected none where labels are needed; put labelled patients into dataset_dir.")
    patients = _unique(cine_patients(dataset_dir))
    chosen = _choose(dataset_dir, patients, wanted, fold, folds, seed, ef_threshold, labelled)
    items = _items(dataset_dir, chosen, ef_threshold, slices, labelled)
    for folder in further_dirs:
        items += _items(folder, _unique(cine_patients(folder)), ef_threshold, slices, labelled)
    return _with_target(items, target) if labelled else items


def cine_cases(dataset_dir: str | Path) -> list[dict[str, Any]]:
    """Return {"case", "image"} of every patient in any layout, or of a single folder or NIfTI file, and any "doubts".

    Raises:
        NoDataError: if there is none.
    """
    return [
        {"case": patient.case, "image": str(patient.image), **({"doubts": patient.doubts} if patient.doubts else {})}
        for patient in cine_patients(dataset_dir)
    ]


def _with_target(items: list[dict[str, Any]], target: str) -> list[dict[str, Any]]:
    if target == "class":
        return [{**item, "label": item["reduced"]} for item in items]
    if target != "ef":
        raise ValueError(f"target: expected class or ef, found {target!r}")
    unknown = sorted({item["case"] for item in items if not math.isfinite(item["ef"])})
    if unknown:
        _LOG.warning("left out: a class and no ejection fraction, which target ef needs: %s", ", ".join(unknown))
    known = [{**item, "label": 1.0 - item["ef"] / 100.0} for item in items if item["case"] not in unknown]
    if items and not known:
        raise NoDataError(
            f"target ef: expected patients with an ejection fraction, found a class alone in all {len(unknown)}; add "
            "column ef to labels.csv, or take --target class"
        )
    return known


def _unique(patients: list[CinePatient]) -> list[CinePatient]:
    unique: dict[str, CinePatient] = {}
    for patient in patients:
        if unique.setdefault(patient.case, patient) is not patient:
            first = unique[patient.case].image.name
            _LOG.warning("%s: left out: %s has this name already; rename one of them", patient.image, first)
    return list(unique.values())


def _choose(
    dataset_dir: str | Path,
    patients: list[CinePatient],
    wanted: frozenset[str],
    fold: int,
    folds: int,
    seed: int,
    ef_threshold: float,
    labelled: bool,
) -> list[CinePatient]:
    """Return the patients of the wanted splits; those without a label are left out where one is needed."""
    everyone = wanted == set(SPLITS)
    if everyone and not labelled:
        return patients
    labels: dict[str, int | None] = {}
    for patient in tqdm(patients, desc="labels", unit="patient", leave=False, disable=len(patients) < 20):
        try:
            labels[patient.case] = patient.label(ef_threshold)
        except UnusableFileError as error:
            _LOG.warning("%s: left out: %s", patient.case, error)
    if labelled:
        unknown = sorted(case for case, label in labels.items() if label is None)
        if unknown:
            _LOG.warning("%s: %d patients without a label: %s", dataset_dir, len(unknown), ", ".join(unknown))
        labels = {case: label for case, label in labels.items() if label is not None}
    if not labels:
        raise NoDataError(
            f"{dataset_dir}: expected patients with an ejection fraction (masks, contours, a table, or labels.csv with "
            f"patient_id and ef), found none among {len(patients)}."
        )
    if everyone:
        return [patient for patient in patients if patient.case in labels]
    if labelled:
        _check_classes(labels)
    groups = {patient.case: patient.source or patient.case for patient in patients if patient.case in labels}
    # Patients made of the images of one are a group; the class of the first stands for it.
    strata = {groups[case]: label for case, label in reversed(labels.items())}
    splits = assign_splits({case: groups[case] for case in labels}, fold, folds, seed, strata, wrap=True)
    return [patient for patient in patients if splits.get(patient.case) in wanted]


def _check_classes(labels: Mapping[str, int | None]) -> None:
    for label in sorted(set(labels.values()), key=str):
        cases = sorted(case for case, value in labels.items() if value == label)
        if len(cases) < len(SPLITS):
            raise ValueError(
                f"expected at least 3 patients of each class ({', '.join(SPLITS)}), found {len(cases)} of class "
                f"{label} ({', '.join(cases)}) among {len(labels)}; add patients or move the EF threshold."
            )


def _items(
    dataset_dir: str | Path, patients: list[CinePatient], ef_threshold: float, slices: str, labelled: bool
) -> list[dict[str, Any]]:
    if slices not in ("left_ventricle", "all"):
        raise ValueError(f"expected slices left_ventricle or all, found {slices!r}.")
    items: list[dict[str, Any]] = []
    failed = []
    for patient in tqdm(patients, desc="slices", unit="patient", leave=False, disable=len(patients) < 20):
        try:
            items += patient.items(ef_threshold, slices, labelled)
        except (UnusableFileError, NoDataError) as error:
            failed.append(patient.case)
            _LOG.warning("%s: left out: %s", patient.case, error)
    if not items:
        raise NoDataError(
            f"{dataset_dir}: expected slices to work on, found none in {len(patients)} patients"
            + (f" ({', '.join(failed)} cannot be read)." if failed else "; add patients.")
        )
    return items
