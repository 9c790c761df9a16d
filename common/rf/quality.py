"""Strain, and how far to trust it: the agreement of the frames after the displacement."""

from typing import NamedTuple

import numpy as np
import torch
from monai.config import NdarrayOrTensor
from monai.utils import convert_to_tensor
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, maximum_filter1d, minimum_filter1d, uniform_filter1d
from torch import Tensor
from torch.nn.functional import conv1d, pad

from .levelling import level_amplitude, measure_speckle
from .loss import reliable_pixels
from .ncc import local_correlation

# Correlation of the frames below which a pixel's displacement is not believed.
LEAST_QUALITY = 0.6
# Fraction of pixels that match by chance.
_RELATED = 0.1
# Fraction of samples at one extreme value from which on a frame counts as saturated.
_SATURATED = 0.005
# Depth in periods of the pulse below which GLUE, begun with NCC, shows a strain that is a tenth or more too small.
_LEAST_PERIODS = 25
# Samples in a row that are equal only where there is no signal, or too much of it.
_CONSTANT_SAMPLES = 5


class TrustedStrain(NamedTuple):
    """Strain where it can be believed.

    Attributes:
        strain: (H, W), no unit, compression negative; NaN where the frames do not agree.
        quality: (H, W) in [0, 1], see :func:`quality_map`.
        reliable: (H, W), whether the strain of a pixel is believed.
    """

    strain: NDArray
    quality: NDArray
    reliable: NDArray


def least_squares_slope(values: Tensor, window: int, dim: int = -2) -> Tensor:
    """Return the slope of the line that fits `values` best within `window` samples around each sample, per sample.

    Near an end the window is the part that lies within the data, so that a straight line keeps its slope everywhere.

    Args:
        values: any shape, evenly spaced along `dim`.
        window: odd number of samples, at least 3 and at most the length of `dim`.
        dim: axis of the slope.

    Raises:
        ValueError: if `window` is even, below 3 or longer than the data.

    References:
        Kallel and Ophir, A least-squares strain estimator for elastography, Ultrasonic Imaging 19, 1997.
    """
    count = values.shape[dim]
    if window % 2 == 0 or not 3 <= window <= count:
        raise ValueError(f"window: expected an odd number from 3 to {count} (the samples there are), found {window}")
    rows = values.movedim(dim, -1)
    flat = rows.reshape(-1, 1, count)
    ones = torch.ones_like(flat[:1])
    half = window // 2
    ramp = torch.arange(-half, half + 1, dtype=values.dtype, device=values.device)
    kernels = torch.stack([torch.ones_like(ramp), ramp])[:, None]
    # Sums over the window of y, x y and, from a row of ones, of 1 and x; x^2 is the ramp again.
    sums = conv1d(pad(flat, [half, half]), kernels)
    known = conv1d(pad(ones, [half, half]), torch.cat([kernels, ramp.square()[None, None]]))[0]
    number, first, second = known[0], known[1], known[2]
    slope = (number * sums[:, 1] - first * sums[:, 0]) / (number * second - first**2)
    return slope.reshape(rows.shape).movedim(-1, dim)


def axial_strain(displacement: NdarrayOrTensor, window: int = 43) -> Tensor:
    """Return the axial strain (1, H, W), no unit, of displacement (C, H, W) in samples; compression is negative.

    Args:
        displacement: channel 1 is the axial one, as in the network's output.
        window: samples of the fit; the paper's group uses 43 on phantoms to 93.
    """
    field = convert_to_tensor(displacement, track_meta=False)
    return least_squares_slope(field[1:2].double(), window).to(field.dtype)


