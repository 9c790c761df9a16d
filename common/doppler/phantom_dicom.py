"""DICOM files, written by pydicom 2 or 3."""

import os
from typing import Any


def save_dicom(dataset: Any, path: str | os.PathLike[str]) -> None:
    """Write `dataset`, in little endian with explicit types, as a file with preamble and meta information."""
    import pydicom

    if int(pydicom.__version_info__[0]) < 3:
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.save_as(path, write_like_original=False)
    else:
        dataset.save_as(path, enforce_file_format=True)
