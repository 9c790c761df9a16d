"""Strain as the least-squares slope of displacement over a window."""

from collections.abc import Hashable, Mapping

import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_tensor
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


class AxialStrain(Transform):
    """Turn displacement into axial strain.

    Args:
        window: samples of the fit; the paper's group uses 43 on phantoms to 93.
        channel: which channel of the displacement is the axial one (1 for this network's flow).
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, window: int = 43, channel: int = 1) -> None:
        self.window, self.channel = window, channel

    def __call__(self, displacement: NdarrayOrTensor) -> Tensor:
        """Return the strain (1, H, W), no unit, of displacement (C, H, W) in samples; compression is negative."""
        field = convert_to_tensor(displacement, track_meta=False)
        axial = field[self.channel : self.channel + 1].double()
        return least_squares_slope(axial, self.window).to(field.dtype)


class AxialStraind(MapTransform):
    """Write the :class:`AxialStrain` of the entry under `keys` to `output_key`."""

    backend = AxialStrain.backend

    def __init__(
        self,
        keys: KeysCollection,
        window: int = 43,
        channel: int = 1,
        output_key: str = "strain",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.strain, self.output_key = AxialStrain(window, channel), output_key

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Add the strain; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[self.output_key] = self.strain(d[key])
        return d
