"""The region of interest around a lesion that CarveMix cuts out and LADP noises."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt


def sample_reach_fraction(random: np.random.RandomState) -> float:
    """Return lambda / |Dmin| of eq. 3: half of the draws are uniform in (-1/2, 0), half in (0, 1)."""
    inside = random.random_sample() < 0.5
    return float(random.uniform(-0.5, 0.0) if inside else random.uniform(0.0, 1.0))


def region_of_interest(mask: ArrayLike, reach_fraction: float) -> NDArray[np.bool_]:
    """Return the pixels whose signed distance D to the lesion's contour is at most `reach_fraction` |Dmin| (eq. 2).

    D is minus the distance to the nearest pixel outside for a lesion pixel (so -1 for the outermost), the distance to
    the nearest lesion pixel elsewhere; Dmin is its minimum, a measure of the lesion's size. A mask without lesion has
    an empty region, a mask that is lesion throughout a full one.

    Args:
        mask: (H, W) or (H, W, D), lesion where positive.
        reach_fraction: lambda in units of |Dmin|; negative for a part of the lesion, positive for its surroundings too.

    References:
        Zhang et al., CarveMix, NeuroImage 2023, https://doi.org/10.1016/j.neuroimage.2023.120041
    """
    lesion = np.asarray(mask) > 0
    region = np.zeros(lesion.shape, bool)
    if not lesion.any() or lesion.all():
        return region | lesion
    box = _box_around(lesion, margin=1)
    depth = distance_transform_edt(lesion[box])
    reach = reach_fraction * float(depth.max())
    if reach < 0:
        region[box] = depth >= -reach
    else:
        box = _box_around(lesion, margin=math.ceil(reach))
        region[box] = distance_transform_edt(~lesion[box]) <= reach
    return region


def _box_around(lesion: NDArray[np.bool_], margin: int) -> tuple[slice, ...]:
    """Return the box of the lesion, wider by `margin` pixels where the image allows it."""
    box = []
    for axis in range(lesion.ndim):
        (filled,) = np.nonzero(lesion.any(axis=tuple(other for other in range(lesion.ndim) if other != axis)))
        box.append(slice(max(int(filled[0]) - margin, 0), int(filled[-1]) + margin + 1))
    return tuple(box)
