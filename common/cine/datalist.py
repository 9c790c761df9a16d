"""Datalists of cine MR: training items by slice, inference cases by patient, in any known layout."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..errors import NoDataError, UnusableFileError
from .layouts import cine_patients
from .patients import CinePatient

_LOG = logging.getLogger(__name__)
PARTS = ("training", "validation", "test")


def cine_datalist(
    dataset_dir: str | Path,
    section: str = "training",
    fold: int = 0,
    folds: int = 5,
    seed: int = 0,
    ef_threshold: float = 50.0,
    slices: str = "left_ventricle",
    labelled: bool = True,
    further_dirs: Sequence[str | Path] = (),
) -> list[dict[str, Any]]:
    """Return one item for each slice of a heart: case, slice_number, image, and label and ef where `labelled`.

    `image` is a list of DICOM paths in order of time, or the path of a 4D NIfTI file; `label` is 1 for HFrEF. A
    patient without a label, that cannot be read, or whose name another one has, is logged by name and left out.

    Args:
        dataset_dir: Sunnybrook, ACDC, M&Ms, Kaggle 2015, or any folder of patients with labels.csv.
        section: "training", "validation", "test", several joined by "+", or "all".
        fold: which of `folds` parts is the test; the next one is the validation.
        folds: parts of the cross-validation, by patient, with both classes in each.
        seed: shuffles the patients.
        ef_threshold: HFrEF is an ejection fraction below it, in percent.
        slices: "left_ventricle" keeps the slices with a mask or contour of the cavity at end-diastole in patients that
            have any; "all" keeps every slice.
        labelled: False lists patients without labels too (for stage 1); labelled patients keep their part.
        further_dirs: folders of any layout whose patients come on top, all of them, whatever the part; for stage 1.

    Raises:
        NoDataError: if a folder holds no patient, or none is left.
        ValueError: if a class has too few patients for the split, an argument is not one of its values, or
            `further_dirs` are given with `labelled`.
    """
    parts = _parts(section)
    if further_dirs and labelled:
        raise ValueError("further_dirs: expected none where labels are needed; put labelled patients into dataset_dir.")
    patients = _unique(cine_patients(dataset_dir))
    chosen = _choose(dataset_dir, patients, parts, fold, folds, seed, ef_threshold, labelled)
    items = _items(dataset_dir, chosen, ef_threshold, slices, labelled)
    for folder in further_dirs:
        items += _items(folder, _unique(cine_patients(folder)), ef_threshold, slices, labelled)
    return items


def cine_cases(dataset_dir: str | Path) -> list[dict[str, str]]:
    """Return {"case", "image"} of every patient in any layout, or of a single folder or NIfTI file.

    Raises:
        NoDataError: if there is none.
    """
    return [{"case": patient.case, "image": str(patient.image)} for patient in cine_patients(dataset_dir)]


def cine_folds(
    labels: Mapping[str, int | None], fold: int = 0, folds: int = 5, seed: int = 0, strict: bool = True
) -> dict[str, str]:
    """Return case -> "training", "validation" or "test".

    Each class is shuffled by `seed` alone and dealt to `folds` parts in turn; part `fold` is the test, the next one
    the validation. A class of fewer patients than folds is dealt to as many parts as it has patients, so that each
    part of the split has one of them.

    Args:
        labels: case -> class, or None where it is unknown (a stratum of its own).
        fold: which part is the test, from 0.
        folds: number of parts, at least 3.
        seed: shuffles the cases.
        strict: whether every class must reach every part.

    Raises:
        ValueError: if `fold` is not below `folds`, `folds` is under 3, or (when strict) a class has under 3 patients.
    """
    if folds < 3 or not 0 <= fold < folds:
        raise ValueError(f"expected folds >= 3 and 0 <= fold < folds, found fold {fold} of {folds}.")
    parts: dict[str, str] = {}
    for label in sorted(set(labels.values()), key=str):
        cases = sorted(case for case, value in labels.items() if value == label)
        if strict and len(cases) < len(PARTS):
            raise ValueError(
                f"expected at least 3 patients of each class (training, validation, test), found {len(cases)} of class "
                f"{label} ({', '.join(cases)}) among {len(labels)}; add patients or move the EF threshold."
            )
        parts.update(_deal(cases, fold, folds, seed))
    return parts


def _deal(cases: list[str], fold: int, folds: int, seed: int) -> dict[str, str]:
    order = np.random.default_rng(seed).permutation(len(cases))
    if len(cases) < len(PARTS):
        # Too few for three parts: training first, then validation.
        return {cases[k]: PARTS[turn] for turn, k in enumerate(np.roll(order, -fold))}
    rounds = min(folds, len(cases))
    test, validation = fold % rounds, (fold + 1) % rounds
    names = {test: "test", validation: "validation"}
    return {cases[k]: names.get(turn % rounds, "training") for turn, k in enumerate(order)}


def _unique(patients: list[CinePatient]) -> list[CinePatient]:
    unique: dict[str, CinePatient] = {}
    for patient in patients:
        if unique.setdefault(patient.case, patient) is not patient:
            first = unique[patient.case].image.name
            _LOG.warning("%s: left out: %s has this name already; rename one of them", patient.image, first)
    return list(unique.values())


def _parts(section: str) -> tuple[str, ...]:
    parts = PARTS if section == "all" else tuple(section.split("+"))
    if not set(parts) <= set(PARTS):
        raise ValueError(f'expected section {", ".join(PARTS)}, several joined by "+", or all; found {section!r}.')
    return parts


def _choose(
    dataset_dir: str | Path,
    patients: list[CinePatient],
    parts: tuple[str, ...],
    fold: int,
    folds: int,
    seed: int,
    ef_threshold: float,
    labelled: bool,
) -> list[CinePatient]:
    """Return the patients of the wanted parts; those without a label are left out where one is needed."""
    everyone = set(parts) == set(PARTS)
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
    wanted = cine_folds(labels, fold, folds, seed, strict=labelled)
    return [patient for patient in patients if wanted.get(patient.case) in parts]


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
