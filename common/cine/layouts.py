"""Layouts of public cine MR data sets: where each keeps its patients, and how it tells the ejection fraction."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from ..data.dicom import read_dicom
from ..data.listing import case_name, report_unused, visible_files
from ..data.tables import number, read_table
from ..errors import NoDataError, UnusableFileError
from .labels import ejection_fraction
from .nifti import SUFFIXES, is_nifti, nifti_shape, open_nifti, read_voxels
from .patients import CinePatient, Phases
from .reader import cine_image, looks_like_dicom
from .sunnybrook import contour_folders, sunnybrook_patients

_LOG = logging.getLogger(__name__)
_ACDC_CAVITY, _MNMS_CAVITY = 3, 1
_MASK_LABELS = (0, 1, 2, 3)
_TABLES = re.compile(r"labels\.csv|.*M&Ms.*\.csv|(train|validate|test)\.csv|scd_patientdata\.csv|link\.csv")
# Other programs write whole numbers as 1.0 where a cell of the column is empty.
_CLASSES = {"1": 1, "0": 0, "1.0": 1, "0.0": 0, "hfref": 1, "hfpef": 0}
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")


def acdc_patients(dataset_dir: Path) -> list[CinePatient]:
    """Return the patients of ACDC: folders patientNNN with Info.cfg and patientNNN_4d.nii.gz.

    References:
        Bernard et al., Deep learning techniques for automatic MRI cardiac multi-structures segmentation, TMI 2018.
    """
    depths = ("patient*/", "*/patient*/", "*/*/patient*/")
    names = ("Info.cfg", "patient*_4d.nii", "patient*_4d.nii.gz")
    folders = {path.parent for depth in depths for name in names for path in dataset_dir.glob(f"{depth}{name}")}
    # The folder itself may be a patient's; files of several patients side by side are another layout.
    own = ("Info.cfg", f"{dataset_dir.name}_4d.nii", f"{dataset_dir.name}_4d.nii.gz")
    folders |= {dataset_dir} if any((dataset_dir / name).is_file() for name in own) else set()
    patients = []
    for folder in sorted(folders):
        image = _first_existing(folder, f"{folder.name}_4d.nii.gz", f"{folder.name}_4d.nii")
        info = _first_existing(folder, "Info.cfg")
        patient = CinePatient(folder.name, image or folder / f"{folder.name}_4d.nii.gz", folder)
        if info is not None:
            patient.phases, patient.source = partial(_acdc_phases, info), _acdc_fields(info).get("Source", "").strip()
        # Without its image the patient is listed, so that it fails by name.
        patients.append(patient)
    return patients


def mnms_patients(dataset_dir: Path) -> list[CinePatient]:
    """Return the patients of M&Ms: CODE/CODE_sa.nii.gz with CODE_sa_gt.nii.gz and the table of ED and ES.

    References:
        Campello et al., Multi-centre, multi-vendor and multi-disease cardiac segmentation, TMI 2021.
    """
    images = [path for path in visible_files(dataset_dir) if path.name in _names(f"{path.parent.name}_sa")]
    tables = sorted(path for folder in (dataset_dir, dataset_dir.parent) for path in folder.glob("*M&Ms*.csv"))
    phases = {}
    for table in tables[:1] if images else ():
        rows = [{key.casefold(): value for key, value in row.items()} for row in read_table(table)]
        phases = {row.get("external code", ""): (row.get("ed", ""), row.get("es", "")) for row in rows}
    patients = []
    for image in images:
        code = image.parent.name
        masks = _first_existing(image.parent, *_names(f"{code}_sa_gt"))
        read = None if masks is None or code not in phases else partial(_mnms_phases, masks, phases[code])
        patients.append(CinePatient(code, image, image.parent, phases=read))
    return patients


def kaggle_patients(dataset_dir: Path) -> list[CinePatient]:
    """Return the patients of the Second Annual Data Science Bowl (2015): {train,validate,test}/ID/study/sax_N."""
    found = []
    for split in ("train", "validate", "test"):
        studies = sorted({*dataset_dir.glob(f"{split}/*/study"), *dataset_dir.glob(f"{split}/{split}/*/study")})
        volumes = _kaggle_volumes(dataset_dir / f"{split}.csv") if studies else {}
        for study in studies:
            case = study.parent.name
            found.append(CinePatient(case, study, study.parent, ef=volumes.get(case)))
    return found


def folder_patients(dataset_dir: Path) -> list[CinePatient]:
    """Return the patients of any folder: a sub-folder of DICOM files or a 4D NIfTI file each, with labels.csv or not.

    labels.csv has columns patient_id and ef (percent), or patient_id and label (1 HFrEF, 0 HFpEF). A folder whose cine
    is in doubt is listed, so that it fails by name. Folders of one study are listed with a doubt: slices of one heart,
    or its cine twice.
    """
    files = visible_files(dataset_dir, recursive=False)
    if any(map(looks_like_dicom, files)):
        patient = CinePatient(dataset_dir.resolve().name, dataset_dir, dataset_dir)
        report_unused(dataset_dir, patient.unread())
        return [patient]
    patients = [CinePatient(case_name(file, SUFFIXES), file, file) for file in files if is_nifti(file)]
    unused: dict[Path, str] = {}
    for folder in _visible_folders(dataset_dir):
        content = visible_files(folder)
        # An empty folder is listed, so that it is named as failed: a transfer that broke off looks like this.
        if not content or any(is_nifti(file) or looks_like_dicom(file) for file in content):
            image = folder
            with suppress(UnusableFileError):  # the reader says why
                image, beside = cine_image(folder)
                unused.update(beside)
            patients.append(CinePatient(folder.name, image, folder))
    report_unused(dataset_dir, unused)
    patients.sort(key=lambda patient: patient.root.name)
    table = dataset_dir / "labels.csv"
    if table.is_file():
        _apply_labels(table, patients)
    _doubt_parts_of_a_study(patients)
    return patients


def _doubt_parts_of_a_study(patients: Iterable[CinePatient]) -> None:
    """Doubt the patients that share a study; those of several series stay in one split.

    Patients that share study and series may have been made anonymous by one number for all: they may be divided.
    """
    studies: dict[str, list[CinePatient]] = {}
    series: dict[str, set[str]] = {}
    for patient in patients:
        study, own = _study_and_series(patient.image) if patient.image.is_dir() else ("", "")
        if study:
            studies.setdefault(study, []).append(patient)
            series.setdefault(study, set()).add(own)
    for study, parts in studies.items():
        for patient in parts if len(parts) > 1 else ():
            if len(series[study]) > 1:
                patient.source = patient.source or parts[0].case
            others = ", ".join(part.case for part in parts[:4] if part is not patient)
            more = ", ..." if len(parts) > 4 else ""
            patient.doubts.append(f"of one study with {others}{more}: put the slices of one heart into one folder")


def _study_and_series(folder: Path) -> tuple[str, str]:
    """Return study and series of the first DICOM file in a folder; empty where it has none that can be read."""
    first = next((file for file in visible_files(folder) if looks_like_dicom(file)), None)
    tags = ("StudyInstanceUID", "SeriesInstanceUID")
    with suppress(UnusableFileError, OSError):
        header = read_dicom(first, stop_before_pixels=True, tags=tags) if first else {}
        study, series = (str(header.get(tag, "")) for tag in tags)
        return study, series
    return "", ""


LAYOUTS: dict[str, Callable[[Path], list[CinePatient]]] = {
    "ACDC (patientNNN/Info.cfg)": acdc_patients,
    "M&Ms (CODE/CODE_sa.nii.gz)": mnms_patients,
    "Sunnybrook (SCD0000101)": sunnybrook_patients,
    "Kaggle 2015 (train/ID/study)": kaggle_patients,
    "a folder of DICOM or a 4D NIfTI file a patient, with labels.csv": folder_patients,
}


def cine_patients(dataset_dir: str | Path) -> list[CinePatient]:
    """Return the patients of the first layout that `dataset_dir` has; a single file is one patient.

    What the folder holds beside them is logged by name. Patients of one name in different folders get the folder's name
    too; two of one name in one folder keep it.

    Raises:
        NoDataError: if no layout has a patient there.
    """
    source = Path(dataset_dir)
    if source.is_file() and (is_nifti(source) or looks_like_dicom(source)):
        return [CinePatient(case_name(source, (*SUFFIXES, ".dcm", ".ima")), source, source)]
    for layout, find in LAYOUTS.items() if source.is_dir() else ():
        patients = find(source)
        if patients:
            used = {patient.root for patient in patients} | set(contour_folders(source).values())
            holding = used | {parent for path in used for parent in path.parents}
            unused = {path: _why_unused(path, layout) for path in _unused(source, used, holding)}
            for patient in patients if find is not folder_patients else ():
                unused |= patient.unread()
            report_unused(source, unused)
            return _told_apart(patients)
    state = "no patient" if source.is_dir() else "another file" if source.exists() else "no such folder"
    raise NoDataError(
        f"{source}: expected cine MR in one of the layouts {'; '.join(LAYOUTS)}; found {state}. "
        f"Simulated patients, in the repository: python -m common simulate cmr_hf_classify {source}"
    )


def _unused(folder: Path, used: Set[Path], holding: Set[Path]) -> Iterator[Path]:
    """Yield the entries below `folder` that hold nothing used; those in a patient's folder belong to the patient.

    Args:
        folder: where to look.
        used: files and folders that are patients, or theirs.
        holding: these, and the folders above them.
    """
    if folder in used:
        return
    for path in [*_visible_folders(folder), *visible_files(folder, recursive=False)]:
        if path in holding:
            yield from _unused(path, used, holding) if path.is_dir() else ()
        elif not _TABLES.fullmatch(path.name):
            yield path


def _why_unused(path: Path, layout: str) -> str:
    names = [path.name] if path.is_file() else [file.name for file in visible_files(path)]
    if names and all(name.lower().endswith(_ARCHIVES) and not is_nifti(name) for name in names):
        return "an archive; unpack it"
    return f"not part of the layout: {layout}"


def _visible_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__MACOSX")))


def _told_apart(patients: list[CinePatient]) -> list[CinePatient]:
    parents: dict[str, set[Path]] = {}
    for patient in patients:
        parents.setdefault(patient.case, set()).add(patient.root.parent)
    for patient in patients:
        if len(parents.get(patient.case, ())) > 1:
            patient.case = f"{patient.root.parent.name}_{patient.case}"
    return patients


def _acdc_fields(info: Path) -> dict[str, str]:
    text = info.read_text(encoding="latin-1")
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)  # type: ignore[misc]


def _acdc_phases(info: Path, patient: CinePatient) -> Phases:
    fields, frames, masks = _acdc_fields(info), [], []
    for phase in ("ED", "ES"):
        frame = int(number(fields.get(phase), f"the frame in the line '{phase}: frame' of {info}", 1))
        frames.append(frame - 1)
        names = _names(f"{info.parent.name}_frame{frame:02d}_gt")
        path = _first_existing(info.parent, *names)
        if path is None:
            raise UnusableFileError(f"{info.parent}: expected {names[0]}, found none.")
        masks.append(_mask(path, patient) == _ACDC_CAVITY)
    return Phases((frames[0], frames[1]), *masks)


def _mnms_phases(path: Path, phases: tuple[str, str], patient: CinePatient) -> Phases:
    named = zip(("ED", "ES"), phases, strict=True)
    frames = [int(number(cell, f"{name} of {patient.case} in the table", 0)) for name, cell in named]
    diastole, systole = (_mask(path, patient, frame) == _MNMS_CAVITY for frame in frames)
    return Phases((frames[0], frames[1]), diastole, systole)


def _mask(path: Path, patient: CinePatient, frame: int | None = None) -> np.ndarray:
    image, shape = open_nifti(path), nifti_shape(patient.image)
    if image.shape[:3] != shape[:3]:
        raise UnusableFileError(f"{path}: expected a mask of {shape[:3]} voxels like the image, found {image.shape}.")
    voxels = read_voxels(path, image, ... if frame is None else (..., frame))
    others = np.unique(voxels[~np.isin(voxels, _MASK_LABELS)])
    if len(others):
        raise UnusableFileError(f"{path}: expected a mask of the labels 0 to 3, found {others[:5].tolist()} in it.")
    return voxels


def _kaggle_volumes(table: Path) -> dict[str, float]:
    found = {}
    for row in read_table(table) if table.is_file() else ():
        try:
            volumes = [number(row.get(name), f"{name} in ml", 0) for name in ("Diastole", "Systole")]
            found[row["Id"]] = ejection_fraction(*volumes)
        except (KeyError, ValueError) as error:
            _LOG.warning("%s: row %s has no usable volumes (%s)", table, row.get("Id"), error)
    return found


def _apply_labels(table: Path, patients: Iterable[CinePatient]) -> None:
    rows = read_table(table)
    if rows and ("patient_id" not in rows[0] or not {"ef", "label"} & set(rows[0])):
        raise UnusableFileError(
            f"{table}: expected columns patient_id and ef (or label), found {', '.join(rows[0])}; rename the columns."
        )
    told = {row["patient_id"]: row for row in rows}
    if len(told) < len({tuple(row.items()) for row in rows}):
        raise UnusableFileError(f"{table}: expected one row for each patient, found several that differ; keep one.")
    absent = sorted(set(told) - {patient.case for patient in patients})
    if absent:
        _LOG.warning("%s: labels of %d patients that are not there: %s", table, len(absent), ", ".join(absent))
    for patient in patients:
        try:
            _apply_label(told.get(patient.case, {}), patient)
        except UnusableFileError as error:
            _LOG.warning("%s: row of %s is not usable: %s", table, patient.case, error)


def _apply_label(row: dict[str, str], patient: CinePatient) -> None:
    patient.source = row.get("made_of", "")
    if row.get("ef"):
        patient.ef = number(row["ef"], "ef in percent", 1.0, 100.0)
    elif row.get("label"):
        label = _CLASSES.get(row["label"].casefold())
        if label is None:
            raise UnusableFileError(f"expected the label 1 (HFrEF) or 0 (HFpEF), found {row['label']!r}")
        patient.known_class = lambda _threshold: label


def _names(stem: str) -> tuple[str, str]:
    return f"{stem}.nii.gz", f"{stem}.nii"


def _first_existing(folder: Path, *names: str) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
