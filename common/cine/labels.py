"""Left-ventricular ejection fraction from contours or masks by summation of discs, and the class it makes."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ..errors import UnusableFileError


def hf_class(ef_percent: float, threshold_percent: float = 50.0) -> int:
    """Return 1 (HFrEF) if the ejection fraction is below the threshold, else 0 (HFpEF).

    Raises:
        ValueError: if the ejection fraction or the threshold is not between 0 and 100 %.
    """
    if not 0.0 < threshold_percent < 100.0:
        raise ValueError(f"expected an EF threshold between 0 and 100 %, found {threshold_percent}.")
    if not 0.0 <= ef_percent <= 100.0:
        raise ValueError(f"expected an ejection fraction in percent, found {ef_percent}.")
    return int(ef_percent < threshold_percent)


def ejection_fraction(diastolic_volume: float, systolic_volume: float) -> float:
    """Return 100 (D - S) / D in percent, for two volumes in the same unit.

    Raises:
        ValueError: if the diastolic volume is not larger than the systolic one, or that negative.
    """
    if not diastolic_volume > systolic_volume >= 0:
        raise ValueError(
            f"expected a diastolic volume and a smaller systolic one, found {diastolic_volume:g} and "
            f"{systolic_volume:g}; are they exchanged, or of one frame?"
        )
    return 100.0 * (diastolic_volume - systolic_volume) / diastolic_volume


def ejection_fraction_from_masks(diastole: np.ndarray, systole: np.ndarray) -> float:
    """Return the ejection fraction in percent from two boolean masks of the cavity on the same grid of voxels.

    Raises:
        ValueError: if the shapes differ or the diastolic cavity is not the larger one.
    """
    if diastole.shape != systole.shape:
        raise ValueError(f"expected masks of one shape, found {diastole.shape} and {systole.shape}.")
    return ejection_fraction(float(np.count_nonzero(diastole)), float(np.count_nonzero(systole)))


def polygon_area(points: np.ndarray) -> float:
    """Return the area inside a closed polygon, (N, 2) corners in order (shoelace formula), in squared units."""
    x, y = np.asarray(points, dtype=np.float64).T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2.0)


def ejection_fraction_from_contours(
    contours: Mapping[int, np.ndarray], positions: Mapping[int, tuple[int, int]], frames: int
) -> float:
    """Return the ejection fraction in percent from endocardial contours by summation of discs; the voxel size cancels.

    The contours lie in two phases; the one with the larger volume is end-diastole. A contour whose frame is neither of
    the two commonest counts for the nearer one on the circle of the heart beat.

    Args:
        contours: image number -> (N, 2) endocardial contour, x (column) and y (row) in pixels.
        positions: image number -> (slice, frame).
        frames: frames of the heart beat, T.

    Raises:
        ValueError: if a contour has no image, or there are not two phases.
    """
    stray = sorted(set(contours) - set(positions))
    if stray:
        raise ValueError(f"contours {stray} have no image of that number.")
    phases = [phase for phase, _ in Counter(positions[number][1] for number in contours).most_common(2)]
    if len(phases) < 2:
        raise ValueError("expected contours at end-diastole and end-systole, found them in one phase only.")
    volumes = [0.0, 0.0]
    for number, contour in contours.items():
        away = [_circular_distance(positions[number][1], phase, frames) for phase in phases]
        volumes[int(np.argmin(away))] += polygon_area(contour)
    return ejection_fraction(max(volumes), min(volumes))


def diastolic_slices(contours: Mapping[int, np.ndarray], positions: Mapping[int, tuple[int, int]]) -> set[int]:
    """Return the slices with a contour in the phase where the contours enclose most: end-diastole."""
    totals: Counter[int] = Counter()
    for number, contour in contours.items():
        totals[positions[number][1]] += round(polygon_area(contour) * 1000)
    diastole = max(totals, key=lambda frame: (totals[frame], frame))
    return {positions[number][0] for number in contours if positions[number][1] == diastole}


def read_contours(files: Iterable[str | os.PathLike[str]]) -> dict[int, np.ndarray]:
    """Return image number -> (N, 2) contour from Sunnybrook text files (`IM-0001-0048-icontour-manual.txt`).

    Only the last number of the name tells the image: the series number in it is not the image's.

    Raises:
        UnusableFileError: if a name has no number, or the file is no list of at least three x y pairs.
    """
    return {_image_number(Path(file)): _read_contour(Path(file)) for file in files}


def _image_number(path: Path) -> int:
    numbers = re.findall(r"\d+", path.stem)
    if not numbers:
        raise UnusableFileError(f"{path}: expected an image number in the name (IM-0001-0048-icontour-manual.txt).")
    return int(numbers[-1])


def _read_contour(path: Path) -> np.ndarray:
    try:
        points = np.array([line.split() for line in path.read_text().splitlines() if line.strip()], dtype=np.float64)
    except ValueError as error:
        raise UnusableFileError(f"{path}: expected lines of x y in pixels, found something else ({error}).") from error
    if points.ndim != 2 or points.shape[0] < 3 or points.shape[1] != 2:
        raise UnusableFileError(f"{path}: expected at least 3 lines of x y in pixels, found shape {points.shape}.")
    return points


def _circular_distance(first: int, second: int, period: int) -> int:
    away = abs(first - second) % period
    return min(away, period - away)
