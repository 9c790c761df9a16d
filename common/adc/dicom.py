"""ADC and Z maps as DICOM series: which series is which, and their values in the units of the networks."""

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.dicom import is_dicom, read_dicom, should_be_dicom
from ..data.dicom_volume import read_dicom_geometry, read_dicom_values
from ..data.listing import report_unused, visible_files
from ..errors import UnusableFileError
from .grid import Grid, check_grid

PathLike = str | os.PathLike[str]
Item = dict[str, Any]

# To 1e-6 mm2/s, by UCUM and by what scanners write; Z-scores and values without a unit stay as they are.
_FACTORS = {"um2/s": 1.0, "10-6.mm2/s": 1.0, "10*-6.mm2/s": 1.0, "10^-6mm2/s": 1.0, "1e-6mm2/s": 1.0}
_FACTORS |= {"10-3.mm2/s": 1e3, "10*-3.mm2/s": 1e3, "10^-3mm2/s": 1e3, "1e-3mm2/s": 1e3, "mm2/s": 1e6}
_FACTORS |= {"": 1.0, "1": 1.0, "us": 1.0, "normalized": 1.0, "{zscore}": 1.0, "{z-score}": 1.0}
_Z = re.compile(r"(?<![a-z])z(?![a-z])|z[ _-]?(score|map|adc)", re.IGNORECASE)
_ADC = re.compile(r"(?<![a-z])adc|apparent[ _]diffusion", re.IGNORECASE)
_LEAST_Z = np.float32(1e-6)
_TITLES = ("ADC map", "Z map")
_TAGS = ["SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesDescription", "ImageType", "SeriesNumber"]


class Series(NamedTuple):
    """One of a series' files, its study, and the words that say what it shows."""

    file: Path
    study: str
    words: str


def is_dicom_map(path: Path) -> bool:
    """Return whether a path is a folder, or a file that begins as DICOM does."""
    return path.is_dir() or (path.is_file() and is_dicom(path))


def read_dicom_map(path: PathLike) -> tuple[NDArray[np.float32], Grid]:
    """Return the voxels (1, X, Y, Z) of a series, diffusion in 1e-6 mm2/s, and its grid.

    Raises:
        UnusableFileError: if the series is no volume, or its values are in another unit.
    """
    volume = read_dicom_geometry(path)
    voxels, unit = read_dicom_values(volume)
    factor = _FACTORS.get(unit.lower().replace(" ", "").replace("²", "2").replace("µ", "u"))
    if factor is None:
        raise UnusableFileError(
            f"{path}: expected ADC in um2/s, 10-3.mm2/s or mm2/s, or Z-scores, found the unit {unit[:40]!r}; export "
            "the map in one of these"
        )
    return voxels[None] * np.float32(factor), check_grid(Grid(volume.size, volume.affine), path)


def mark_brain(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return maps (2, X, Y, Z) of ADC and Z in which a Z of 0 is background alone, as the networks take it.

    DICOM stores whole numbers, so that a Z-score near 0 becomes 0 in the brain too; there it gets the least value that
    is not 0.
    """
    rounded = (maps[1] == 0) & (maps[0] != 0)
    return np.stack([maps[0], np.where(rounded, _LEAST_Z, maps[1])])


def read_dicom_grid(path: PathLike) -> Grid:
    """Return the grid of a series from its headers."""
    volume = read_dicom_geometry(path)
    return check_grid(Grid(volume.size, volume.affine), path)


def dicom_datalist(dataset_dir: PathLike) -> list[Item]:
    """Return the cases of a folder in which each sub-folder holds a study with a DICOM series of ADC and one of Z.

    A series is known by its description (0008,103E) or image type: ADC, or Z, Z-score. A file names its series. A
    folder that holds the files of one study itself, or in sub-folders for its series, is one case; copies of a study
    side by side are a case each.
    """
    root = Path(dataset_dir)
    cases: dict[Path, dict[str, Series]] = {}
    refused: dict[Path, str] = {}
    for file in filter(should_be_dicom, visible_files(root) if root.is_dir() else []):
        parts = file.relative_to(root).parts
        folder = root / parts[0] if len(parts) > 1 else root
        found = cases.setdefault(folder, {})
        try:
            header = read_dicom(file, stop_before_pixels=True, tags=_TAGS)
        except UnusableFileError as error:
            refused.setdefault(folder, str(error))
            continue
        series, study = (str(header.get(name, "")) for name in ("SeriesInstanceUID", "StudyInstanceUID"))
        found.setdefault(series, Series(file, study, _words(header)))
    listed = [(uid, series) for found in cases.values() for uid, series in found.items()]
    is_one = len({series.study for _, series in listed}) == 1 and len({uid for uid, _ in listed}) == len(listed)
    if len(cases) > 1 and is_one and all(cases.values()):
        cases, refused = {root: dict(listed)}, dict(zip([root], refused.values(), strict=False))
    elif cases and root not in cases:
        empty = _without_dicom(root, cases)
        cases, refused = {**cases, **{folder: {} for folder in empty}}, {**refused, **empty}
    return [_item(folder, list(found.values()), refused.get(folder)) for folder, found in cases.items()]


def _without_dicom(root: Path, cases: Collection[Path]) -> dict[Path, str]:
    """Return the sub-folders that are empty, as where a transfer broke off, with what is wrong; report the others."""
    folders = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".") and path not in cases]
    empty = {folder for folder in folders if not visible_files(folder)}
    report_unused(root, {folder: "holds no DICOM file" for folder in sorted(folders) if folder not in empty})
    return {folder: f"{folder}: expected DICOM series of ADC and Z, found an empty folder" for folder in sorted(empty)}


def _words(header: Any) -> str:
    kinds = header.get("ImageType") or []
    return " ".join([str(header.get("SeriesDescription", "")), *map(str, kinds)])


def _item(folder: Path, series: list[Series], refused: str | None) -> Item:
    case = folder.resolve().name
    maps: dict[str, list[Path]] = {title: [] for title in _TITLES}
    others, studies = {}, set()
    for file, study, words in series:
        title = "Z map" if _Z.search(words) else "ADC map" if _ADC.search(words) else None
        if title is None:
            others[file] = "its series is neither ADC nor Z by its description and image type"
        else:
            maps[title].append(file)
            studies.add(study)
    report_unused(folder, others)
    item: Item = {"case": case, "image": [str(path) for found in maps.values() for path in found]}
    for title, found in maps.items():
        if len(found) != 1:
            item["refused"] = f"{case}: expected one series that is the {title} by its description, found {len(found)}"
    if len(studies) > 1:
        item["refused"] = f"{case}: expected ADC and Z of one study, found {len(studies)} studies; give each a folder"
    return item if refused is None else {**item, "refused": refused}
