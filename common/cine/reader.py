"""The cine of one patient, from a folder of DICOM or NIfTI files, or from one file."""

import os
from pathlib import Path

from ..data.dicom import is_dicom
from ..data.listing import visible_files
from ..errors import NoDataError, UnusableFileError
from .dicom import may_be_dicom, read_dicom_cine
from .nifti import is_nifti, nifti_shape, read_nifti_cine
from .series import SHORT_AXIS
from .volume import Cine


def read_cine(path: str | os.PathLike[str]) -> Cine:
    """Return the short-axis cine of one patient.

    Args:
        path: a folder (searched with its sub-folders) of DICOM files or with a 4D NIfTI file, a 4D NIfTI file with axes
            x, y, slice, frame, or an enhanced multi-frame DICOM file.

    Raises:
        NoDataError: if the path does not exist or the folder holds no file.
        UnusableFileError: if no slice is usable; the message names the reasons.
    """
    source = Path(path)
    if not source.exists():
        raise NoDataError(f"{source}: expected a folder of DICOM files or a 4D NIfTI file, found nothing there.")
    image = cine_image(source)[0] if source.is_dir() else source
    if is_nifti(image):
        return read_nifti_cine(image)
    if image.is_dir() or is_dicom(image):
        return read_dicom_cine(image)
    raise UnusableFileError(
        f"{source}: expected a folder of DICOM files or a file .nii or .nii.gz, found another kind of file; "
        "give the folder that holds all frames of the patient."
    )


def cine_image(folder: Path) -> tuple[Path, dict[Path, str]]:
    """Return what a patient's folder has its cine in, a NIfTI file or (DICOM) the folder, and the images beside it.

    Of several NIfTI files the 4D one is taken, of several of those the one whose name says short axis (sa, sax).

    Raises:
        UnusableFileError: if several could be meant.
    """
    files = visible_files(folder)
    niftis = [file for file in files if is_nifti(file)]
    has_dicom = any(looks_like_dicom(file) for file in files)
    if len(niftis) == 1 and not has_dicom:
        return niftis[0], {}
    cines = [file for file in niftis if _is_4d(file)]
    if not niftis or (has_dicom and not cines):
        return folder, dict.fromkeys(niftis, "not a cine (4D); the DICOM files beside it are taken")
    likely = cines or niftis
    chosen = [file for file in likely if SHORT_AXIS.search(file.name)] if len(likely) > 1 else likely
    if len(chosen) != 1:
        raise UnusableFileError(
            f"{folder}: expected one short-axis cine, found {', '.join(file.name for file in likely)}, of which "
            f"{len(chosen)} say short axis (sa, sax) in their name; keep one, or give each patient a folder."
        )
    unused = {file: f"{chosen[0].name} beside it is taken" for file in niftis if file != chosen[0]}
    if has_dicom:
        unused[folder] = f"of its files {chosen[0].name} is taken, its DICOM files are not"
    return chosen[0], unused


def looks_like_dicom(path: Path) -> bool:
    """Return whether a file is DICOM by its content, or should be by its suffix."""
    return may_be_dicom(path) and (path.suffix.lower() in (".dcm", ".ima") or is_dicom(path))


def _is_4d(path: Path) -> bool:
    try:
        return len(nifti_shape(path)) == 4
    except UnusableFileError:
        return True  # so that it is read, and fails by its name
