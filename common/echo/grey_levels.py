"""Grey levels of files that do not say what their numbers mean, brought to 0 to 255."""

import os

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError

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
