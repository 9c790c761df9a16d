"""The layouts in which neonatal ADC maps come with their Z maps, each read into items of one shape.

An item has "case", "image" (one path, or those of ADC and Z) and, where there is one, "label". A case whose files are
not one of each says so in "refused", so that it fails by its name and takes no other case down.
"""

import os
import re
from pathlib import Path
from typing import Any

from ..data.listing import case_name, listed_file, visible_files
from ..data.tables import read_table
from ..errors import NoDataError, UnusableFileError
from .volumes import SUFFIXES, has_volume_suffix

Item = dict[str, Any]
Files = dict[str, list[Path]]

BONBID_FOLDERS = ("1ADC_ss", "2Z_ADC", "3LABEL")
CHALLENGE_FOLDERS = ("images/skull-stripped-adc-brain-mri", "images/z-score-adc", "images/hie-lesion-segmentation")


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
        volumes = {_case(given): [given]} if has_volume_suffix(given) else {}
    zmaps = _by_case(folder / "zmaps")
    labels = next((folder / n for n in ("labels/final", "labels", "labelsTr") if (folder / n).is_dir()), None)
    found = _by_case(labels) if labels else {}
    return [
        _item(case, {"volume": paths} | ({"Z map": zmaps[case]} if case in zmaps else {}), found.get(case, []))
        for case, paths in volumes.items()
    ]


def csv_datalist(dataset_dir: str | os.PathLike[str]) -> list[Item]:
    """Return the cases of a folder with a `datalist.csv`: columns case, adc, zmap and label, or image and label.

    Raises:
        NoDataError: if the table has no row.
        UnusableFileError: if a column is missing.
    """
    folder = Path(dataset_dir)
    table = folder / "datalist.csv"
    if not table.is_file():
        return []
    rows = [{name.lower(): cell for name, cell in row.items()} for row in read_table(table)]
    if not rows:
        raise NoDataError(f"{table}: expected a row for each case, found column names alone")
    if not ("image" in rows[0] or {"adc", "zmap"} <= rows[0].keys()):
        raise UnusableFileError(f"{table}: expected columns adc and zmap, or image, found {', '.join(sorted(rows[0]))}")
    names = _names_of_rows(rows)
    items: list[Item] = []
    for row, name in zip(rows, names, strict=True):
        maps = {"volume": row["image"]} if row.get("image") else {"ADC map": row.get("adc"), "Z map": row.get("zmap")}
        paths = {title: [listed_file(folder, cell)] if cell else [] for title, cell in maps.items()}
        item = _item(name, paths, [listed_file(folder, row["label"])] if row.get("label") else [])
        if names.count(name) > 1:
            item["refused"] = f"{table}: expected each case once, found {names.count(name)} rows of {name}; rename them"
        items.append(item)
    return items


def _names_of_rows(rows: list[dict[str, str]]) -> list[str]:
    """Return the cell `case` of each row, else its file's name; with its folders where that would not be unique."""
    files = [Path(row.get("image") or row.get("adc") or row.get("zmap") or "") for row in rows]
    stems = [case_name(file, SUFFIXES) for file in files]
    folders = ["_".join(file.parts[:-1]).replace(os.sep, "") for file in files]
    return [
        row.get("case") or (stem if stems.count(stem) == 1 else f"{folder}_{stem}".lstrip("._"))
        for row, stem, folder in zip(rows, stems, folders, strict=True)
    ]


def _paired(adc: Files, zmap: Files, label: Files) -> list[Item]:
    return [
        _item(case, {"ADC map": adc.get(case, []), "Z map": zmap.get(case, [])}, label.get(case, []))
        for case in sorted(adc.keys() | zmap.keys())
    ]


def _item(case: str, maps: dict[str, list[Path]], labels: list[Path]) -> Item:
    """Return a case; one with a map missing or twice says so in `refused`, so that it fails by name."""
    paths = [str(path) for found in maps.values() for path in found]
    item: Item = {"case": case, "image": paths if len(maps) > 1 else paths[0]}
    if len(labels) == 1:
        item["label"] = str(labels[0])
    for title, found in maps.items():
        if len(found) != 1:
            names = " and ".join(path.name for path in found) or "none"
            item["refused"] = f"{case}: expected one {title}, found {names}"
    return item


def _by_case(folder: Path) -> Files:
    """Return the volumes in a folder by case; a name in two formats gives a case two."""
    files: Files = {}
    for path in visible_files(folder, recursive=False) if folder.is_dir() else []:
        if has_volume_suffix(path):
            files.setdefault(_case(path), []).append(path)
    return files


def _case(path: Path) -> str:
    """Return e.g. MGHNICU_010-VISIT_01 from a name of the challenge, else the name without suffix."""
    match = re.search(r"MGHNICU_\d+-VISIT_\d+", path.name)
    return match.group(0) if match else case_name(path, SUFFIXES)
