"""Whether pictures move as something does, or as noise."""

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

# From frame to frame noise changes as much as over the whole cine (1), a heart less, even at 8 pictures a beat.
NOISY = 0.92
BLOCKS = 10
# Frames in a row that show the same, of all frames, from which on a picture has frozen.
FROZEN = 0.25


def unrest(frames: NDArray[np.float32]) -> float:
    """Return the mean square of the change from frame to frame over twice the variance in time, of means of blocks.

    It is 1 for noise, however many frames there are, and near 0 for a slow motion; 0 where nothing changes.

    Args:
        frames: (T, H, W).

    References:
        von Neumann, Distribution of the ratio of the mean square successive difference to the variance, 1941
    """
    side = max(1, min(frames.shape[1:]) // BLOCKS)
    height, width = (length // side * side for length in frames.shape[1:])
    blocks = frames[:, :height, :width].reshape(len(frames), height // side, side, width // side, side)
    means = blocks.mean(axis=(2, 4), dtype=np.float64)
    variance = float(means.var(axis=0, ddof=1).mean()) if len(frames) > 1 else 0.0
    return float(np.square(np.diff(means, axis=0)).mean()) / (2 * variance) if variance else 0.0


def longest_still(frames: NDArray[np.float32], change: float = 0.0, fraction: float = 0.0) -> int:
    """Return how many frames in a row show the same, 0 where no two do.

    Args:
        frames: (T, ...), pixel values.
        change: difference that a pixel must exceed to move.
        fraction: of the pixels that must move for a frame to be another one.
    """
    steps = np.abs(np.diff(frames.reshape(len(frames), -1), axis=0)) > change
    moves = steps.mean(axis=1) > fraction
    longest = max((len(list(run)) for moving, run in groupby(moves) if not moving), default=0)
    return longest + 1 if longest else 0
