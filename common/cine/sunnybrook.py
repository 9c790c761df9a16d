"""The Sunnybrook Cardiac Data: images by one number, contours by another, and a table that pairs them."""

from __future__ import annotations

import logging
import re
from functools import partial
from pathlib import Path

from ..data.listing import visible_files
from ..data.tables import read_table
from ..errors import UnusableFileError
from .labels import diastolic_slices, ejection_fraction_from_contours, read_contours
from .patients import CinePatient, Measurement

_LOG = logging.getLogger(__name__)
# Pairs of the data set's own patient table, for copies of single patients that come without it.
_SUNNYBROOK_PAIRS = {
    "SCD0000101": "SC-HF-I-1",
    "SCD0000201": "SC-HF-I-2",
    "SCD0000301": "SC-HF-I-4",
    "SCD0000401": "SC-HF-I-5",
    "SCD0000501": "SC-HF-I-6",
}


def sunnybrook_patients(dataset_dir: Path) -> list[CinePatient]:
    """Return the patients of the Sunnybrook Cardiac Data, in the public layout or as folders SCD0000101 side by side.

    References:
        Radau et al., Evaluation framework for algorithms segmenting short axis cardiac MRI, MIDAS Journal 2009.
    """
    folders = sorted(
        {path for depth in ("", "*/", "*/*/") for path in dataset_dir.glob(f"{depth}SCD*") if _is_scd(path)}
    )
    if not folders:
        return []
    contours = contour_folders(dataset_dir)
    pairs = dict(_SUNNYBROOK_PAIRS)
    for table in sorted({*dataset_dir.glob("scd_patientdata.csv"), *dataset_dir.glob("link.csv")}):
        pairs.update(_sunnybrook_pairs(table))
    return [_sunnybrook_patient(folder, pairs.get(folder.name), contours) for folder in folders]


def _is_scd(path: Path) -> bool:
    return path.is_dir() and re.fullmatch(r"SCD\d{7}", path.name) is not None


def _original_name(name: str) -> str | None:
    """Return SC-HF-I-1 for SC-HF-I-1 or SC-HF-I-01: folders and table write the number differently."""
    found = re.fullmatch(r"(SC-(?:HF-NI|HF-I|HYP|N))-0*(\d+)", name.strip())
    return f"{found[1]}-{found[2]}" if found else None


def contour_folders(dataset_dir: Path) -> dict[str, Path]:
    """Return original name -> folder of the contours of each patient below `dataset_dir`."""
    found: dict[str, Path] = {}
    for depth in ("", "*/", "*/*/"):
        for path in sorted(dataset_dir.glob(f"{depth}SC-*")):
            name = _original_name(path.name)
            if name and path.is_dir():
                found.setdefault(name, path)
    return found


def _sunnybrook_pairs(table: Path) -> dict[str, str]:
    rows = [{key.casefold().replace("_", ""): value for key, value in row.items()} for row in read_table(table)]
    pairs = {row.get("patientid", ""): _original_name(row.get("originalid", "")) for row in rows}
    return {patient: original for patient, original in pairs.items() if original}


def _sunnybrook_patient(folder: Path, original: str | None, contours: dict[str, Path]) -> CinePatient:
    short_axis = sorted(path for path in folder.iterdir() if path.is_dir() and path.name.upper().startswith("CINESAX"))
    image = short_axis[0] if len(short_axis) == 1 else folder
    if original is None:
        _LOG.warning("%s: no entry in scd_patientdata.csv, so neither contours nor class are known", folder.name)
        return CinePatient(folder.name, image, folder)
    measure = partial(_measure_contours, contours[original]) if original in contours else None
    return CinePatient(folder.name, image, folder, known_class=partial(_pathology_class, original), measure=measure)


def _pathology_class(original: str, ef_threshold: float) -> int | None:
    """Return the class by group: heart failure has EF < 40 %, normal and hypertrophy EF > 55 % (Radau et al. 2009)."""
    return int(original.startswith("SC-HF")) if 40.0 <= ef_threshold <= 55.0 else None


def _measure_contours(folder: Path, patient: CinePatient) -> Measurement:
    contours = read_contours(file for file in visible_files(folder) if re.search(r"icontour.*\.txt$", file.name))
    if not contours:
        raise UnusableFileError(f"{folder}: expected *icontour-manual.txt, found none.")
    slices = patient.stack.slices
    frames = [(found.number, t, frame) for found in slices for t, frame in enumerate(found.frames)]
    by_name = {int((re.findall(r"\d+", Path(frame.path).stem) or ["0"])[-1]): (s, t) for s, t, frame in frames}
    by_instance = {frame.instance: (s, t) for s, t, frame in frames}
    # Contours are numbered like the files; where files were renamed, the instance number (0020,0013) still tells.
    unique = len(by_name) == len(frames) and set(contours) <= set(by_name)
    positions = by_name if unique else by_instance
    ef = ejection_fraction_from_contours(contours, positions, max(len(found.frames) for found in slices))
    return Measurement(ef, frozenset(diastolic_slices(contours, positions)))
