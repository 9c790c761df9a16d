"""Neonatal ADC maps with their Z-scores: checks of a case, and datalists of the layouts they come in."""

import os
import re
from pathlib import Path
from typing import Any

from ..data.splits import assign_splits, check_fold, wanted_splits
from ..data.tables import read_table
from ..errors import NoDataError, UnusableFileError
from .volumes import has_volume_suffix

Item = dict[str, Any]

BONBID_FOLDERS = ("1ADC_ss", "2Z_ADC", "3LABEL")
CHALLENGE_FOLDERS = ("images/skull-stripped-adc-brain-mri", "images/z-score-adc", "images/hie-lesion-segmentation")
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
            zmap and label, or image and label; paths relative to it), or with volumes as
            :func:`two_channel_datalist` takes them; or one such volume.
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
    for layout in (_csv_datalist, bonbid_datalist, challenge_datalist, two_channel_datalist):
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
    if needs_label:
        items = [item for item in items if "label" in item]
    chosen = _of_split(sorted(items, key=lambda item: str(item["case"])), split, fold, folds, seed)
    if not chosen:
        raise NoDataError(f"{folder}: expected cases for {split} of fold {fold} of {folds}, found {len(items)} in all")
    return chosen


def bonbid_datalist(dataset_dir: str | os.PathLike[str]) -> list[Item]:
    """Return the cases of a BONBID-HIE folder (or of a folder that holds one); patient and visit name the case.

    References:
        Bao et al., BONBID-HIE, 2023, https://zenodo.org/records/10602767
    """
    folder = Path(dataset_dir)
    roots = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    root = next((path for path in roots if (path / BONBID_FOLDERS[0]).is_dir()), None)
    if root is None:
        return []
    adc, zmap, label = (_by_case(root / name) for name in BONBID_FOLDERS)
    return _paired(adc, zmap, label)


def challenge_datalist(dataset_dir: str | os.PathLike[str]) -> list[Item]:
    """Return the cases of a folder in the challenge's input layout; the file name is the case.

    Files of the two folders are matched by name, or by id where the names carry one; a single pair matches as it is.
    """
    folder = Path(dataset_dir)
    if not (folder / CHALLENGE_FOLDERS[0]).is_dir():
        return []
    adc, zmap, label = (_by_case(folder / name) for name in CHALLENGE_FOLDERS)
    if len(adc) == len(zmap) == 1 and adc.keys() != zmap.keys():
        zmap = dict(zip(adc, zmap.values(), strict=True))
    return _paired(adc, zmap, label)


def two_channel_datalist(dataset_dir: str | os.PathLike[str]) -> list[Item]:
    """Return the volumes of a folder, or the one file given: ADC and Z as channels, or ADC and its Z map in `zmaps/`.

    Z maps and labels (in `labels/final/` or `labels/`) lie beside the volumes under the same names.
    """
    given = Path(dataset_dir)
    folder = given.parent if given.is_file() else given
    images = next((folder / name for name in ("images", "imagesTr") if (folder / name).is_dir()), folder)
    volumes = _by_case(images)
    if given.is_file():
        volumes = {_case(given): str(given)} if has_volume_suffix(given) else {}
    zmaps = _by_case(folder / "zmaps")
    labels = next((folder / n for n in ("labels/final", "labels", "labelsTr") if (folder / n).is_dir()), None)
    found = _by_case(labels) if labels else {}
    return [
        {"case": case, "image": [path, zmaps[case]] if case in zmaps else path}
        | ({"label": found[case]} if case in found else {})
        for case, path in volumes.items()
    ]


def _csv_datalist(folder: Path) -> list[Item]:
    table = folder / "datalist.csv"
    if not table.is_file():
        return []
    items: list[Item] = []
    for row in read_table(table):
        if not row.get("image") and not (row.get("adc") and row.get("zmap")):
            raise UnusableFileError(f"{table}: expected columns adc and zmap, or image, found {sorted(row)}")
        names = [row["image"]] if row.get("image") else [row["adc"], row["zmap"]]
        paths = [str(folder / name) for name in names]
        item: Item = {"case": row.get("case") or _stem(Path(names[0])), "image": paths if len(paths) > 1 else paths[0]}
        items.append(item | ({"label": str(folder / row["label"])} if row.get("label") else {}))
    return items


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


def _paired(adc: dict[str, str], zmap: dict[str, str], label: dict[str, str]) -> list[Item]:
    """Return items; a case whose Z map is missing keeps a path to it that does not exist, so that it fails by name."""
    items: list[Item] = []
    for case in sorted(adc.keys() | zmap.keys()):
        image = [adc.get(case, f"missing ADC map of case {case}"), zmap.get(case, f"missing Z map of case {case}")]
        items.append({"case": case, "image": image} | ({"label": label[case]} if case in label else {}))
    return items


def _by_case(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    return {_case(path): str(path) for path in sorted(folder.iterdir()) if has_volume_suffix(path)}


def _case(path: Path) -> str:
    """Return e.g. MGHNICU_010-VISIT_01 from a name of the challenge, else the name without suffix."""
    match = re.search(r"MGHNICU_\d+-VISIT_\d+", path.name)
    return match.group(0) if match else _stem(path)


def _stem(path: Path) -> str:
    return re.sub(r"(\.nii)?\.[^.]+$", "", path.name)
