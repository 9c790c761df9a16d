"""The ultrasound sector on a screen: found, cut out, and everything else blackened."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# DICOM PS3.3 C.8.5.5: region data type 1 is tissue, spatial format 1 is 2D.
TISSUE, TWO_DIMENSIONAL = 1, 1
# Grey levels by which a pixel of the sector changes during the cine; texts change by the coding's noise at most.
LEAST_CHANGE = 3


def mask_to_region(frames: NDArray[np.uint8], regions: Sequence[Any]) -> NDArray[np.uint8]:
    """Return the frames cut to their 2D tissue region, black outside the sector that moves in it.

    The largest region counts if there are several. Without regions, or if they reach over the image (a file that was
    made smaller kept its old regions), the sector is looked for on the whole screen.

    Args:
        frames: (T, H, W, 3), RGB.
        regions: items with `min_x, min_y, max_x, max_y, spatial_format, data_type` such as
            :class:`common.data.UltrasoundRegion`.
    """
    height, width = frames.shape[1:3]
    fitting = [r for r in regions if r.spatial_format == TWO_DIMENSIONAL and r.max_x < width and r.max_y < height]
    tissue = [r for r in fitting if r.data_type == TISSUE] or fitting
    if tissue:
        largest = max(tissue, key=lambda r: (r.max_x - r.min_x) * (r.max_y - r.min_y))
        frames = frames[:, max(largest.min_y, 0) : largest.max_y + 1, max(largest.min_x, 0) : largest.max_x + 1]
    return crop_to_sector(frames)


def crop_to_sector(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the frames cut to the sector that moves, everything outside it black.

    Args:
        frames: (T, H, W, 3), RGB.
    """
    mask = sector_mask(frames)
    if not mask.any():
        return frames
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return frames[:, top:bottom, left:right] * mask[None, top:bottom, left:right, None].astype(np.uint8)


def sector_mask(frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where the sector is: the convex hull of the largest connected area that changes from frame to frame.

    Texts, scales and depth marks stand still; speckle does not. An ECG trace moves as well, but in an area of its
    own. All False if nothing moves.

    Args:
        frames: (T, H, W, 3), RGB, T at least 2.
    """
    from scipy import ndimage
    from skimage.morphology import convex_hull_image

    grey = frames.mean(3, dtype=np.float32)
    moving = np.ptp(grey, axis=0) > LEAST_CHANGE
    padded = np.pad(moving, 4, mode="edge")  # so that a sector at the edge keeps its outermost pixels
    closed = ndimage.binary_opening(ndimage.binary_closing(padded, iterations=2), iterations=2)[4:-4, 4:-4]
    labels, count = ndimage.label(closed)
    if not count:
        return np.zeros(grey.shape[1:], bool)
    largest = 1 + int(np.argmax(ndimage.sum_labels(closed, labels, np.arange(1, count + 1))))
    return np.asarray(convex_hull_image(labels == largest), dtype=bool)
