"""The ultrasound sector on a screen: found, cut out, and everything else blackened."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# DICOM PS3.3 C.8.5.5: region data type 1 is tissue, spatial format 1 is 2D.
TISSUE, TWO_DIMENSIONAL = 1, 1
# Grey levels by which a pixel of the sector changes during the cine; texts change by the coding's noise at most.
LEAST_CHANGE = 3
# Square frames of this size or less are cut to the sector already, as EchoNet-Dynamic publishes them (112 x 112).
PUBLISHED_SIZE = 112
# A text on such a frame: this bright, this fraction of the pixels, this fraction of the side away from the sector.
TEXT_LEVEL, TEXT_FRACTION, TEXT_DISTANCE = 100, 0.002, 0.04
# The far edge of a sector is an arc around its apex: its distance varies by so little there; by more, and some times as
# much, from any other side.
ARC, NO_ARC, TIMES = 0.03, 0.035, 2.0


class SectorCut(NamedTuple):
    """Where the sector is on a screen.

    Attributes:
        top, bottom, left, right: rows and columns, the ends outside.
        mask: (bottom - top, right - left), True in the sector.
    """

    top: int
    bottom: int
    left: int
    right: int
    mask: NDArray[np.bool_]

    def apply(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return (T, H, W, 3) frames cut to the sector, black outside it."""
        return frames[:, self.top : self.bottom, self.left : self.right] * self.mask[None, :, :, None]


def find_sector(frames: NDArray[np.uint8], region: Any = None) -> tuple[SectorCut | None, NDArray[np.bool_]]:
    """Return how frames are cut to the sector, and where it is in them then (H, W).

    Nothing is cut if nothing moves, or if the frames are cut already: square ones of EchoNet's size or less without a
    text beside the sector.

    Args:
        frames: (T, H, W, 3), RGB, spread over the cine.
        region: where to look, such as a :class:`common.data.UltrasoundRegion`; the whole screen if None.
    """
    height, width = frames.shape[1:3]
    rows, columns = slice(0, height), slice(0, width)
    if region is not None:
        rows, columns = slice(region.min_y, region.max_y + 1), slice(region.min_x, region.max_x + 1)
    mask = np.zeros((height, width), bool)
    mask[rows, columns] = sector_mask(frames[:, rows, columns])
    published = height == width <= PUBLISHED_SIZE
    if not mask.any() or (published and not _has_text(frames, mask)):
        return None, mask
    rows_in, columns_in = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom = int(rows_in[0]), int(rows_in[-1]) + 1
    left, right = int(columns_in[0]), int(columns_in[-1]) + 1
    cut = SectorCut(top, bottom, left, right, mask[top:bottom, left:right])
    return cut, cut.mask


def tissue_region(regions: Sequence[Any], height: int, width: int) -> Any | None:
    """Return the largest whole 2D region within the image, of tissue if there is one; None if there is none.

    A file that was made smaller keeps its old regions, which then reach over the image.
    """
    fitting = [
        region
        for region in regions
        if not region.missing
        and region.spatial_format == TWO_DIMENSIONAL
        and 0 <= region.min_x < region.max_x < width
        and 0 <= region.min_y < region.max_y < height
    ]
    usable = [region for region in fitting if region.data_type == TISSUE] or fitting
    return max(usable, key=lambda r: (r.max_x - r.min_x) * (r.max_y - r.min_y), default=None)


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


def turns_to_upright(mask: NDArray[np.bool_]) -> int:
    """Return by how many quarter turns (as in `np.rot90`) the apex of a sector comes to the top; 0 if it is not clear.

    Args:
        mask: (H, W) of square pixels, True in the sector.
    """
    spreads = [_far_edge_spread(np.rot90(mask, turns)) for turns in range(4)]
    best = int(np.argmin(spreads))
    return best if spreads[best] < ARC and spreads[0] > max(NO_ARC, TIMES * spreads[best]) else 0


def _far_edge_spread(mask: NDArray[np.bool_]) -> float:
    """Return the coefficient of variation of the far edge's distance from the middle of the uppermost rows."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return np.inf
    height = np.ptp(rows) + 1
    y, x = rows - rows.min(), columns - columns[rows <= rows.min() + height // 40 + 1].mean()
    angle = np.degrees(np.arctan2(x, y))
    beams = np.floor((angle[np.abs(angle) < 24] + 24) / 4).astype(int)  # twelve of 4 degrees
    farthest = np.zeros(12)
    np.maximum.at(farthest, beams, np.hypot(x, y)[np.abs(angle) < 24])
    return float(farthest.std() / max(farthest.mean(), 1e-9))


def _has_text(frames: NDArray[np.uint8], mask: NDArray[np.bool_]) -> bool:
    """Return whether something bright lies beside the sector."""
    from scipy import ndimage

    distance = max(2, round(TEXT_DISTANCE * len(mask)))
    beside = ~ndimage.binary_dilation(mask, iterations=distance)
    bright = frames.max(axis=(0, 3)) > TEXT_LEVEL
    return float((bright & beside).mean()) > TEXT_FRACTION
