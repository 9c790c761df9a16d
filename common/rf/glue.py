"""GLUE: displacement of all pixels at once from one regularised linear system."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.ndimage import correlate1d, map_coordinates, spline_filter, uniform_filter

from .levelling import Speckle, level_amplitude, measure_speckle
from .ncc import local_correlation
from .periods import torn_off

# Central difference of eighth order: exact to 3 % at 4 samples a period, to .1 % at 6.
_DERIVATIVE = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280], dtype=np.float32)
# Where the local data terms fall below this fraction of their mean, steps are damped to it: no answer can be read there
# anyway, and the system stays as easy to solve as elsewhere.
_LEAST_DATA = 0.1
_MOST_ITERATIONS = 500


@dataclass(frozen=True)
class GlueSettings:
    """How smooth the displacement is.

    The publication gives four weights for frames divided by their largest value; which ones suit depends on the array.
    The rule here states lengths instead: the displacement is smooth over `axial_periods` periods of the pulse along
    depth and over `lateral_beams` standard deviations of the beam across lines, both measured in the frames. It is
    smooth in its second derivatives, not in its first: a wave of n lengths (2 pi a period) keeps n^4 / (n^4 + 1) of its
    height and not n^2 / (n^2 + 1), so that noise goes and an inclusion's strain stays. Chosen on simulated pairs of
    many arrays; the bundle's `docs/experiments.md` has the figures.

    Attributes:
        axial_periods, lateral_beams: lengths over which the displacement is smooth; positive.
        lateral_fraction: weights of the lateral displacement over those of the axial one, as in the publication.
        weights: alpha 1, beta 1, alpha 2, beta 2 of the publication, of first derivatives, in place of the rule; the
            frames are then divided by the largest value of the first and not levelled, and every pixel counts alike.
        linearisations: how often the second frame is expanded around the result; the publication does it once.
        tolerance: largest correction, in samples and lines, at which the solver stops.

    Raises:
        ValueError: if a length is not positive.
    """

    axial_periods: float = 5.0
    lateral_beams: float = 1.25
    lateral_fraction: float = 0.2
    weights: tuple[float, float, float, float] | None = None
    linearisations: int = 2
    tolerance: float = 5e-5

    def __post_init__(self) -> None:
        if min(self.axial_periods, self.lateral_beams, self.lateral_fraction) <= 0:
            raise ValueError(
                "axial_periods, lateral_beams, lateral_fraction: expected positive numbers, found "
                f"{self.axial_periods}, {self.lateral_beams}, {self.lateral_fraction}"
            )


PUBLISHED = GlueSettings(weights=(5.0, 5.0, 1.0, 1.0), linearisations=1)


def glue_displacement(first: NDArray, second: NDArray, start: NDArray, settings: GlueSettings | None = None) -> NDArray:
    """Return the displacement (2, H, W), lateral in lines and axial in samples, of least data and smoothness terms.

    Bright reflectors and depth gain are taken out of the frames first (:func:`level_amplitude`), and pixels count by
    the square of their frames' correlation. The normal equations of the linearised cost are solved by conjugate
    gradients. The preconditioner is the same system with the squared image gradients replaced by their mean: a cosine
    transform diagonalises it, so the number of iterations depends little on the size of the frames and the smoothness.
    Smoothness is of the difference from the mean strain, which takes out most of the bias.

    Args:
        first, second: RF frames (H, W) of one size, axial first.
        start: displacement (2, H, W) within about a quarter of a period of the true one, from NCC or a network; where
            the frames do not agree after it, and in small parts that are torn off the motion around them
            (:func:`torn_off`), it is replaced by a smooth continuation.
        settings: smoothness.

    Raises:
        ValueError: if sizes differ or the first frame is 0 everywhere.

    References:
        Hashemi and Rivaz, Global time-delay estimation in ultrasound elastography, IEEE TUFFC 64(10), 2017, eq. 6
        and 7 and the normal equations that follow from them. Second derivatives: Ashikuzzaman and Rivaz, Second-order
        ultrasound elastography with L1-norm spatial regularization, IEEE TUFFC 69(3), 2022.
    """
    chosen = settings or GlueSettings()
    if not first.shape == second.shape == start.shape[1:]:
        raise ValueError(f"first, second, start: expected one size, found {first.shape}, {second.shape}, {start.shape}")
    largest = float(np.abs(first).max())
    if largest == 0:
        raise ValueError("first: expected a frame with signal, found 0 everywhere")
    if chosen.weights:
        fixed, moving = (np.asarray(frame / largest, dtype=np.float32) for frame in (first, second))
        speckle = None
    else:
        speckle = measure_speckle(first)
        fixed, moving = (level_amplitude(frame, speckle) for frame in (first, second))
    spline = spline_filter(moving, order=3, mode="mirror", output=np.float32)
    field = np.asarray(start, dtype=np.float32)
    kept = 1 - torn_off(field[1], speckle).astype(np.float32) if speckle else None
    for number in range(chosen.linearisations):
        last = number == chosen.linearisations - 1
        system, residual = _linearised(fixed, spline, field, speckle, chosen, kept)
        if number == 0 and speckle:
            # Where this changes the field, the data terms hardly count: they need not be made again.
            field = system.continued(field)
        if not residual.any():  # no pixel is left to read a step from
            break
        # All but the last result are only places to expand around.
        field = field + system.solve(system.right(field, residual), chosen.tolerance if last else 1e-2)
    return field


def _linearised(
    fixed: NDArray,
    spline: NDArray,
    field: NDArray,
    speckle: Speckle | None,
    settings: GlueSettings,
    kept: NDArray | None,
) -> tuple["GlueSystem", NDArray]:
    """Return the system around `field`, and gradient times residual (2, H, W)."""
    height, width = fixed.shape
    rows = np.arange(height, dtype=np.float32)[:, None] + field[1]
    columns = np.arange(width, dtype=np.float32)[None] + field[0]
    counts = ((rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)).astype(np.float32)
    fetched = map_coordinates(spline, [rows, columns], order=3, prefilter=False, mode="mirror")
    if speckle and kept is not None:
        counts *= kept * np.clip(local_correlation(fixed, fetched, speckle.window), 0, 1) ** 2
    gradient = np.stack([correlate1d(fetched, _DERIVATIVE, axis, mode="mirror") for axis in (1, 0)])
    if settings.weights or speckle is None:
        alpha, beta, other_alpha, other_beta = settings.weights or (5.0, 5.0, 1.0, 1.0)
        system = GlueSystem(gradient, counts, np.array([[other_beta, other_alpha], [beta, alpha]]))
    else:
        weights, data = _rule(fixed, gradient, counts, speckle, settings)
        system = GlueSystem(gradient, counts, weights, damped=True, data=data)
    return system, counts * gradient * (fixed - fetched)


def _rule(
    fixed: NDArray, gradient: NDArray, counts: NDArray, speckle: Speckle, settings: GlueSettings
) -> tuple[NDArray, NDArray]:
    """Return the weights (2, 2) of the settings' lengths and the data terms (2,) they hold for."""
    total = float(counts.sum()) or 1.0
    power, slope = float((counts * fixed**2).sum()) / total, float((counts * gradient[1] ** 2).sum()) / total
    # A data term g^2 and a weight w smooth over sqrt(w / g^2) pixels, and a period is 2 pi sqrt(power / slope) samples.
    down = (2 * np.pi * settings.axial_periods) ** 2 * power
    across = (settings.lateral_beams * speckle.beam_lines) ** 2 * slope
    both = np.array([settings.lateral_fraction, 1.0])
    least = np.finfo(np.float32).tiny
    return both[:, None] * np.array([across, down]) + least, both * slope + least


