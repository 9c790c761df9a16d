"""The cine of one patient, from a folder of DICOM files or a 4D NIfTI file."""

import os
from pathlib import Path

from ..errors import NoDataError, UnusableFileError
from .dicom import read_dicom_cine
from .nifti import is_nifti, read_nifti_cine
from .volume import Cine


def read_cine(path: str | os.PathLike[str]) -> Cine:
    """Return the short-axis cine of one patient.

    Args:
        path: a folder of DICOM files (searched with its sub-folders, each file read once) or a 4D NIfTI file
            with axes x, y, section, frame.

    Raises:
        NoDataError: if the path does not exist or the folder holds no file.
        UnusableFileError: if no section is usable; the message names the reasons.
    """
    source = Path(path)
    if source.is_dir():
        return read_dicom_cine(source)
    if not source.is_file():
        raise NoDataError(f"{source}: expected a folder of DICOM files or a 4D NIfTI file, found nothing there.")
    if is_nifti(source):
        return read_nifti_cine(source)
    raise UnusableFileError(
        f"{source}: expected a folder of DICOM files or a file .nii or .nii.gz, found another kind of file; "
        "give the folder that holds all frames of the patient."
    )
