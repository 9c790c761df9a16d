"""The cases of a folder, or one split of their cross-validation."""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from ..data.listing import log_skipped, report_unused, visible_files
from ..data.splits import assign_splits, check_fold, wanted_splits
from ..errors import NoDataError
from .dicom import dicom_datalist
from .layouts import Item, bonbid_datalist, challenge_datalist, csv_datalist, two_channel_datalist
from .volumes import SUFFIXES, has_volume_suffix

SIMULATE_COMMAND = "python -m common simulate hie_ladp_seg DIR"


def neonatal_adc_datalist(
    dataset_dir: str | os.PathLike[str],
    split: str = "all",
    fold: int = 0,
    folds: int = 5,
    seed: int = 0,
    needs_label: bool = False,
) -> list[Item]:
    """Return the cases of a folder in any layout that is understood, or of one part of its cross-validation.

    Args:
        dataset_dir: folder in the BONBID-HIE layout, in the challenge's, with a `datalist.csv` (columns case, adc,
            zmap and label, or image and label; paths relative to it), with studies as :func:`dicom_datalist` takes
            them, or with volumes as :func:`two_channel_datalist` does; or one such volume.
        split: "training", "validation", or "test" and "all" for every case (the challenge keeps its test cases).
        fold: which fold is the validation part, from 0.
        folds: number of folds, at least 2; patients, with all their visits, are dealt into them by `seed`.
        seed: seed of the deal.
        needs_label: whether cases without an annotation are left out.

    Returns:
        Items with "case", "image" (one path, or ADC and Z paths) and, where there is one, "label", sorted by case.

    Raises:
        NoDataError: if no layout is recognised, or no case is left.
        ValueError: for an unknown split or fold.
    """
    folder = Path(dataset_dir)
    for layout in (csv_datalist, bonbid_datalist, challenge_datalist, two_channel_datalist, dicom_datalist):
        items = layout(folder)
        if items:
            break
    else:
        raise NoDataError(
            f"{folder}: expected 1ADC_ss/ with 2Z_ADC/ and 3LABEL/ (BONBID-HIE), images/skull-stripped-adc-brain-mri/ "
            f"with images/z-score-adc/ (challenge), a datalist.csv, volumes with 2 channels or with zmaps/ beside, "
            f"one such volume, or a folder for each study with DICOM series of ADC and Z; found none of these. "
            f"Simulated cases, in the repository: {SIMULATE_COMMAND}"
        )
    if folder.is_dir() and layout is not dicom_datalist:
        _report(folder, items)
    if needs_label:
        items = _without(items, folder, lambda item: "" if "label" in item else "expected one label, found none or two")
    chosen = _of_split(sorted(items, key=lambda item: str(item["case"])), split, fold, folds, seed)
    if needs_label:
        chosen = _without(chosen, folder, lambda item: item.get("refused", ""))
    if not chosen:
        raise NoDataError(f"{folder}: expected cases for {split} of fold {fold} of {folds}, found {len(items)} in all")
    return chosen


def _of_split(items: list[Item], split: str, fold: int, folds: int, seed: int) -> list[Item]:
    wanted = wanted_splits(split)
    check_fold(fold, folds, least=2)
    if "test" in wanted:
        return items
    patients = {_patient(item): _patient(item) for item in items}
    splits = assign_splits(patients, fold, folds, seed)
    # There is no test: part `fold`, the test of other data sets, is the validation, and all others train.
    part_of = {"test": "validation", "validation": "training", "training": "training"}
    return [item for item in items if part_of[splits[_patient(item)]] in wanted]


def _patient(item: Item) -> str:
    return str(item["case"]).split("-VISIT_")[0]


def _without(items: list[Item], folder: Path, reason: Callable[[Item], str]) -> list[Item]:
    """Return the items that have no reason to be left out, and name the others."""
    log_skipped(str(folder), {str(item["case"]): reason(item) for item in items if reason(item)})
    return [item for item in items if not reason(item)]


def _report(folder: Path, items: list[Item]) -> None:
    """Name what the folder holds and no case uses."""
    paths = [path for item in items for path in (item.get("image", []), item.get("label", []))]
    used = {Path(name).resolve() for path in paths for name in (path if isinstance(path, list) else [path])}
    used |= {name.with_suffix(end) for name in used if name.suffix.lower() == ".mhd" for end in (".raw", ".zraw")}
    unused = tuple(
        (path, "belongs to no case" if has_volume_suffix(path) else f"no volume ({', '.join(SUFFIXES)})")
        for path in visible_files(folder)
        if path.resolve() not in used and path.name != "datalist.csv"
    )
    _report_once(folder, unused)


@lru_cache
def _report_once(folder: Path, unused: tuple[tuple[Path, str], ...]) -> None:
    report_unused(folder, dict(unused))
