"""Where a volume lies in space, from a header that can say it twice."""

import logging
import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError
from .listing import printable

# Far less than a voxel of any scanner: what direction cosines with five decimals shift across a field of view.
TOLERANCE_MM = 0.1
_REMEDY = "correct the header with the program that wrote it, or convert the scanner's files again"

logger = logging.getLogger(__name__)


def nifti_affine(image: Any, path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Return the affine (4, 4) from voxel index to mm in RAS of an image that nibabel opened.

    A NIfTI header can state it twice. With one valid statement (a code above 0) that one is taken; two must agree at
    every corner of the volume. Without any the voxel sizes alone are taken (method 1 of the standard) and a warning is
    logged: the volume's orientation is unknown then. Shear is left to the callers.

    Raises:
        UnusableFileError: if the two statements disagree, or the affine is not finite or has a voxel without extent.

    References:
        https://nifti.nimh.nih.gov/nifti-1/documentation/nifti1fields/nifti1fields_pages/qsform.html
    """
    header = image.header
    if not hasattr(header, "get_qform_quaternion"):
        return _usable(np.asarray(image.affine, dtype=np.float64), path)
    sform, qform = _statement(header, "sform", path), _statement(header, "qform", path)
    if sform is not None and qform is not None:
        _check_agreement(sform, qform, header, image.shape[:3], path)
    if sform is not None:
        return sform
    if qform is not None:
        return qform
    logger.warning("%s: neither sform nor qform is valid, so its orientation is unknown", printable(path))
    sizes = [float(size) for size in header.get_zooms()[:3]]
    return _usable(np.diag([*sizes, *[1.0] * (4 - len(sizes))]), path)


def _statement(header: Any, name: str, path: str | os.PathLike[str]) -> NDArray[np.float64] | None:
    """Return the affine of "sform" or "qform", None if its code says that it is not valid."""
    try:
        affine, code = getattr(header, f"get_{name}")(coded=True)
    except ValueError as error:  # nibabel: the quaternion is longer than 1
        raise UnusableFileError(f"{path}: expected a valid {name}, found {error}; {_REMEDY}.") from error
    return _usable(np.asarray(affine, dtype=np.float64), path) if code > 0 and affine is not None else None


def _usable(affine: NDArray[np.float64], path: str | os.PathLike[str]) -> NDArray[np.float64]:
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise UnusableFileError(
            f"{path}: expected voxels of some size and place, found the affine {affine[:3].tolist()}; {_REMEDY}."
        )
    return affine


def _check_agreement(
    sform: NDArray[np.float64],
    qform: NDArray[np.float64],
    header: Any,
    shape: tuple[int, ...],
    path: str | os.PathLike[str],
) -> None:
    size = np.array([*shape, *[1] * (3 - len(shape))])
    corners = np.c_[np.array(list(np.ndindex(2, 2, 2))) * (size - 1), np.ones(8)]
    first, second = (corners @ affine[:3].T for affine in (sform, qform))
    apart_mm = np.linalg.norm(first - second, axis=1)
    # The header holds b, c, d of the quaternion in single precision, and a is the root of 1 - b^2 - c^2 - d^2: near 180
    # degrees (a = 0), usual between the axes of scanners and NIfTI, the angle is known to 2e-3, elsewhere far better.
    a = float(header.get_qform_quaternion()[0])
    uncertain_rad = 2 * (math.sqrt(a * a + 1e-6) - a)
    allowed_mm = TOLERANCE_MM + uncertain_rad * np.linalg.norm(second - second[0], axis=1)
    if (apart_mm > allowed_mm).any():
        raise UnusableFileError(
            f"{path}: its sform and qform disagree by up to {apart_mm.max():.3g} mm (sform {_words(sform)}; qform "
            f"{_words(qform)}), so it is unknown where its voxels lie; set the wrong one's code to 0, or {_REMEDY}."
        )


def _words(affine: NDArray[np.float64]) -> str:
    return " ".join(str([round(float(value), 3) for value in row]) for row in affine[:3])
