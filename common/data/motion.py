"""Whether pictures move as something does, or as noise."""

import numpy as np
from numpy.typing import NDArray

# From frame to frame noise changes as much as over the whole cine (1), a heart less, even at 10 pictures a beat.
NOISY = 0.95
BLOCKS = 10


def unrest(frames: NDArray[np.float32]) -> float:
    """Return the mean square of the change from frame to frame over twice the variance in time, of means of blocks.

    It is 1 or a little more for noise and near 0 for a slow motion; 0 where nothing changes.

    Args:
        frames: (T, H, W).

    References:
        von Neumann, Distribution of the ratio of the mean square successive difference to the variance, 1941
    """
    side = max(1, min(frames.shape[1:]) // BLOCKS)
    height, width = (length // side * side for length in frames.shape[1:])
    blocks = frames[:, :height, :width].reshape(len(frames), height // side, side, width // side, side)
    means = blocks.mean(axis=(2, 4), dtype=np.float64)
    variance = float(means.var(axis=0).mean())
    return float(np.square(np.diff(means, axis=0)).mean()) / (2 * variance) if variance else 0.0