class GlueSystem:
    """The normal equations: data terms of each pixel and smoothness with free borders.

    Args:
        gradient: (2, H, W) lateral and axial gradient of the fetched frame.
        counts: (H, W) weight of each pixel's data term.
        weights: (2, 2) smoothness of the lateral, then the axial displacement; across, then down.
        damped: steps are damped where the data say nothing.
        data: (2,) data terms for which `weights` give the lengths; the weighted sum of second derivatives is then
            smooth, its square over the data term. None: first derivatives are.
    """

    def __init__(
        self,
        gradient: NDArray,
        counts: NDArray,
        weights: NDArray,
        damped: bool = False,
        data: NDArray | None = None,
    ) -> None:
        self.weights = np.asarray(weights, dtype=np.float32)
        self._data = None if data is None else np.asarray(data, dtype=np.float32)
        self.squares = (counts * gradient**2).astype(np.float32)
        self.cross = (counts * gradient[0] * gradient[1]).astype(np.float32)
        self.supported = np.ones_like(self.squares)
        if damped:
            self._damp()
        means = self.squares.mean((1, 2))
        self._eigenvalues = np.stack([mean + self._smoothness(k) for k, mean in enumerate(means)]).astype(np.float32)

    def _damp(self) -> None:
        for k, square in enumerate(self.squares):
            least = _LEAST_DATA * float(square.mean()) + np.finfo(np.float32).tiny
            local = uniform_filter(square, (41, 5))
            self.supported[k] = np.clip(local / least, 0, 1)
            square += np.maximum(least - local, 0)

    def _smoothness(self, component: int) -> NDArray:
        """Return the eigenvalues (H, W) of the smoothness in the cosine basis."""
        first = self._first_order(component)
        return first if self._data is None else first**2 / float(self._data[component])

    def _first_order(self, component: int) -> NDArray:
        height, width = self.cross.shape
        down = 2 - 2 * np.cos(np.pi * np.arange(height) / height)[:, None]
        across = 2 - 2 * np.cos(np.pi * np.arange(width) / width)[None]
        return self.weights[component, 0] * across + self.weights[component, 1] * down

    def apply(self, step: NDArray) -> NDArray:
        """Return the system times a step (2, H, W)."""
        out = self.squares * step + self._rough(step)
        out[0] += self.cross * step[1]
        out[1] += self.cross * step[0]
        return out

    def right(self, field: NDArray, data: NDArray) -> NDArray:
        """Return the right side around `field` from gradient times residual; smoothness is about the mean strain."""
        bent = np.array(field, dtype=np.float32)
        strain = (field[1, -1].mean() - field[1, 0].mean()) / (field.shape[1] - 1)
        bent[1] -= np.float32(strain) * np.arange(field.shape[1], dtype=np.float32)[:, None]
        return data - self._rough(bent)

    def solve(self, right: NDArray, tolerance: float) -> NDArray:
        """Return the step (2, H, W) that solves the system, by preconditioned conjugate gradients."""
        step, residual = np.zeros_like(right), right.astype(np.float32)
        correction = self._precondition(residual)
        direction, norm = correction.copy(), float(np.vdot(residual, correction))
        for _ in range(_MOST_ITERATIONS):
            if np.abs(correction).max() <= tolerance:
                break
            applied = self.apply(direction)
            length = np.float32(norm / float(np.vdot(direction, applied)))
            step += length * direction
            residual -= length * applied
            correction = self._precondition(residual)
            before, norm = norm, float(np.vdot(residual, correction))
            direction *= np.float32(norm / before)
            direction += correction
        return step

    def continued(self, field: NDArray) -> NDArray:
        """Return `field` where the data support it, and its smooth continuation about the mean strain elsewhere."""
        rows = np.linspace(-1, 1, field.shape[1], dtype=np.float32)[:, None]
        out = np.empty_like(field)
        for k, (values, trust) in enumerate(zip(field, self.supported, strict=True)):
            total = trust.sum() + 1e-6
            middle, mean = (trust * rows).sum() / total, (trust * values).sum() / total
            slope = (trust * (rows - middle) * (values - mean)).sum() / ((trust * (rows - middle) ** 2).sum() + 1e-6)
            trend = mean + (slope if k == 1 else 0) * (rows - middle)
            weight = np.stack([trust * (values - trend), trust])
            low = _LEAST_DATA * float(self.squares[k].mean()) + float(np.finfo(np.float32).tiny)
            # First derivatives, because the kernel of second ones goes below 0 and would overshoot.
            spread, reached = _transformed(weight, (low + self._first_order(k)).astype(np.float32))
            fill = trend + spread / np.maximum(reached, 1e-6 * max(float(reached.max()), 1e-30))
            out[k] = trust * values + (1 - trust) * fill
        return out

    def _precondition(self, residual: NDArray) -> NDArray:
        return _transformed(residual, self._eigenvalues)

    def _rough(self, field: NDArray) -> NDArray:
        """Return the derivative of the smoothness terms."""
        once = self._laplacian(field)
        return once if self._data is None else self._laplacian(once) / self._data[:, None, None]

    def _laplacian(self, field: NDArray) -> NDArray:
        """Return the weighted negative Laplacian with free borders."""
        out = np.zeros_like(field)
        for values, result, (across, down) in zip(field, out, self.weights, strict=True):
            slope = down * np.diff(values, axis=0)
            result[:-1] -= slope
            result[1:] += slope
            slope = across * np.diff(values, axis=1)
            result[:, :-1] -= slope
            result[:, 1:] += slope
        return out


def _transformed(values: NDArray, eigenvalues: NDArray) -> NDArray:
    spectrum = dctn(values, axes=(1, 2), norm="ortho")
    spectrum /= eigenvalues
    return idctn(spectrum, axes=(1, 2), norm="ortho", overwrite_x=True)
