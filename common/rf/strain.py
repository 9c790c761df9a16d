"""Strain as the least-squares slope of displacement over a window."""

import torch
from monai.config import NdarrayOrTensor
from monai.utils import convert_to_tensor
from torch import Tensor
from torch.nn.functional import conv1d, pad


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
