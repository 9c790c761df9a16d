"""GLUE: displacement of all pixels at once from one regularised linear system."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.ndimage import map_coordinates, spline_filter
from scipy.sparse.linalg import LinearOperator, cg

from .ncc import Track


@dataclass(frozen=True)
class GlueSettings:
    """Weights of the smoothness terms, for frames divided by the largest value of the first.

    The publication's weights suit frames of many closely spaced lines; with a line each .3 mm the lateral ones blur an
    inclusion across its rim, and lateral weights a hundredth as large gave the best contrast on simulated pairs.

    Attributes:
        axial_axial, axial_lateral: alpha 1 and beta 1, of the axial displacement along depth and across lines.
        lateral_axial, lateral_lateral: alpha 2 and beta 2, of the lateral displacement.
        linearisations: how often the second frame is expanded around the result; the publication does it once.
        subtract_mean_strain: smoothness is of the difference from the mean strain, which takes out most of the bias.
        tolerance: relative residual at which the solver stops.
    """

    axial_axial: float = 5.0
    axial_lateral: float = 5.0
    lateral_axial: float = 1.0
    lateral_lateral: float = 1.0
    linearisations: int = 1
    subtract_mean_strain: bool = True
    tolerance: float = 1e-5


def glue_displacement(
    first: NDArray, second: NDArray, start: Track, settings: GlueSettings | None = None
) -> tuple[NDArray, NDArray]:
    """Return axial and lateral displacement (H, W) in samples and lines that minimise data and smoothness terms.

    The normal equations of the linearised cost are solved by conjugate gradients. The preconditioner is the same
    system with the squared image gradients replaced by their mean: a cosine transform diagonalises it, so the number of
    iterations depends little on the size of the frames and the smoothness weights.

    Args:
        first, second: RF frames (H, W) of one size, axial first.
        start: displacement within about a quarter of a period of the truth, such as that of `track_by_correlation`.
        settings: weights; those of the publication by default.

    Raises:
        ValueError: if sizes differ or the first frame is 0 everywhere.

    References:
        Hashemi and Rivaz, Global time-delay estimation in ultrasound elastography, IEEE TUFFC 64(10), 2017, eq. 6
        and 7 and the normal equations that follow from them.
    """
    chosen = settings or GlueSettings()
    if not first.shape == second.shape == start.axial.shape:
        raise ValueError(
            f"first, second, start: expected one size, found {first.shape}, {second.shape}, {start.axial.shape}"
        )
    largest = float(np.abs(first).max())
    if largest == 0:
        raise ValueError("first: expected a frame with signal, found 0 everywhere")
    fixed, moving = np.asarray(first, dtype=float) / largest, np.asarray(second, dtype=float) / largest
    field = np.stack([start.axial, start.lateral]).astype(float)
    for _ in range(chosen.linearisations):
        field = field + _update(fixed, moving, field, chosen)
    return field[0], field[1]


def _update(fixed: NDArray, moving: NDArray, field: NDArray, settings: GlueSettings) -> NDArray:
    """Return the change (2, H, W) of the field that solves the normal equations around it."""
    residual, gradient = _linearised(fixed, moving, field)
    weights = (
        (settings.axial_axial, settings.axial_lateral),
        (settings.lateral_axial, settings.lateral_lateral),
    )
    trend = _mean_strain_pull(field, weights) if settings.subtract_mean_strain else 0.0
    right = gradient * residual - np.stack([_rough(f, w) for f, w in zip(field, weights, strict=True)]) + trend

    def apply(flat: NDArray) -> NDArray:
        step = flat.reshape(field.shape)
        data = gradient * (gradient * step).sum(0)
        return (data + np.stack([_rough(f, w) for f, w in zip(step, weights, strict=True)])).ravel()

    eigenvalues = _mean_system(gradient, weights)

    def precondition(flat: NDArray) -> NDArray:
        spectrum = dctn(flat.reshape(field.shape), axes=(1, 2), norm="ortho") / eigenvalues
        return idctn(spectrum, axes=(1, 2), norm="ortho").ravel()

    size = field.size
    solution, _ = cg(
        LinearOperator((size, size), matvec=apply, dtype=float),
        right.ravel(),
        rtol=settings.tolerance,
        maxiter=500,
        M=LinearOperator((size, size), matvec=precondition, dtype=float),
    )
    return solution.reshape(field.shape)


def _linearised(fixed: NDArray, moving: NDArray, field: NDArray) -> tuple[NDArray, NDArray]:
    """Return residual (H, W) and gradient (2, H, W) of `moving` at the displaced places; 0 outside the frame."""
    height, width = fixed.shape
    rows, columns = np.arange(height)[:, None] + field[0], np.arange(width)[None] + field[1]
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    spline = spline_filter(moving, order=3, mode="mirror")

    def at(down: float, across: float) -> NDArray:
        return map_coordinates(spline, [rows + down, columns + across], order=3, prefilter=False, mode="mirror")

    half = 0.5
    gradient = np.stack([at(half, 0) - at(-half, 0), at(0, half) - at(0, -half)])
    return inside * (fixed - at(0, 0)), inside * gradient


def _rough(values: NDArray, weights: tuple[float, float]) -> NDArray:
    """Return the weighted negative Laplacian with free borders: the derivative of the smoothness term."""
    out = np.zeros_like(values)
    along, across = weights[0] * np.diff(values, axis=0), weights[1] * np.diff(values, axis=1)
    out[:-1] -= along
    out[1:] += along
    out[:, :-1] -= across
    out[:, 1:] += across
    return out


def _mean_strain_pull(field: NDArray, weights: tuple[tuple[float, float], tuple[float, float]]) -> NDArray:
    """Return what the mean axial strain adds to the right side: it acts on the first and last row only."""
    pull = np.zeros_like(field)
    strain = (field[0, -1].mean() - field[0, 0].mean()) / (field.shape[1] - 1)
    pull[0, 0], pull[0, -1] = -weights[0][0] * strain, weights[0][0] * strain
    return pull


def _mean_system(gradient: NDArray, weights: tuple[tuple[float, float], tuple[float, float]]) -> NDArray:
    """Return the eigenvalues (2, H, W) of the system with constant data terms in the cosine basis."""
    height, width = gradient.shape[1:]
    down = 2 - 2 * np.cos(np.pi * np.arange(height) / height)[:, None]
    across = 2 - 2 * np.cos(np.pi * np.arange(width) / width)[None]
    return np.stack([(g**2).mean() + w[0] * down + w[1] * across for g, w in zip(gradient, weights, strict=True)])
