"""Simulated short-axis cine MR with exact ejection fractions, in the layout of a public data set."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from tqdm import tqdm

from ..files import replacing, write_csv
from .labels import ejection_fraction_from_masks
from .phantoms.chest import CineSettings
from .phantoms.from_pairs import OutOfReachError, PairHeart, reaches, simulate_from_pair
from .phantoms.heart import LEFT_VENTRICLE, SimulatedCine, simulate_heart
from .phantoms.phase_pairs import PhasePair, phase_pairs

_UID_KINDS = ("study", "series", "frame of reference")
_RANGES = (15.0, 45.0), (52.0, 72.0)
_RANGES_OF_SOURCES = (10.0, 50.0), (50.0, 75.0)


def simulate_cine_mr(
    directory: str | os.PathLike[str],
    cases: int = 20,
    seed: int = 0,
    layout: str = "acdc",
    size: int = 128,
    frames: int = 20,
    slices: int = 10,
    field_of_view_mm: float = 300.0,
    reduced_fraction: float = 1 / 3,
    limit: int | None = None,
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    source_split: str = "all",
) -> list[dict[str, object]]:
    """Write simulated patients and return their reference: case, ef (percent) and label (1 reduced, 0 preserved).

    Reduced ejection fractions are uniform in 15 to 45 %, preserved ones in 52 to 72 %. The same settings write the
    same files. With a `source` the hearts are real ones at two phases, whose motion is scaled and interpolated: EFs are
    uniform in 10 to 50 % and 50 to 75 %, or the highest that the source's motion gives; the left cavity
    is the only mask.

    Args:
        directory: where to write; `database/training/patientNNN` (acdc) or `patientNNN/*.dcm` with labels.csv (dicom).
        cases: number of patients.
        seed: draws everything.
        layout: "acdc" or "dicom".
        size: rows and columns.
        frames: frames of a heart beat; hearts made of a source have 15 to 40.
        slices: short-axis slices, from the base to beyond the apex; hearts made of a source have those of the source.
        field_of_view_mm: width of the picture.
        reduced_fraction: fraction of patients with reduced ejection fraction; from 6 cases on at least 3 of each class.
        limit: write the first so many of the patients only, each as in the whole data set; None writes all.
        source: folders of real patients with images and masks of end-diastole and end-systole, see
            :func:`common.cine.phantoms.phase_pairs`. Their images are part of what is written: mind their licence.
        source_split: which of the source's patients are taken, of five parts.

    Raises:
        ValueError: if the layout is unknown or a number out of its range.
        NoDataError: if a source has no patient with both phases.
    """
    settings = CineSettings(size, frames, slices, field_of_view_mm)
    if layout not in ("acdc", "dicom"):
        raise ValueError(f"expected layout acdc or dicom, found {layout!r}.")
    sources = [Path(source)] if isinstance(source, str | os.PathLike) else [Path(folder) for folder in source]
    if source_split != "all" and not sources:
        raise ValueError(f"source_split: expected a source to take {source_split} of, found none")
    hearts = _RegisteredHearts(phase_pairs(sources, source_split)) if sources else None
    fractions = _ejection_fractions(cases, seed, reduced_fraction, *(_RANGES_OF_SOURCES if hearts else _RANGES))
    root = Path(directory)
    reference: list[dict[str, object]] = []
    for number, ef in enumerate(tqdm(fractions[:limit], desc="simulating cine MR", unit="patient"), start=1):
        rng = np.random.default_rng([seed, number])
        case = f"patient{number:03d}"
        made_of, cine = hearts.simulate(rng, ef, settings) if hearts else ("", simulate_heart(rng, ef, settings))
        if hearts:  # the nearest that the sources give
            ef = ejection_fraction_from_masks(cine.diastole == LEFT_VENTRICLE, cine.systole == LEFT_VENTRICLE)
        if layout == "acdc":
            _write_acdc_patient(root / "database" / "training" / case, cine, ef < 50.0, made_of)
        else:
            _write_dicom_patient(root / case, cine, rng)
        row = {"case": case, "ef": round(ef, 3), "label": int(ef < 50.0)}
        reference.append({**row, "source": made_of} if hearts else row)
    if layout == "dicom":
        kept = {"ef": "ef", "made_of": "source"} if hearts else {"ef": "ef"}
        write_csv(
            root / "labels.csv",
            [{"patient_id": row["case"], **{column: row[name] for column, name in kept.items()}} for row in reference],
        )
    return reference


class _RegisteredHearts:
    """Real hearts at two phases, each registered when it is first drawn."""

    def __init__(self, pairs: Sequence[PhasePair]) -> None:
        self.pairs = pairs
        self.known: dict[str, PairHeart] = {}

    def simulate(
        self, rng: np.random.Generator, ef_percent: float, settings: CineSettings
    ) -> tuple[str, SimulatedCine]:
        """Return the name of the source that was drawn, of those whose motion reaches the EF, and the series."""
        frames = int(rng.integers(15, 41))
        within = [pair for pair in self.pairs if reaches(pair, ef_percent)]
        for weak_walls, index in itertools.product((True, False), rng.permutation(len(within))):
            pair = within[index]
            heart = self.known.get(pair.case) or PairHeart.of(pair)
            self.known[pair.case] = heart
            with suppress(OutOfReachError):  # by a weak part of the wall
                cine = simulate_from_pair(rng, heart, ef_percent, replace(settings, frames=frames), weak_walls)
                return pair.case, cine
        heart = PairHeart.of(max(self.pairs, key=lambda pair: pair.ef))
        settings = replace(settings, frames=frames)
        return heart.pair.case, simulate_from_pair(rng, heart, ef_percent, settings, weak_walls=False, nearest=True)


def _ejection_fractions(
    cases: int,
    seed: int,
    reduced_fraction: float,
    reduced_range: tuple[float, float],
    preserved_range: tuple[float, float],
) -> list[float]:
    if cases < 1 or not 0.0 <= reduced_fraction <= 1.0:
        raise ValueError(f"expected cases >= 1 and a fraction of 0 to 1, found {cases} and {reduced_fraction}.")
    rng = np.random.default_rng(seed)
    reduced = round(cases * reduced_fraction)
    if cases >= 6 and 0.0 < reduced_fraction < 1.0:
        reduced = int(np.clip(reduced, 3, cases - 3))
    fractions = np.concatenate(
        [rng.uniform(*reduced_range, size=reduced), rng.uniform(*preserved_range, size=cases - reduced)]
    )
    return [float(ef) for ef in rng.permutation(fractions)]


def _write_acdc_patient(folder: Path, cine: SimulatedCine, reduced: bool, source: str = "") -> None:
    """Write one patient as ACDC does: 4D image, both phases with masks, and Info.cfg with frames counted from 1."""
    name = folder.name
    row, column, between = cine.spacing_mm
    diastole, systole = 1, cine.systolic_frame + 1
    _write_nifti(folder / f"{name}_4d.nii.gz", cine.frames.transpose(3, 2, 0, 1), (column, row, between), cine)
    for number, mask in ((diastole, cine.diastole), (systole, cine.systole)):
        stem = f"{name}_frame{number:02d}"
        _write_nifti(
            folder / f"{stem}.nii.gz", cine.frames[:, number - 1].transpose(2, 1, 0), (column, row, between), cine
        )
        _write_nifti(folder / f"{stem}_gt.nii.gz", mask.transpose(2, 1, 0), (column, row, between), cine)
    lines = [
        f"ED: {diastole}",
        f"ES: {systole}",
        f"Group: {'DCM' if reduced else 'NOR'}",
        f"NbFrame: {cine.frames.shape[1]}",
        *([f"Source: {source}"] if source else []),
    ]
    with replacing(folder / "Info.cfg") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_dicom_patient(folder: Path, cine: SimulatedCine, rng: np.random.Generator) -> None:
    """Write one file for each frame: an oblique stack, trigger times, a SliceLocation that is not the true distance."""
    folder.mkdir(parents=True, exist_ok=True)
    row_direction, column_direction = _oblique(rng)
    normal = np.cross(row_direction, column_direction)
    origin = rng.uniform(-150.0, 150.0, 3)
    uids = {kind: generate_uid(entropy_srcs=[folder.name, kind, str(rng.integers(2**62))]) for kind in _UID_KINDS}
    # The R wave to R wave interval differs a little between the breath-holds of the slices.
    intervals = [cine.interval_ms * float(factor) for factor in rng.uniform(0.97, 1.03, len(cine.frames))]
    for s, frames in enumerate(cine.frames):
        for t, frame in enumerate(frames):
            number = s * len(frames) + t + 1
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
