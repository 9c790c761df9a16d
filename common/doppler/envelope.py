"""E and A peaks from the traced envelope of the spectrum: what a scanner without a network does."""

import numpy as np
from numpy.typing import NDArray

SMOOTHING_PX = 2.0
LEAST_PROMINENCE = 0.15


def envelope_peaks(image: NDArray, baseline_row: float, min_distance_px: int = 10) -> dict[str, NDArray]:
    """Return (N, 2) points (x, y) of the E and the A waves in the envelope of a spectrum.

    The image is smoothed and cut by Otsu's threshold; the envelope is the length of the bright run that starts at the
    baseline, on the side where there is more of it; its tops are the waves. In a beat the gap before E holds systole
    and is longer than the gap before A, so a top with the longer gap before it than after it is an E.

    Args:
        image: (H, W) brightness of the trace.
        baseline_row: row of velocity 0; may lie outside the image.
        min_distance_px: two tops are further apart than this.
    """
    from scipy import ndimage, signal
    from skimage.filters import threshold_otsu

    smooth = ndimage.gaussian_filter(np.asarray(image, float), SMOOTHING_PX)
    if smooth.max() <= smooth.min():
        return {"E": np.zeros((0, 2)), "A": np.zeros((0, 2))}
    bright = smooth > threshold_otsu(smooth)
    row = int(np.clip(round(baseline_row), 0, len(image) - 1))
    envelopes = {-1: _run_length(bright[:row][::-1]), 1: _run_length(bright[row + 1 :])}
    side = max(envelopes, key=lambda one: float(envelopes[one].sum()))
    envelope = ndimage.gaussian_filter1d(envelopes[side], SMOOTHING_PX)
    least = LEAST_PROMINENCE * max(float(envelope.max()), 1.0)
    tops, _ = signal.find_peaks(envelope, prominence=least, distance=min_distance_px)
    points = np.stack([tops, row + side * envelope[tops]], axis=1)
    is_e = _follows_systole(tops)
    return {"E": points[is_e], "A": points[~is_e]}


def _run_length(bright: NDArray) -> NDArray:
    """Return (W,) how far bright pixels reach from the baseline; gaps of the wall filter and of speckle are bridged."""
    from scipy import ndimage

    if not len(bright):
        return np.zeros(bright.shape[1])
    bridge = max(3, len(bright) // 8)
    closed = ndimage.binary_closing(np.pad(bright, ((bridge, bridge), (0, 0)), constant_values=((1, 0), (0, 0))),
                                    np.ones((bridge, 1)))[bridge:-bridge]  # fmt: skip
    return np.where(closed.all(0), len(closed), closed.argmin(0)).astype(float)


def _follows_systole(tops: NDArray) -> NDArray[np.bool_]:
    """Return which tops are E: the gap before is longer than the gap after; ends are taken from their neighbours."""
    if len(tops) < 3:
        return np.arange(len(tops)) % 2 == 0
    gaps = np.diff(tops).astype(float)
    # In fibrillation all gaps are of systole and filling together: every top is an E.
    if gaps.min() > 0.6 * gaps.max():
        return np.ones(len(tops), bool)
    inner = gaps[:-1] > gaps[1:]
    return np.concatenate([[not inner[0]], inner, [not inner[-1]]])
