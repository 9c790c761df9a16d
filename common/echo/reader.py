"""Moving ultrasound images, whatever the file format."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.ultrasound_dicom import read_ultrasound
from ..errors import UnusableFileError
from .sector import mask_to_region
from .video import FrameSource, open_video

VIDEO_SUFFIXES = (".avi", ".mp4", ".mov", ".mkv", ".m4v", ".wmv", ".mpg", ".mpeg")
VOLUME_SUFFIXES = (".nii", ".nii.gz", ".mhd", ".mha")
DICOM_SUFFIXES = (".dcm", ".dicom", "")


def open_ultrasound_cine(path: str | os.PathLike[str]) -> FrameSource:
    """Return the cine in a video, a multi-frame ultrasound DICOM file, or a NIfTI or MetaImage sequence (CAMUS).

    What a DICOM file shows outside its calibrated tissue region (texts, ECG, names) is cut away.

    Raises:
        UnusableFileError: if the format is none of these, the file is damaged, or it holds a still image.
    """
    name = Path(path).name.lower()
    if name.endswith(VIDEO_SUFFIXES):
        return open_video(path)
    if name.endswith(VOLUME_SUFFIXES):
        return _sequence(path)
    if Path(name).suffix in DICOM_SUFFIXES or _has_dicom_preamble(path):
        return _dicom(path)
    raise UnusableFileError(
        f"{path}: expected a video ({', '.join(VIDEO_SUFFIXES)}), an ultrasound DICOM file or a sequence "
        f"({', '.join(VOLUME_SUFFIXES)}), found {Path(name).suffix!r}; export it as one of these."
    )


def is_ultrasound_cine(path: Path) -> bool:
    """Return whether a file looks like a cine by its name or, without a known suffix, by the DICOM preamble."""
    name = path.name.lower()
    if not path.is_file() or name.startswith("."):
        return False
    return name.endswith((*VIDEO_SUFFIXES, *VOLUME_SUFFIXES, ".dcm", ".dicom")) or _has_dicom_preamble(path)


def _dicom(path: str | os.PathLike[str]) -> FrameSource:
    image = read_ultrasound(path)
    if len(image.frames) < 2:
        raise UnusableFileError(f"{path}: expected a cine of several frames, found 1; choose the moving loop.")
    frames = image.frames if image.frames.ndim == 4 else np.repeat(image.frames[..., None], 3, axis=3)
    return _cine_of(mask_to_region(frames, image.regions), image.frame_interval_ms)


def _sequence(path: str | os.PathLike[str]) -> FrameSource:
    frames = _nifti_frames(path) if ".nii" in Path(path).name.lower() else _metaimage_frames(path)
    if frames.ndim != 3 or len(frames) < 2:
        raise UnusableFileError(f"{path}: expected a sequence of 2D frames, found shape {frames.shape}.")
    grey = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    return _cine_of(np.repeat(grey[..., None], 3, axis=3), None)


def _nifti_frames(path: str | os.PathLike[str]) -> NDArray:
    import nibabel

    try:
        image: Any = nibabel.load(os.fspath(path))
        return np.asarray(image.dataobj).squeeze().T  # x, y, t to t, y, x
    except FileNotFoundError:
        raise
    except Exception as error:
        raise UnusableFileError(f"{path}: expected a NIfTI sequence, found {error}; copy it again.") from error


def _metaimage_frames(path: str | os.PathLike[str]) -> NDArray:
    import SimpleITK

    if not Path(path).is_file():
        raise FileNotFoundError(path)
    try:
        return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(os.fspath(path)))
    except RuntimeError as error:
        raise UnusableFileError(
            f"{path}: expected a MetaImage sequence with its .raw file beside it, found it unreadable; copy both again."
        ) from error


def _cine_of(frames: NDArray[np.uint8], frame_interval_ms: float | None) -> FrameSource:
    def read(indices: Sequence[int]) -> NDArray[np.uint8]:
        return frames[list(indices)]

    return FrameSource(len(frames), frame_interval_ms, read)


def _has_dicom_preamble(path: Any) -> bool:
    with open(path, "rb") as stream:
        return stream.read(132)[128:] == b"DICM"
