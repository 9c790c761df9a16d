"""Contrast, ratio and noise of strain images, and errors of displacement against the truth."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def contrast_to_noise(target: ArrayLike, background: ArrayLike) -> float:
    """Return sqrt(2 (mean_b - mean_t)^2 / (var_b + var_t)) of strain in two windows (eq. 8); infinite without noise."""
    t, b = np.asarray(target, dtype=float), np.asarray(background, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt(2 * (b.mean() - t.mean()) ** 2 / (b.var() + t.var())))


def strain_ratio(target: ArrayLike, background: ArrayLike) -> float:
    """Return the mean strain of the target over that of the background (eq. 8)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.asarray(target, dtype=float).mean() / np.asarray(background, dtype=float).mean())


def strain_signal_to_noise(strain: ArrayLike) -> float:
    """Return the absolute mean over the standard deviation of strain in a window meant to be uniform (SNRe)."""
    values = np.asarray(strain, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(abs(values.mean()) / values.std())


def error_statistics(estimate: ArrayLike, truth: ArrayLike) -> dict[str, float]:
    """Return `rmse`, `bias` (mean error) and `sd` (standard deviation of the error); rmse^2 = bias^2 + sd^2."""
    error = np.asarray(estimate, dtype=float) - np.asarray(truth, dtype=float)
    return {"rmse": float(np.sqrt(np.mean(error**2))), "bias": float(error.mean()), "sd": float(error.std())}


def window_metrics(strain: NDArray, windows: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Return CNR, SR and SNRe of a strain image for windows given by hand.

    Args:
        strain: (H, W).
        windows: `target`, `background` and optionally `uniform`, each [first row, row after the last, first column,
            column after the last].

    Returns:
        `cnr`, `sr` and `snre` (of `uniform`, or of the background if there is none).

    Raises:
        ValueError: if a window is missing, empty or reaches outside the image.
    """
    missing = {"target", "background"} - set(windows)
    if missing:
        raise ValueError(f"windows: expected 'target' and 'background', found {sorted(windows)}")
    cut = {name: _window(strain, name, bounds) for name, bounds in windows.items()}
    return {
        "cnr": contrast_to_noise(cut["target"], cut["background"]),
        "sr": strain_ratio(cut["target"], cut["background"]),
        "snre": strain_signal_to_noise(cut.get("uniform", cut["background"])),
    }


def _window(strain: NDArray, name: str, bounds: Sequence[int]) -> NDArray:
    top, bottom, left, right = (int(bound) for bound in bounds)
    if not (0 <= top < bottom <= strain.shape[0] and 0 <= left < right <= strain.shape[1]):
        raise ValueError(
            f"windows: {name} = {list(bounds)} is no part of an image of {strain.shape[0]} rows and "
            f"{strain.shape[1]} columns (expected [first row, end row, first column, end column])"
        )
    return strain[top:bottom, left:right]