def match_map(first: NDArray, second: NDArray, displacement: NDArray) -> NDArray:
    """Return (H, W) in [-1, 1]: how well `first` and `second` match after the displacement (2, H, W) of one direction.

    It is the local correlation of the levelled frames, over ten periods by three lines, so that a bright reflector does
    not vouch for its neighbours. It is 0 where the displacement leads out of the frame and where there is no signal: a
    dead or constant band.

    Args:
        first, second: RF frames (H, W).
        displacement: lateral (lines) and axial (samples).
    """
    speckle = measure_speckle(first)
    places = np.indices(first.shape, dtype=np.float32) + displacement[::-1]
    fetched = map_coordinates(level_amplitude(second, speckle), places, order=3, cval=0.0)
    correlation = local_correlation(level_amplitude(first, speckle), fetched, speckle.window)
    # A window that reaches into living tissue says nothing for a dead pixel beside it.
    inner = (np.clip(np.rint(at), 0, side - 1).astype(int) for at, side in zip(places, first.shape, strict=True))
    alive = _alternates(first) & _alternates(second)[tuple(inner)]
    return correlation * alive


def quality_map(pre: Tensor, post: Tensor, displacement: Tensor) -> NDArray:
    """Return (H, W) in [0, 1]: :func:`match_map` of the forward displacement, 0 where both ways disagree by a pixel.

    Args:
        pre, post: RF frames (1, H, W).
        displacement: (4, H, W) forward and backward, lines and samples.
    """
    first, second = (frame[0].detach().float().cpu().numpy() for frame in (pre, post))
    there = displacement.detach().float().cpu()
    agree = reliable_pixels(there[None, :2], there[None, 2:], warp_backward=True)[0, 0].numpy()
    return np.clip(match_map(first, second, there[:2].numpy()), 0, 1) * agree


def _alternates(frame: NDArray) -> NDArray:
    """Return where a frame is not constant over a few samples."""
    highest, lowest = (find(frame, _CONSTANT_SAMPLES, axis=0) for find in (maximum_filter1d, minimum_filter1d))
    return np.asarray(highest > lowest)


def trusted_strain(pre: Tensor, post: Tensor, displacement: Tensor, window: int = 43) -> TrustedStrain:
    """Return the axial strain, and where it is believed: its pixel, and most of its window, have enough quality.

    If that holds in less than a tenth of the pixels, the frames are unrelated and match by chance: none is believed.

    Args:
        pre, post, displacement: see :func:`quality_map`.
        window: samples of the strain fit.
    """
    quality = quality_map(pre, post, displacement)
    good = (quality >= LEAST_QUALITY).astype(float)
    reliable = (good > 0) & (uniform_filter1d(good, window, axis=0) >= 0.5)
    if reliable.mean() < _RELATED:
        reliable[:] = False
    strain = axial_strain(displacement.detach().float().cpu(), window)[0].numpy()
    return TrustedStrain(np.where(reliable, strain, np.nan), quality, reliable)


def strain_remark(pre: Tensor, post: Tensor, trusted: TrustedStrain) -> str:
    """Return what a reader must know before reading the strain; empty if there is nothing.

    Args:
        pre, post: RF frames (1, H, W).
        trusted: their strain.
    """
    remarks = []
    fraction = float(trusted.reliable.mean())
    if fraction < 0.5:
        remarks.append(f"frames do not match in {100 * (1 - fraction):.0f} % of the pixels: do not read this strain")
    elif fraction < 0.9:
        remarks.append(f"{100 * (1 - fraction):.0f} % of the pixels are left out: the frames do not match there")
    periods = pre.shape[-2] / measure_speckle(pre[0].float().cpu().numpy()).period_samples
    if periods < _LEAST_PERIODS:
        remarks.append(f"the frames are only {periods:.0f} periods of the pulse deep: the strain may be too small")
    for name, frame in (("first", pre), ("second", post)):
        saturated = max(float((frame == extreme).float().mean()) for extreme in torch.aminmax(frame))
        if saturated > _SATURATED:
            remarks.append(f"{100 * saturated:.1f} % of the {name} frame's samples are saturated")
    return "; ".join(remarks)
