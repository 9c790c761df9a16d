"""The cases of a folder, or one split of their cross-validation."""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..data.listing import log_skipped, report_unused, visible_files
from ..errors import NoDataError
from .layouts import Item, bonbid_datalist, challenge_datalist, csv_datalist, two_channel_datalist
from .volumes import SUFFIXES, has_volume_suffix

SECTIONS = ("training", "validation", "test", "all")
SIMULATE_COMMAND = "python -m common simulate hie_ladp_seg DIR"


def neonatal_adc_datalist(
    dataset_dir: str | os.PathLike[str],
    section: str = "all",
    fold: int = 0,
    folds: int = 5,
    seed: int = 0,
    needs_label: bool = False,
) -> list[Item]:
    """Return the cases of a folder in any layout that is understood, or of one part of its cross-validation.

    Args:
        dataset_dir: folder in the BONBID-HIE layout, in the challenge's, with a `datalist.csv` (columns case, adc,
            zmap and label, or image and label; paths relative to it), or with volumes as
            :func:`two_channel_datalist` takes them; or one such volume.
        section: "training", "validation", or "test" and "all" for every case.
        fold: which fold is the validation part, from 0.
        folds: number of folds, at least 2; patients, with all their visits, are dealt into them by `seed`.
        seed: seed of the deal.
        needs_label: whether cases without an annotation are left out.

    Returns:
        Items with "case", "image" (one path, or ADC and Z paths) and, where there is one, "label", sorted by case.

    Raises:
        NoDataError: if no layout is recognised, or no case is left.
        ValueError: for an unknown section or fold.
    """
    folder = Path(dataset_dir)
    for layout in (csv_datalist, bonbid_datalist, challenge_datalist, two_channel_datalist):
        items = layout(folder)
        if items:
            break
    else:
        raise NoDataError(
            f"{folder}: expected 1ADC_ss/ with 2Z_ADC/ and 3LABEL/ (BONBID-HIE), images/skull-stripped-adc-brain-mri/ "
            f"with images/z-score-adc/ (challenge), a datalist.csv, volumes with 2 channels or with zmaps/ beside, "
            f"or one such volume; found none of these. "
            f"Simulated cases, in the repository: {SIMULATE_COMMAND}"
        )
    if folder.is_dir():
        _report(folder, items)
    if needs_label:
        items = _without(
            items, folder, lambda item: "" if "label" in item else "expected one label, found none or two"
        )
    chosen = _section(sorted(items, key=lambda item: str(item["case"])), section, fold, folds, seed)
    if needs_label:
        chosen = _without(chosen, folder, lambda item: item.get("refused", ""))
    if not chosen:
        raise NoDataError(
            f"{folder}: expected cases for {section} of fold {fold} of {folds}, found {len(items)} in all"
        )
    return chosen


def _section(items: list[Item], section: str, fold: int, folds: int, seed: int) -> list[Item]:
    if section not in SECTIONS:
        raise ValueError(f"section: expected one of {SECTIONS}, found {section!r}")
    if folds < 2 or not 0 <= fold < folds:
        raise ValueError(f"fold: expected 0 <= fold < folds and folds >= 2, found fold {fold} of {folds}")
    if section in ("test", "all"):
        return items
    patients = sorted({_patient(item) for item in items})
    held_out = {patients[i] for i in np.random.default_rng(seed).permutation(len(patients))[fold::folds]}
    return [item for item in items if (_patient(item) in held_out) == (section == "validation")]


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
