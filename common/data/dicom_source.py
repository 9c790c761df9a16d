"""The DICOM instances that results refer to, with the patient and the study under which the results are filed."""

import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import UnusableFileError
from .dicom import is_dicom, read_dicom
from .listing import visible_files

# Attributes of type 2 in the patient and general study modules: there, but possibly empty.
_MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
_DATES = {"PatientBirthDate": "(0010,0030)", "StudyDate": "(0008,0020)", "StudyTime": "(0008,0030)"}
_REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
# Groups and attributes that say how an image was made and where it lies, and nothing about whom it shows.
_TECHNICAL_GROUPS = (0x0028, 0x5200)
_TECHNICAL = (
    *("SOPClassUID", *_UIDS, "Modality", "ImageType", "NumberOfFrames", "SliceThickness", "SpacingBetweenSlices"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PositionReferenceIndicator", "DimensionIndexSequence"),
)
_LONGEST_ROOT = 24  # a UID has 64 characters, of which the part of ours takes 39 and the dot between them one
UTF_8 = "ISO_IR 192"


def dicom_files(source: Any) -> list[Path]:
    """Return the DICOM files of a case: `source` is a path, or several; a folder stands for those in it."""
    paths = [Path(path) for path in (source if isinstance(source, (list, tuple)) else [source])]
    files = [file for path in paths for file in (visible_files(path) if path.is_dir() else [path])]
    return [file for file in files if file.is_file() and is_dicom(file)]


def read_instances(files: Sequence[Path], anonymous: bool, uid_root: str) -> list[Any]:
    """Return the headers of a case's files as pydicom datasets, all of one patient and study, texts in UTF-8.

    Args:
        files: DICOM files, read without their pixels.
        anonymous: whether to leave nothing of the patient and the study, and to derive other UIDs from theirs.
        uid_root: root of these UIDs.

    Raises:
        UnusableFileError: if a file cannot be referred to, the files are of several patients or studies, or a date that
            results copy is none.
    """
    headers = [read_dicom(file, stop_before_pixels=True) for file in files]
    for file, header in zip(files, headers, strict=True):
        missing = [keyword for keyword in _REQUIRED if not header.get(keyword)]
        if missing:
            raise UnusableFileError(
                f"{file}: expected a file that results can refer to, found none of {', '.join(missing)} in its "
                "header; export it from the archive again"
            )
    _check_one(files, headers, "StudyInstanceUID", "study")
    if anonymous:
        return [_without_identity(header, uid_root) for header in headers]
    _check_one(files, headers, "PatientID", "patient")
    if not headers[0].get("PatientID"):
        raise UnusableFileError(
            f"{files[0]}: expected the patient's number (0010,0020), by which results are filed, found none; add it in "
            "the archive, or write without identities (--anonymous true)"
        )
    for file, header in zip(files, headers, strict=True):
        _check_dates(file, header)
        _complete(header)
    return headers


def checked_root(root: Any) -> str:
    """Return the root of new UIDs.

    Raises:
        ValueError: if it is none, or leaves no room.
    """
    text = str(root)
    if not re.fullmatch(r"[0-2](\.(0|[1-9]\d*))+", text) or len(text) > _LONGEST_ROOT:
        raise ValueError(
            f"uid_root: expected the root of UIDs that were assigned to you, of at most {_LONGEST_ROOT} digits and "
            f"dots, such as 2.25 or 1.2.826.0.1.3680043.10, found {text!r}"
        )
    return text


def derived_uid(root: str, *parts: Any) -> str:
    """Return a UID under `root` that depends on `parts` alone (a UUID of version 5; PS3.5 B.2 for the root 2.25)."""
    text = json.dumps([str(part) for part in parts])
    return f"{root}.{uuid.uuid5(uuid.NAMESPACE_OID, text).int}"


def _check_one(files: Sequence[Path], headers: Sequence[Any], keyword: str, noun: str) -> None:
    first = str(headers[0].get(keyword, ""))
    other = next((file for file, h in zip(files, headers, strict=True) if str(h.get(keyword, "")) != first), None)
    if other is None:
        return
    numbers = [str(header.get(keyword) or "") for header in headers]
    if len(set(filter(None, numbers))) < 2:
        raise UnusableFileError(
            f"{files[numbers.index('')]}: expected the {noun}'s number ({keyword}) that other files of the case have, "
            "found none; add it in the archive"
        )
    raise UnusableFileError(
        f"{other}: expected files of one {noun}, found another {noun} than in {files[0].name}; give each {noun} a "
        "folder of its own"
    )


def _check_dates(file: Path, header: Any) -> None:
    from pydicom.valuerep import DA, TM

    for keyword, tag in _DATES.items():
        try:
            (TM if keyword.endswith("Time") else DA)(header.get(keyword) or "")
        except ValueError:
            raise UnusableFileError(
                f"{file}: expected {keyword} {tag} as DICOM writes it (YYYYMMDD, HHMMSS) or empty, found another text; "
                "correct it in the archive, or write without identities (--anonymous true)"
            ) from None


def _complete(header: Any) -> None:
    """Make the header what the standard asks for, with its texts as they are in memory, in UTF-8."""
    from pydicom.valuerep import PersonName

    for keyword in _MAY_BE_EMPTY:
        if header.get(keyword) is None:
            setattr(header, keyword, "")
    if header.PatientSex not in ("M", "F", "O"):
        header.PatientSex = ""
    for element in header:
        if element.VR == "PN" and element.value and isinstance(element.value, PersonName):
            element.value = PersonName(str(element.value))
    header.SpecificCharacterSet = UTF_8


def _without_identity(header: Any, uid_root: str) -> Any:
    """Return a copy that says how the image was made and where it lies; its UIDs are others, the same each time."""
    from pydicom.dataset import Dataset

    kept = Dataset()
    for element in header:
        if element.tag.group in _TECHNICAL_GROUPS or element.keyword in _TECHNICAL:
            kept.add(element)
    kept.file_meta = header.file_meta
    for keyword in _UIDS:
        if kept.get(keyword):
            setattr(kept, keyword, derived_uid(uid_root, "anonymous", kept.get(keyword)))
    # Not from the patient's number: whoever tries all numbers would find it.
    kept.PatientID = "ANON-" + hashlib.sha256(kept.StudyInstanceUID.encode()).hexdigest()[:12]
    kept.PatientIdentityRemoved = "YES"
    kept.DeidentificationMethod = "patient and study left out, UIDs replaced"
    _complete(kept)
    return kept
