"""Cases in DICOM files with a patient and a study, and the tools that check what is written for them."""

import shutil
import subprocess

import numpy as np
import pytest

from tests.common.echo.test_reader import write_dicom
from tests.dicom_frames import write_stack

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
    found = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert found.returncode == 0 and "Error" not in found.stderr + found.stdout, found.stderr
    if "report" in path.name:
        printed = subprocess.run(["dsrdump", str(path)], capture_output=True, text=True, check=False)
        assert printed.returncode == 0 and "Imaging Measurement Report" in printed.stdout, printed.stderr
