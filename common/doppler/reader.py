"""Doppler images: DICOM with calibration, PNG or JPEG without."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.ultrasound_dicom import read_ultrasound, read_ultrasound_header
from ..errors import UnusableFileError
from .calibration import Box, DopplerCalibration, spectral_calibration

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# Weights of red, green and blue in brightness, ITU-R BT.601.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class DopplerImage(NamedTuple):
    """A screen with its trace.

    Attributes:
        pixels: (H, W) float32 brightness in [0, 1].
        box: min_x, min_y, max_x, max_y of the trace, all inside; the whole image where the file does not say.
        calibration: None where the file does not say.
    """

    pixels: NDArray[np.float32]
    box: Box
    calibration: DopplerCalibration | None


def read_doppler(path: str | os.PathLike[str]) -> DopplerImage:
    """Return the brightness, trace and calibration of a Doppler image; of several frames the last, which is full.

    Grey pictures of 16 bits are divided by 65,535.

    Args:
        path: DICOM file, or a picture (PNG, JPEG, BMP, TIFF).

    Raises:
        UnusableFileError: if the file is damaged or no ultrasound image; as :class:`CalibrationError` if its
            calibration is missing or unclear.
    """
    if is_picture(path):
        pixels = _read_picture(path)
        height, width = pixels.shape
        return DopplerImage(pixels, (0, 0, width - 1, height - 1), None)
    image = read_ultrasound(path)
    frame = image.frames[-1].astype(np.float32) / 255
    pixels = (frame @ LUMA).astype(np.float32) if frame.ndim == 3 else frame
    height, width = pixels.shape
    box, calibration = spectral_calibration(image.regions, (height, width), path)
    return DopplerImage(pixels, box, calibration)


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Return whether the name is that of a picture; any other is taken as DICOM."""
    return Path(path).suffix.lower() in PICTURE_SUFFIXES


def check_doppler(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return height and width from the header, after a look at whether the file can serve; no pixel is decoded.

    Raises:
        UnusableFileError: if the file is damaged or of another kind, or, as :class:`CalibrationError`, if a DICOM
            file has no clear calibration.
    """
    if is_picture(path):
        from PIL import Image

        try:
            with Image.open(path) as picture:
                return picture.height, picture.width
        except FileNotFoundError:
            raise
        except Exception as error:
            raise UnusableFileError(f"{path}: expected a picture, found {type(error).__name__} ({error}).") from error
    size, regions = read_ultrasound_header(path)
    spectral_calibration(regions, size, path)
    return size


def _read_picture(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.mode.startswith("I;16") or picture.mode == "I":
                return np.asarray(picture).astype(np.float32) / np.float32(65535)
            return (np.asarray(picture.convert("RGB")) @ (LUMA / 255)).astype(np.float32)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise UnusableFileError(
            f"{path}: expected a whole picture, found {type(error).__name__} ({error}); save it again."
        ) from error
