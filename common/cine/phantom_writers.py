"""Simulated cine series written as ACDC (NIfTI with masks) or as folders of DICOM files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from ..files import replacing
from .phantom_heart import SimulatedCine


def write_acdc_patient(folder: Path, cine: SimulatedCine, reduced: bool) -> None:
    """Write one patient as ACDC does: 4D image, both phases with masks, and Info.cfg with frames counted from 1."""
    name = folder.name
    row, column, section = cine.spacing_mm
    diastole, systole = 1, cine.systolic_frame + 1
    _write_nifti(folder / f"{name}_4d.nii.gz", cine.frames.transpose(3, 2, 0, 1), (column, row, section), cine)
    for number, mask in ((diastole, cine.diastole), (systole, cine.systole)):
        stem = f"{name}_frame{number:02d}"
        _write_nifti(
            folder / f"{stem}.nii.gz", cine.frames[:, number - 1].transpose(2, 1, 0), (column, row, section), cine
        )
        _write_nifti(folder / f"{stem}_gt.nii.gz", mask.transpose(2, 1, 0), (column, row, section), cine)
    lines = [
        f"ED: {diastole}",
        f"ES: {systole}",
        f"Group: {'DCM' if reduced else 'NOR'}",
        f"NbFrame: {cine.frames.shape[1]}",
    ]
    with replacing(folder / "Info.cfg") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_dicom_patient(folder: Path, cine: SimulatedCine, rng: np.random.Generator) -> None:
    """Write one file a frame: an oblique stack, trigger times, and a SliceLocation that is not the true distance."""
    folder.mkdir(parents=True, exist_ok=True)
    row_direction, column_direction = _oblique(rng)
    normal = np.cross(row_direction, column_direction)
    origin = rng.uniform(-150.0, 150.0, 3)
    uids = {kind: generate_uid(entropy_srcs=[folder.name, kind, str(rng.integers(2**62))]) for kind in _UID_KINDS}
    # The R wave to R wave interval differs a little between the breath-holds of the sections.
    intervals = [cine.interval_ms * float(factor) for factor in rng.uniform(0.97, 1.03, len(cine.frames))]
    for s, section in enumerate(cine.frames):
        for t, frame in enumerate(section):
            number = s * len(section) + t + 1
            dataset = _dataset(folder.name, uids, number, frame)
            dataset.ImageOrientationPatient = [f"{v:.6f}" for v in (*row_direction, *column_direction)]
            position = [float(v) for v in np.asarray(origin + s * cine.spacing_mm[2] * normal)]
            dataset.ImagePositionPatient = [f"{v:.5f}" for v in position]
            dataset.SliceLocation = f"{position[2]:.4f}"
            dataset.PixelSpacing = [f"{v:.6f}" for v in cine.spacing_mm[:2]]
            dataset.SliceThickness = f"{cine.spacing_mm[2]:.5f}"
            dataset.TriggerTime = f"{(t + 0.5) * intervals[s]:.4f}"
            with replacing(folder / f"IM-0001-{number:04d}.dcm") as temporary:
                pydicom.dcmwrite(temporary, dataset)


_UID_KINDS = ("study", "series", "frame of reference")


def _oblique(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column direction of a short-axis plane near that of real patients."""
    row = np.array([0.71, 0.66, 0.10]) + rng.normal(0.0, 0.08, 3)
    row /= np.linalg.norm(row)
    column = np.array([-0.28, 0.35, -0.90]) + rng.normal(0.0, 0.08, 3)
    column -= (column @ row) * row
    return row, column / np.linalg.norm(column)


def _dataset(case: str, uids: dict[str, Any], number: int, frame: np.ndarray) -> FileDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(f"{uids['series']}"[:58] + f".{number}")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = pydicom.uid.PYDICOM_IMPLEMENTATION_UID
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    if int(pydicom.__version_info__[0]) < 3:
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.Manufacturer = "MR", "simulated"
    dataset.ImageType = ["DERIVED", "SECONDARY", "SIMULATED"]
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = "", case, "", ""
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber, dataset.StudyID = "", "", "", ""
    dataset.ReferringPhysicianName, dataset.PositionReferenceIndicator = "", ""
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "GR", "SS", "CG"
    dataset.MRAcquisitionType, dataset.EchoTime, dataset.RepetitionTime, dataset.EchoTrainLength = "2D", 1.5, 3.3, 1
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uids["study"], uids["series"]
    dataset.FrameOfReferenceUID = uids["frame of reference"]
    dataset.SeriesNumber, dataset.AcquisitionNumber, dataset.InstanceNumber = 1, 1, number
    dataset.Rows, dataset.Columns = frame.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelData = frame.astype("<i2").tobytes()
    return dataset


def _write_nifti(path: Path, voxels: np.ndarray, zooms: tuple[float, float, float], cine: SimulatedCine) -> None:
    image: Any = nibabel.Nifti1Image(voxels, np.diag([*zooms, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    if voxels.ndim == 4:
        image.header.set_zooms((*zooms, cine.interval_ms / 1000.0))
    with replacing(path) as temporary:
        nibabel.save(image, temporary)
