"""Layouts of public cine MR data sets: where each keeps its patients, and how it tells the ejection fraction."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel
import numpy as np

from ..data.tables import read_table
from ..errors import NoDataError, UnusableFileError
from .labels import ejection_fraction, ejection_fraction_from_masks
from .nifti import is_nifti
from .patients import CinePatient, Measurement
from .sunnybrook import sunnybrook_patients

_LOG = logging.getLogger(__name__)
_ACDC_CAVITY, _MNMS_CAVITY = 3, 1


def acdc_patients(dataset_dir: Path) -> list[CinePatient]:
    """Return the patients of ACDC: folders patientNNN with Info.cfg and patientNNN_4d.nii.gz.

    References:
        Bernard et al., Deep learning techniques for automatic MRI cardiac multi-structures segmentation, TMI 2018.
    """
    depths = ("patient*/", "*/patient*/", "*/*/patient*/", "")
    names = ("Info.cfg", "patient*_4d.nii", "patient*_4d.nii.gz")
    folders = {path.parent for depth in depths for name in names for path in dataset_dir.glob(f"{depth}{name}")}
    patients = []
    for folder in sorted(folders):
        image = _first_existing(folder, f"{folder.name}_4d.nii.gz", f"{folder.name}_4d.nii")
        info = _first_existing(folder, "Info.cfg")
        if image is None:
            _LOG.warning("%s: left out: expected %s_4d.nii.gz, found none", folder, folder.name)
            continue
        patients.append(CinePatient(folder.name, image, measure=None if info is None else partial(_measure_acdc, info)))
    return patients


def mnms_patients(dataset_dir: Path) -> list[CinePatient]:
    """Return the patients of M&Ms: CODE/CODE_sa.nii.gz with CODE_sa_gt.nii.gz and the table of ED and ES.

    References:
        Campello et al., Multi-centre, multi-vendor and multi-disease cardiac segmentation, TMI 2021.
    """
    images = sorted(path for path in dataset_dir.rglob("*_sa.nii*") if path.parent.name + "_sa" in path.name)
    tables = sorted(path for folder in (dataset_dir, dataset_dir.parent) for path in folder.glob("*M&Ms*.csv"))
    phases = {}
    for table in tables[:1]:
        rows = [{key.casefold(): value for key, value in row.items()} for row in read_table(table)]
        phases = {row.get("external code", ""): (row.get("ed", ""), row.get("es", "")) for row in rows}
    patients = []
    for image in images:
        code = image.parent.name
        masks = _first_existing(image.parent, f"{code}_sa_gt.nii.gz", f"{code}_sa_gt.nii")
        measure = None if masks is None or code not in phases else partial(_measure_mnms, masks, phases[code])
        patients.append(CinePatient(code, image, measure=measure))
    return patients


def kaggle_patients(dataset_dir: Path) -> list[CinePatient]:
    """Return the patients of the Second Annual Data Science Bowl (2015): {train,validate,test}/ID/study/sax_N."""
    found = []
    for split in ("train", "validate", "test"):
        studies = sorted({*dataset_dir.glob(f"{split}/*/study"), *dataset_dir.glob(f"{split}/{split}/*/study")})
        volumes = _kaggle_volumes(dataset_dir / f"{split}.csv")
        for study in studies:
            case = study.parent.name
            found.append(CinePatient(case, study, ef=volumes.get(case)))
    return found


def folder_patients(dataset_dir: Path) -> list[CinePatient]:
    """Return the patients of any folder: a sub-folder of DICOM files or a 4D NIfTI file each, with labels.csv or not.

    labels.csv has columns patient_id and ef (percent), or patient_id and label (1 HFrEF, 0 HFpEF).
    """
    files = sorted(path for path in dataset_dir.iterdir() if path.is_file() and not is_nifti(path))
    if any(map(_looks_like_dicom, files[:20])):
        return [CinePatient(dataset_dir.resolve().name, dataset_dir)]
    children = sorted(path for path in dataset_dir.iterdir() if not path.name.startswith("."))
    patients = {}
    for child in children:
        patient = _folder_patient(child)
        if patient is not None:
            patients[patient.case] = patient
    table = dataset_dir / "labels.csv"
    if table.is_file():
        _apply_labels(table, patients)
    return list(patients.values())


LAYOUTS: dict[str, Callable[[Path], list[CinePatient]]] = {
    "ACDC (patientNNN/Info.cfg)": acdc_patients,
    "M&Ms (CODE/CODE_sa.nii.gz)": mnms_patients,
    "Sunnybrook (SCD0000101)": sunnybrook_patients,
    "Kaggle 2015 (train/ID/study)": kaggle_patients,
    "a folder of DICOM or a 4D NIfTI file a patient, with labels.csv": folder_patients,
}


def cine_patients(dataset_dir: str | Path) -> list[CinePatient]:
    """Return the patients of the first layout that `dataset_dir` has; a single NIfTI file is one patient.

    Raises:
        NoDataError: if no layout has a patient there.
    """
    source = Path(dataset_dir)
    if source.is_file() and is_nifti(source):
        return [CinePatient(_stem(source), source)]
    for find in LAYOUTS.values() if source.is_dir() else ():
        patients = find(source)
        if patients:
            return _once(patients)
    state = "no patient" if source.is_dir() else "no such folder"
    raise NoDataError(
        f"{source}: expected cine MR in one of the layouts {'; '.join(LAYOUTS)}; found {state}. "
        f"Simulated patients, in the repository: python -m common simulate cmr_hf_classify {source}"
    )


def _once(patients: list[CinePatient]) -> list[CinePatient]:
    """Return the patients with their names made unique by the parent folder where two share one."""
    names = [patient.case for patient in patients]
    for patient in patients:
        if names.count(patient.case) > 1:
            patient.case = f"{patient.image.parent.parent.name}_{patient.case}"
    return patients


def _measure_acdc(info: Path, patient: CinePatient) -> Measurement:
    fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    masks = []
    for phase in ("ED", "ES"):
        if phase not in fields:
            raise UnusableFileError(f"{info}: expected a line '{phase}: frame', found none.")
        name = f"{info.parent.name}_frame{int(fields[phase]):02d}_gt"
        path = _first_existing(info.parent, f"{name}.nii.gz", f"{name}.nii")
        if path is None:
            raise UnusableFileError(f"{info.parent}: expected {name}.nii.gz, found none.")
        masks.append(_mask(path) == _ACDC_CAVITY)
    return _measure_masks(*masks)


def _measure_mnms(path: Path, phases: tuple[str, str], patient: CinePatient) -> Measurement:
    diastole, systole = (_mask(path, int(float(phase))) == _MNMS_CAVITY for phase in phases)
    return _measure_masks(diastole, systole)


def _measure_masks(diastole: np.ndarray, systole: np.ndarray) -> Measurement:
    """Return the measurement from (x, y, section) masks of the cavity."""
    sections = frozenset(int(k) for k in np.flatnonzero(diastole.any(axis=(0, 1))))
    return Measurement(ejection_fraction_from_masks(diastole, systole), sections)


def _mask(path: Path, frame: int | None = None) -> np.ndarray:
    try:
        data = nibabel.load(path).dataobj  # type: ignore[attr-defined]
        return np.asarray(data if frame is None else data[..., frame])
    except (EOFError, OSError, ValueError, IndexError, nibabel.filebasedimages.ImageFileError) as error:
        raise UnusableFileError(f"{path}: expected a mask, found a file that cannot be read ({error}).") from error


def _kaggle_volumes(table: Path) -> dict[str, float]:
    if not table.is_file():
        return {}
    found = {}
    for row in read_table(table):
        try:
            found[row["Id"]] = ejection_fraction(float(row["Diastole"]), float(row["Systole"]))
        except (KeyError, ValueError) as error:
            _LOG.warning("%s: row %s has no usable volumes (%s)", table, row.get("Id"), error)
    return found


def _folder_patient(child: Path) -> CinePatient | None:
    if child.is_file():
        return CinePatient(_stem(child), child) if is_nifti(child) else None
    niftis = sorted(path for path in child.iterdir() if is_nifti(path))
    if len(niftis) == 1:
        return CinePatient(child.name, niftis[0])
    files = sorted(path for path in child.rglob("*") if path.is_file())
    # An empty folder is listed, so that it is named as failed: a transfer that broke off looks like this.
    return CinePatient(child.name, child) if not files or any(map(_looks_like_dicom, files)) else None


def _looks_like_dicom(path: Path) -> bool:
    if path.suffix.lower() in (".dcm", ".ima"):
        return True
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _apply_labels(table: Path, patients: dict[str, CinePatient]) -> None:
    rows = read_table(table)
    if rows and ("patient_id" not in rows[0] or not {"ef", "label"} & set(rows[0])):
        raise UnusableFileError(
            f"{table}: expected columns patient_id and ef (or label), found {', '.join(rows[0])}; rename the columns."
        )
    absent = sorted({row["patient_id"] for row in rows} - set(patients))
    if absent:
        _LOG.warning("%s: labels of %d patients that are not there: %s", table, len(absent), ", ".join(absent))
    for row in rows:
        patient = patients.get(row["patient_id"])
        if patient is not None:
            _apply_label(table, row, patient)


def _apply_label(table: Path, row: dict[str, str], patient: CinePatient) -> None:
    try:
        if row.get("ef"):
            ef = float(row["ef"])
            if not 0.0 <= ef <= 100.0:
                raise ValueError(f"ef {ef} is not in percent")
            patient.ef = ef
        elif row.get("label"):
            label = {"1": 1, "0": 0, "hfref": 1, "hfpef": 0}[row["label"].casefold()]
            patient.known_class = lambda _threshold: label
    except (ValueError, KeyError) as error:
        _LOG.warning("%s: row of %s is not usable: %s", table, patient.case, error)


def _first_existing(folder: Path, *names: str) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _stem(path: Path) -> str:
    return re.sub(r"\.nii(\.gz)?$", "", path.name, flags=re.IGNORECASE)
