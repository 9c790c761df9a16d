"""Axial displacement without period jumps: the smoothest path through the candidates of the complex correlation."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, ifft
from scipy.ndimage import correlate1d, gaussian_filter, label, maximum_filter, median_filter, minimum_filter

from .levelling import Speckle
from .ncc import spread

# Periods between windows along depth, and windows (along depth) and columns over which the correlation is averaged.
_STEP_PERIODS, _WINDOW = 2, (5, 3)
# Price of a displacement that jumps from one window to the next, in units of correlation.
_JUMP = 1.0
_MEDIAN, _SMOOTH = (5, 5), (2, 1)
# Change from a window to the next, in periods, at which tissue is torn, and the least part of a frame that moves alone.
_TORN, _LEAST_PART = 0.75, 0.1
# Columns times samples searched that all columns are worth; of more, only each second to fourth one is.
_SEARCHED, _MOST_SKIPPED = 7700, 4


@dataclass(frozen=True)
class Baseband:
    """The complex envelope of a frame about the frequency of its pulse, with all positive frequencies up to the double.

    Attributes:
        signal: (h, w) complex, every `step` samples (half a period) and `skip` lines (a deviation of the beam).
        period: samples a period.
        step, skip: samples and lines.
    """

    signal: NDArray
    period: float
    step: int
    skip: int

    @classmethod
    def of(cls, frame: NDArray, speckle: Speckle) -> "Baseband":
        """Return that of a levelled frame (H, W) with the period and beam of `speckle`."""
        period, count = speckle.period_samples, len(frame)
        step, skip = max(1, int(period / 2)), max(1, round(speckle.beam_lines))
        spectrum = fft(frame[:, ::skip].astype(np.float32), axis=0)
        cycles = np.arange(count) / count * period
        spectrum[(cycles < 0.25) | (cycles > 1.75) | (np.arange(count) > count // 2)] = 0
        signal = ifft(spectrum, axis=0, overwrite_x=True)
        signal *= np.exp(-2j * np.pi * np.arange(count) / period).astype(np.complex64)[:, None]
        return cls(signal[::step], period, step, skip)


@dataclass(frozen=True)
class Candidates:
    """Displacements that a window may have, one or two a period, and how well each matches.

    Attributes:
        axial: (K, B, C) samples, for B windows along depth and C columns.
        lateral: (K, B, C) lines.
        score: (K, B, C) magnitude of the normalised complex correlation, in [0, 1].
        rows, columns: places of the windows in samples and lines.
    """

    axial: NDArray
    lateral: NDArray
    score: NDArray
    rows: NDArray
    columns: NDArray


def continuous_displacement(first: NDArray, second: NDArray, speckle: Speckle, reach: tuple[int, int]) -> NDArray:
    """Return the displacement (2, H, W), lateral in lines and axial in samples, right to a fraction of a period.

    A peak of the correlation has neighbours a period away that noise and strain raise above it. The displacement of
    tissue is continuous and they are not: all windows of the frame together choose (:func:`smoothest`).

    Args:
        first, second: levelled RF frames (H, W).
        speckle: their period and beam.
        reach: largest displacement in samples and lines.
    """
    frames = [Baseband.of(frame, speckle) for frame in (first, second)]
    every = int(np.clip(round(frames[0].signal.shape[1] * reach[0] / _SEARCHED), 1, _MOST_SKIPPED))
    found = correlation_candidates(frames[0], frames[1], reach, every)
    best = smoothest(found, speckle.period_samples)[None]
    fields = [np.take_along_axis(values, best, 0)[0] for values in (found.lateral, found.axial)]
    fields = [_smoothed(median_filter(field, _MEDIAN, mode="nearest"), speckle.period_samples) for field in fields]
    fields = [spread(field, found.rows, first.shape[0]) for field in fields]
    return np.stack([spread(field.T, found.columns, first.shape[1]).T for field in fields]).astype(np.float32)


def correlation_candidates(first: Baseband, second: Baseband, reach: tuple[int, int], every: int = 1) -> Candidates:
    """Return what the correlation of the complex baseband has at each axial lag.

    The magnitude at a lag varies slowly, and the phase tells how far the displacement is from that lag, to within half
    a period: a few lags hold what the RF correlation has at every sample. Of lateral lags, a beam apart, the best
    counts.

    Args:
        first, second: the frames.
        reach: see :func:`continuous_displacement`.
        every: of the first frame's columns only each n-th.

    References:
        Kasai et al., IEEE Trans. Sonics Ultrasonics 32, 1985 (phase of the autocorrelation); Pesavento et al., A
        time-efficient and accurate strain estimation concept, IEEE TUFFC 46, 1999.
    """
    period, step, skip = first.period, first.step, first.skip
    a, b = first.signal[:, ::every], second.signal
    block = min(max(1, round(_STEP_PERIODS * period / step)), len(a))
    count = len(a) // block
    a = a[: count * block]
    down, across = (int(np.ceil(far / by)) for far, by in zip(reach, (step, skip), strict=True))
    wide = np.pad(b, [(down, down + block), (across, across)])
    power = _windowed(_blocks(_power(a), count, block))
    conjugate, energy = a.conj(), _power(wide)
    shape = (2 * down + 1, *power.shape)
    score, axial, lateral = np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    axial += (np.arange(-down, down + 1) * step)[:, None, None]
    least = 1e-12 * max(float(power.max()) ** 2, 1e-30)
    for number, shift in np.ndindex(shape[0], 2 * across + 1):
        window = np.s_[number : number + count * block, shift : shift + b.shape[1] : every]
        product = _windowed(_blocks(conjugate * wide[window], count, block))
        both = power * _windowed(_blocks(energy[window], count, block))
        match = np.where(both > least, np.abs(product) / np.sqrt(np.maximum(both, least)), 0)
        better = match > score[number]
        lag = (number - down) * step
        phase = np.angle(product * np.exp(2j * np.pi * lag / period))
        axial[number] = np.where(better, lag - phase * period / (2 * np.pi), axial[number])
        lateral[number] = np.where(better, (shift - across) * skip, lateral[number])
        score[number] = np.where(better, match, score[number])
    rows = (np.arange(count) * block + (block - 1) / 2) * step
    return Candidates(axial, lateral, score, rows, np.arange(a.shape[1]) * skip * every)


def smoothest(found: Candidates, period: float) -> NDArray:
    """Return the number (B, C) of the candidate of least cost.

    A candidate costs what its score lacks of 1, and a difference from its neighbours the square of its part of half a
    period, at most the price of a jump. The cost is summed along paths from all four sides, as in stereo vision.

    Args:
        found: the candidates.
        period: samples a period.

    References:
        Hirschmueller, Stereo processing by semiglobal matching and mutual information, IEEE TPAMI 30, 2008.
    """
    local = 1 - found.score
    total = np.zeros_like(local)
    for axis in (1, 2):
        costs, places = np.moveaxis(local, axis, 0), np.moveaxis(found.axial, axis, 0)
        out = np.moveaxis(total, axis, 0)
        for order in (slice(None), slice(None, None, -1)):
            for summed, at in zip(_paths(costs[order], places[order], period), out[order], strict=True):
                at += summed
    return total.argmin(0)


def torn_off(axial: NDArray, speckle: Speckle) -> NDArray:
    """Return where (H, W) an axial displacement (samples) is no part of the motion around it.

    Between two windows tissue moves by a tenth of a period. A region behind a jump of most of a period is an echo that
    stays in place (reverberation) or a period missed, unless it makes up a tenth of the frame: layers may slide. The
    jump itself belongs to neither side.
    """
    step, skip = max(1, round(_STEP_PERIODS * speckle.period_samples)), max(1, round(speckle.beam_lines))
    coarse = axial[::step, ::skip]
    change = maximum_filter(coarse, 3, mode="nearest") - minimum_filter(coarse, 3, mode="nearest")
    torn = change > _TORN * speckle.period_samples
    if not torn.any():
        return np.zeros(axial.shape, dtype=bool)
    parts, _ = label(~torn)
    sizes = np.bincount(parts.ravel())
    alone = sizes < _LEAST_PART * parts.size
    alone[0] = True
    if alone.all():
        return np.zeros(axial.shape, dtype=bool)
    rows, columns = (
        np.minimum(np.arange(n) // by, k - 1) for n, by, k in zip(axial.shape, (step, skip), coarse.shape, strict=True)
    )
    return alone[parts][np.ix_(rows, columns)]


def _smoothed(field: NDArray, period: float) -> NDArray:
    """Return a field of windows without the steps that a median leaves, but with its jumps."""
    smooth = gaussian_filter(field, _SMOOTH, mode="nearest")
    return np.where(np.abs(smooth - field) < period / 4, smooth, field)


def _paths(costs: NDArray, places: NDArray, period: float) -> Iterator[NDArray]:
    """Yield, place by place, the least cost of a path that ends at each candidate."""
    before = costs[0]
    yield before
    for cost, here, there in zip(costs[1:], places[1:], places[:-1], strict=True):
        least = before.min(0)
        reached = np.minimum(before + _change(here, there, period), least + _JUMP)
        reached[1:] = np.minimum(reached[1:], before[:-1] + _change(here[1:], there[:-1], period))
        reached[:-1] = np.minimum(reached[:-1], before[1:] + _change(here[:-1], there[1:], period))
        before = cost + reached - least
        yield before


def _change(here: NDArray, there: NDArray, period: float) -> NDArray:
    return np.float32(_JUMP) * ((here - there) * np.float32(2 / period)) ** 2


def _power(signal: NDArray) -> NDArray:
    return signal.real**2 + signal.imag**2


def _blocks(values: NDArray, count: int, block: int) -> NDArray:
    return values[: count * block].reshape(count, block, -1).sum(1)


def _windowed(values: NDArray) -> NDArray:
    """Return the sum over a window of blocks and columns, those that lie in the frame."""
    for axis, width in enumerate(_WINDOW):
        values = correlate1d(values, np.ones(width, np.float32), axis, mode="constant")
    return values
