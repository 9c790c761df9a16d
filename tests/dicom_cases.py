"""Cases in DICOM files with a patient and a study, and the tools that check what is written for them."""

import shutil
import subprocess

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.valuerep import DS

from tests.common.echo.test_reader import write_dicom
from tests.dicom_frames import write_frame, write_stack

# Nothing of these may be in JSON, CSV or pictures.
NAME, NUMBER, BIRTH = "Müller^Jürgen", "pat-4711", "19530107"
PATIENT = {
    "SpecificCharacterSet": "ISO_IR 100",
    "PatientName": NAME,
    "PatientID": NUMBER,
    "PatientBirthDate": BIRTH,
    "PatientSex": "M",
    "OtherPatientIDs": "ward-12",
    "StudyInstanceUID": "1.2.840.99.1",
    "StudyID": "7",
    "StudyDate": "20240102",
    "StudyTime": "101112",
    "AccessionNumber": "acc-99",
    "ReferringPhysicianName": "Weiß^Anna",
    "StudyDescription": "control of Jürgen",
}
IDENTITIES = ("ller", "rgen", NUMBER, BIRTH, "ward-12", "acc-99", "Wei", "control", "20240102", "1.2.840.99.1")


def write_echo(path, **changes):
    """A grey cine of a fan that moves."""
    y, x = np.mgrid[:96, :96]
    fan = (abs(x - 48) < 0.6 * y) & (y > 8)
    frames = [np.where(fan, 60 + 50 * np.sin(y / 5 + t), 0) for t in np.linspace(0, 12, 40)]
    series = {"SeriesInstanceUID": "1.2.840.99.2", "SOPInstanceUID": "1.2.840.99.2.1", "ImageType": ["ORIGINAL"]}
    write_dicom(path, np.asarray(frames).astype(np.uint8), **_there({**PATIENT, **series, **changes}))
    return path


def write_cine(folder, **changes):
    """A short-axis stack of three slices with six frames each."""
    series = {"SeriesInstanceUID": "1.2.840.99.3", "ScanningSequence": "GR", "FrameOfReferenceUID": "1.2.840.99.9"}
    series |= {"RescaleSlope": 0.1, "RescaleIntercept": 0}
    write_stack(folder, frames=6, shape=(96, 96), **{**PATIENT, **series, **changes})
    return folder


def _there(elements):
    return {keyword: value for keyword, value in elements.items() if value is not None}


def assert_valid(path):
    """Check an object with dciodvfy, and print a report with dsrdump; without them installed the test is skipped."""
    for tool, package in (("dciodvfy", "dicom3tools"), ("dsrdump", "dcmtk")):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (Debian: apt install {package})")
    found = subprocess.run(["dciodvfy", str(path)], capture_output=True, encoding="utf-8", check=False)
    assert found.returncode == 0 and "Error" not in found.stderr + found.stdout, found.stderr
    if "report" in path.name:
        printed = subprocess.run(["dsrdump", str(path)], capture_output=True, encoding="utf-8", check=False)
        assert printed.returncode == 0 and "Imaging Measurement Report" in printed.stdout, printed.stderr


def write_maps(folder, adc, z, affine_lps, enhanced=False, **changes):
    """Write ADC in 1e-6 mm2/s and Z, (X, Y, Z), as two series; `affine_lps` maps their voxels to the patient."""
    usual = {"FrameOfReferenceUID": "1.2.840.99.8", **changes}
    for number, (name, voxels, slope) in enumerate((("ADC", adc, 0.5), ("Z-score", z, 0.001)), 5):
        fields = {**PATIENT, **usual, "SeriesInstanceUID": f"1.2.840.99.{number}", "SeriesDescription": name}
        write = write_enhanced_series if enhanced else write_series
        write(folder / name, np.rint(voxels / slope).astype(np.int16), affine_lps, slope, **fields)
    return folder


def write_series(folder, stored, affine_lps, slope, **fields):
    """Write a volume as one file a slice, in an order that their names do not tell; spacing comes from the affine."""
    columns, rows, steps = (affine_lps[:3, axis] for axis in range(3))
    for k in range(stored.shape[2]):
        write_frame(
            folder / f"{(k * 7) % stored.shape[2]:03d}.dcm",
            stored[:, :, k].T,
            _decimal(affine_lps[:3, 3] + k * steps),
            number=k + 1,
            ImageOrientationPatient=_decimal([*_unit(columns), *_unit(rows)]),
            PixelSpacing=_decimal([np.linalg.norm(rows), np.linalg.norm(columns)]),
            SliceThickness=1.0,
            TriggerTime=None,
            **{"RescaleSlope": slope, "RescaleIntercept": 0, **fields},
        )


def write_enhanced_series(folder, stored, affine_lps, slope, **fields):
    """Write a volume as one enhanced multi-frame file whose frames stand in another order."""
    order = np.random.default_rng(3).permutation(stored.shape[2])
    columns, rows, steps = (affine_lps[:3, axis] for axis in range(3))
    shared, groups = Dataset(), []
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=_decimal([*_unit(columns), *_unit(rows)]))]
    spacing = _decimal([np.linalg.norm(rows), np.linalg.norm(columns)])
    shared.PixelMeasuresSequence = [_item(PixelSpacing=spacing, SliceThickness=1.0)]
    unit = _item(CodeValue="1", CodingSchemeDesignator="UCUM", CodeMeaning="no units")
    for k in order:
        group = Dataset()
        group.PlanePositionSequence = [_item(ImagePositionPatient=_decimal(affine_lps[:3, 3] + k * steps))]
        group.FrameContentSequence = [_item(StackID="1", InStackPositionNumber=int(k) + 1)]
        values = {"RealWorldValueSlope": slope, "RealWorldValueIntercept": 0.0, "MeasurementUnitsCodeSequence": [unit]}
        group.RealWorldValueMappingSequence = [_item(**values)]
        group.PixelValueTransformationSequence = [_item(RescaleSlope=7, RescaleIntercept=7, RescaleType="US")]
        groups.append(group)
    write_frame(
        folder / "all.dcm",
        stored[:, :, order].transpose(2, 1, 0).reshape(-1, stored.shape[0]),
        Rows=stored.shape[1],
        NumberOfFrames=stored.shape[2],
        SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1",
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=groups,
        **dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")),
        **dict.fromkeys(("TriggerTime", "AcquisitionNumber")),
        **fields,
    )


def _item(**fields):
    made = Dataset()
    for keyword, value in fields.items():
        setattr(made, keyword, value)
    return made


def _unit(vector):
    return vector / np.linalg.norm(vector)


def _decimal(values):
    """Numbers as DICOM stores them, with at most 16 characters."""
    return [DS(float(value), auto_format=True) for value in values]
