"""Echo sequences in NIfTI and MetaImage, as CAMUS has them."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.frame_timing import POSSIBLE_INTERVAL_MS
from ..data.geometry import nifti_affine
from ..data.integrity import check_claimed_size, check_compressed, check_kind
from ..errors import UnusableFileError
from .camus import read_info
from .frames import FrameSource, source_of

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".mhd", ".mha")
# NIfTI's units of time; pixdim[4] without a unit counts in whichever of s and ms is possible.
MILLISECONDS = {"sec": 1000.0, "msec": 1.0, "usec": 0.001}


def open_sequence(path: str | os.PathLike[str]) -> FrameSource:
    """Return the cine in a NIfTI or MetaImage file of columns x rows x frames.

    The frame rate is that of the `Info_4CH.cfg` (or 2CH) beside it, as CAMUS has it, else pixdim[4] of a NIfTI file.

    Raises:
        UnusableFileError: if the file is damaged, no sequence of 2D frames, or no image.
    """
    check_kind(path, "a NIfTI or MetaImage sequence")
    check_compressed(path)
    is_nifti = Path(path).name.lower().endswith((".nii", ".nii.gz"))
    values, spacing, step = _nifti(path) if is_nifti else _metaimage(path)
    colour = values.ndim == 4 and values.shape[-1] == 3
    if values.ndim != (4 if colour else 3):
        raise UnusableFileError(
            f"{path}: expected a sequence of 2D frames, found {' x '.join(map(str, values.shape[::-1]))} values; "
            "choose the cine."
        )
    levels, notes, doubts = eight_bit_levels(values, path)
    frames = levels if colour else np.repeat(levels[..., None], 3, axis=3)
    interval, source = _interval_of_info(Path(path))
    if interval is None:
        interval, source = step, "pixdim[4]" if step else ""
    aspect = spacing[0] / spacing[1] if min(spacing) > 0 else 1.0
    return source_of(frames, interval, source, aspect).noting(notes, doubts)


def _nifti(path: str | os.PathLike[str]) -> tuple[NDArray, tuple[float, float], float | None]:
    """Return (T, H, W) or (T, H, W, 3), the spacing of columns and rows, and milliseconds a frame."""
    import nibabel

    try:
        image: Any = nibabel.load(os.fspath(path))
        header, shape = image.header, image.shape
    except Exception as error:  # nibabel has many
        raise UnusableFileError(
            f"{path}: expected a NIfTI sequence, found a damaged header ({type(error).__name__}); copy it again."
        ) from None
    check_claimed_size(path, shape, image.get_data_dtype().itemsize)
    if "sform_code" in header and header["sform_code"] > 0 and header["qform_code"] > 0:
        nifti_affine(image, path)
    try:
        values = np.asarray(image.dataobj)
    except Exception as error:
        raise UnusableFileError(
            f"{path}: expected a NIfTI sequence, found damaged pixels ({type(error).__name__}); copy it again."
        ) from None
    if values.dtype.names:  # RGB24
        values = np.stack([values[name] for name in values.dtype.names[:3]])
        frames = np.moveaxis(values.squeeze().T, -1, 3) if values.squeeze().ndim == 4 else values.T
    else:
        frames = values.squeeze().T  # x, y, t to t, y, x
    zooms = header.get_zooms()
    return frames, (float(zooms[0]), float(zooms[1])), _step_ms(header, len(shape))


def _step_ms(header: Any, dimensions: int) -> float | None:
    """Return pixdim[4] in milliseconds; None where there is none or it is impossible."""
    if dimensions < 4 or not hasattr(header, "get_xyzt_units"):
        return None
    value, unit = float(header.get_zooms()[3]), header.get_xyzt_units()[1]
    scales = [MILLISECONDS[unit]] if unit in MILLISECONDS else [1000.0, 1.0]
    # 1 is what headers hold that nobody filled.
    possible = [value * scale for scale in scales if _is_possible(value * scale)]
    return None if (value == 1 and unit not in MILLISECONDS) or len(possible) != 1 else possible[0]


def _metaimage(path: str | os.PathLike[str]) -> tuple[NDArray, tuple[float, float], None]:
    import SimpleITK

    try:
        image = SimpleITK.ReadImage(os.fspath(path))
    except RuntimeError:
        raise UnusableFileError(
            f"{path}: expected a MetaImage sequence with its .raw file beside it, found it unreadable; copy both again."
        ) from None
    return SimpleITK.GetArrayFromImage(image).squeeze(), image.GetSpacing()[:2], None


def _interval_of_info(path: Path) -> tuple[float | None, str]:
    """Return milliseconds a frame and the name of the CAMUS info file that gives the frame rate of this view."""
    view = re.search(r"_([24]CH)_", path.name, re.IGNORECASE)
    info = path.with_name(f"Info_{view[1].upper()}.cfg") if view else None
    if info is None or not info.is_file():
        return None, ""
    try:
        interval = 1000 / float(read_info(info).get("FrameRate", ""))
    except (ValueError, ZeroDivisionError):
        return None, ""
    return (interval, f"FrameRate in {info.name}") if _is_possible(interval) else (None, "")


def _is_possible(interval_ms: float) -> bool:
    return POSSIBLE_INTERVAL_MS[0] <= interval_ms <= POSSIBLE_INTERVAL_MS[1]


# The brightest pixel of a recording fills this fraction of its range at least; else the range is a guess.
FILLED = 0.6


def eight_bit_levels(
    values: NDArray, path: str | os.PathLike[str]
) -> tuple[NDArray[np.uint8], tuple[str, ...], tuple[str, ...]]:
    """Return grey levels from 0 to 255, notes on what was done to them and doubts about it.

    Levels from 0 to 255 stay as they are; decimal numbers from 0 to 1, and whole ones of 10, 12, 14 or 16 bits, are
    scaled.

    Raises:
        UnusableFileError: if levels are not finite, negative (decibels, a difference) or beyond 16 bits.
    """
    if values.dtype == np.uint8:
        return values, (), ()
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high) and 0 <= low <= high < 1 << 16):
        raise UnusableFileError(
            f"{path}: expected grey levels from 0 to 255, found {low:g} to {high:g}; export the images, not "
            "decibels or other quantities."
        )
    decimal = np.issubdtype(values.dtype, np.floating)
    if high < 256 and not (decimal and high <= 1):
        return np.clip(np.rint(values), 0, 255).astype(np.uint8), (), ()
    if high <= 1:
        top, name = 1.0, "0 to 1"
    else:
        bits = next(count for count in (10, 12, 14, 16) if high < 1 << count)
        top, name = float((1 << bits) - 1), f"{bits} bits"
    doubts = () if high >= FILLED * top else (f"grey levels up to {high:g} were taken as {name}",)
    scaled = np.rint(values * (255 / top)).astype(np.uint8)
    return scaled, (f"grey levels were scaled from {name} to 8 bits",), doubts
