"""RF without depth gain and bright reflectors: divided by its local amplitude."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, ifft, rfft
from scipy.ndimage import maximum_filter1d, uniform_filter, uniform_filter1d

# Amplitude below the brightest pixel (90 dB) at which there is no signal left to level.
_FLOOR = 10 ** (-90 / 20)
# Amplitude over the local one from which on an echo is compressed.
_REFLECTOR = 2.0
_WINDOW_PERIODS, _WINDOW_LINES = 15, 9
_CONSTANT_PERIODS = 4
_CORRELATED_PERIODS, _CORRELATED_LINES = 10, 3
# The mean of a speckle's power over its geometric mean: exp(Euler's gamma), of an exponential distribution.
_GEOMETRIC = 1.781


class Speckle(NamedTuple):
    """What an array makes of a point, measured in a frame.

    Attributes:
        period_samples: samples a period of the pulse.
        beam_lines: standard deviation of the lateral beam profile in lines, from .5 to 6.
    """

    period_samples: float
    beam_lines: float

    @property
    def window(self) -> tuple[int, int]:
        """Samples and lines over which frames are correlated: ten periods by three lines, odd numbers."""
        return 2 * int(_CORRELATED_PERIODS * self.period_samples / 2) + 1, _CORRELATED_LINES


def measure_speckle(frame: NDArray) -> Speckle:
    """Return period and beam of an RF frame (H, W).

    The period is the mean of the power spectrum, weighted by its square so that noise hardly counts. The beam is that
    of a Gaussian profile, whose RF is correlated by exp(-(k / 2 sigma)^2) over k lines; one and two lines together
    leave out what noise takes from both.
    """
    values = _levelled(frame, (121, _WINDOW_LINES), 33)
    power = (np.abs(rfft(values, axis=0)) ** 2).mean(1) ** 2
    cycles = float((np.arange(len(power)) * power).sum() / max(power.sum(), 1e-30))
    return Speckle(len(values) / max(cycles, 1.0), _beam_lines(values))


def level_amplitude(frame: NDArray, speckle: Speckle | None = None) -> NDArray:
    """Return an RF frame (H, W) over its local amplitude, float32: no depth gain, bright reflectors compressed.

    The local amplitude is the geometric mean of the envelope over 15 periods by 9 lines, which a reflector hardly
    raises for its neighbours; echoes of more than twice that amplitude are brought down to it. The running mean over 4
    periods is taken out, so that a constant, whatever its value, is no signal and becomes 0; and so is an echo that is
    the same on all lines (:func:`_without_flat_echoes`).
    """
    chosen = speckle or measure_speckle(frame)
    window, constant = (2 * int(n * chosen.period_samples / 2) + 1 for n in (_WINDOW_PERIODS, _CONSTANT_PERIODS))
    return _levelled(frame, (window, _WINDOW_LINES), constant)


def _levelled(frame: NDArray, window: tuple[int, int], constant_samples: int) -> NDArray:
    # In float64, where a running mean leaves nothing of a constant.
    alternating = np.asarray(frame, dtype=float)
    alternating = _without_flat_echoes(
        alternating - uniform_filter1d(alternating, constant_samples, axis=0), constant_samples
    )
    largest = float(np.abs(alternating).max())
    if largest <= 1e-9 * float(np.abs(frame).max()):
        return np.zeros(frame.shape, dtype=np.float32)
    values = (alternating / largest).astype(np.float32)
    values[np.abs(values) < _FLOOR / 100] = 0
    power = _envelope_power(values)
    floor = np.float32(_FLOOR**2 * float(power.max()))
    local = np.float32(_GEOMETRIC) * np.exp(uniform_filter(np.log(power + floor), window))
    return values * np.sqrt(2 / (local + power / np.float32(_REFLECTOR**2)))


def _without_flat_echoes(values: NDArray, samples: int) -> NDArray:
    """Return (H, W) without the mean of the lines around depths at which it is most of the power.

    There the probe or a flat wall echoes again and again (reverberation): such an echo does not move with the tissue
    and outshines its speckle. Half the way from what the mean has of the power in the frame (in speckle one in the
    number of independent lines, in layers all of it) to all of it is too much.

    Args:
        values: RF that swings about zero.
        samples: over which power is averaged, and by which an echo is continued, fading over as many.
    """
    mean = values.mean(1)
    power = uniform_filter1d((values**2).mean(1), samples)
    least = _FLOOR**2 * max(float(power.max()), np.finfo(float).tiny)
    part = uniform_filter1d(mean**2, samples) / np.maximum(power, least)
    flat = (part > (1 + np.median(part)) / 2).astype(float)
    if not flat.any():
        return values
    weight = uniform_filter1d(maximum_filter1d(flat, 2 * samples + 1), samples)
    return np.asarray(values - (weight * mean)[:, None])


def _envelope_power(values: NDArray) -> NDArray:
    """Return the squared magnitude of the analytic signal along depth (Marple 1999)."""
    count = len(values)
    weights = np.zeros(count, dtype=np.float32)
    weights[0], weights[1 : (count + 1) // 2] = 1, 2
    if count % 2 == 0:
        weights[count // 2] = 1
    spectrum = fft(values, axis=0)
    spectrum *= weights[:, None]
    signal = ifft(spectrum, axis=0, overwrite_x=True)
    return signal.real**2 + signal.imag**2


def _beam_lines(values: NDArray) -> float:
    if values.shape[1] < 3:
        return 1.0
    energy = max(float((values**2).mean()), 1e-30)
    one, two = (max(float((values[:, k:] * values[:, :-k]).mean()) / energy, 1e-3) for k in (1, 2))
    return float(np.clip(np.sqrt(3 / (4 * max(np.log(one / two), 1e-3))), 0.5, 6.0))
