"""What a case looks like to a network: statistics of the image that it gets, and features that it computes."""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from monai.utils import convert_to_tensor
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, adaptive_avg_pool3d

STATISTICS = 2  # which statistics these are: raised when they change, because descriptions of others do not fit
_QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
_GRID = 4
_QUANTILE_VALUES = 50_000
_LEAST_SPREAD = 1e-6
_NIL = (0.001, 0.02)  # steps below these fractions of the standard deviation are none
_LEAST_STEP, _LEAST_FRACTION = 1e-3, 0.01  # where logarithms end


def image_statistics(image: Tensor) -> Tensor:
    """Return plain statistics (D,) of the image (C, H, W), (C, H, W, D or T) or clips (V, C, T, H, W) of one case.

    Of each channel mean, standard deviation and five quantiles. Of each axis the mean step from pixel to pixel over the
    standard deviation, which says how fine the image is and whether its axes differ, and the change from step to step
    over the step, both with their logarithms: noise raises them, blur lowers them; the skewness of the steps, which
    turns with the direction; and the logarithm of the fraction of steps that are none, which tells pictures with an
    empty surrounding from those that scanners fill with noise. The image itself on a grid of 4 positions an axis,
    standardised, says how it lies. Clips are averaged.
    """
    plain = convert_to_tensor(image, dtype=torch.float32)
    images = plain if plain.ndim == 5 else plain[None]
    flat = images.flatten(2)
    mean, spread = flat.mean(-1), flat.std(-1)
    thinned = flat[..., :: max(1, flat.shape[-1] // _QUANTILE_VALUES)]  # a quantile sorts its values
    quantiles = _quantiles(thinned.cpu().numpy()).to(flat).flatten(1)
    scale = spread.mean(1) + _LEAST_SPREAD
    steps = torch.stack([part for axis in range(2, images.ndim) for part in _steps(images, axis, scale)], 1)
    pool: Any = adaptive_avg_pool2d if images.ndim == 4 else adaptive_avg_pool3d
    coarse = pool(images, [min(_GRID, size) for size in images.shape[2:]]).flatten(2)
    coarse = (coarse - mean[..., None]) / (spread[..., None] + _LEAST_SPREAD)
    return torch.cat([mean, spread, quantiles, steps, coarse.flatten(1)], 1).mean(0).cpu()


def _quantiles(values: np.ndarray) -> Tensor:
    ordered = np.sort(values, axis=-1)  # a quarter of the time of np.quantile, which partitions
    places = np.array(_QUANTILES) * (values.shape[-1] - 1)
    before, after = ordered[..., np.floor(places).astype(int)], ordered[..., np.ceil(places).astype(int)]
    return torch.from_numpy(before + (after - before) * (places % 1))


def _steps(images: Tensor, axis: int, scale: Tensor) -> list[Tensor]:
    steps = images.diff(dim=axis).div_(scale.reshape(-1, *[1] * (images.ndim - 1)))
    change = steps.diff(dim=axis).abs_().flatten(1).mean(1)
    steps = steps.flatten(1)
    sizes = steps.abs()
    size = sizes.mean(1)
    below = [(sizes < nil).sum(1, dtype=torch.int32) / sizes.shape[1] for nil in _NIL]  # half the time of a mean
    squares = sizes.square_()
    skewness = torch.linalg.vecdot(squares, steps) / steps.shape[1] / (squares.mean(1) ** 1.5 + _LEAST_SPREAD**2)
    none = [(fraction + _LEAST_FRACTION).log() for fraction in below]
    change = (change / (size + _LEAST_SPREAD)).nan_to_num()  # two pixels have one step
    logarithms = [part.clamp_min(_LEAST_STEP).log() for part in (size, change)]
    return [size, change, skewness, *logarithms, *none]


class FeatureTap:
    """Collects the features that some layers of a network compute, averaged over all positions, while it runs.

    The network is left as it was once the tap is closed or gone.

    Args:
        network: the network.
        layers: names of its modules, with outputs (N, F, ...); of several outputs the last is taken.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        self._taken: list[list[Tensor]] = [[] for _ in layers]
        handles = [
            network.get_submodule(name).register_forward_hook(_collector(taken))
            for name, taken in zip(layers, self._taken, strict=True)
        ]
        self._closers = [weakref.finalize(self, handle.remove) for handle in handles]

    def take(self, cases: int) -> list[Tensor] | None:
        """Return each layer's features (cases, F) of what passed since the last call; None if a layer saw nothing.

        A case may have passed in several pieces (slices, clips, directions), all of one case after those of another;
        they are averaged.
        """
        parts = [torch.cat(taken) if taken else torch.empty(0, 1) for taken in self._taken]
        for taken in self._taken:
            taken.clear()
        if any(len(part) == 0 or len(part) % cases for part in parts):
            return None
        return [part.unflatten(0, (cases, -1)).mean(1) for part in parts]

    def close(self) -> None:
        """Take the hooks off the network."""
        for closer in self._closers:
            closer()


def _collector(taken: list[Tensor]) -> Callable[..., None]:
    def collect(module: nn.Module, inputs: Any, output: Any) -> None:
        features = output if isinstance(output, Tensor) else output[-1]
        taken.append(features.detach().reshape(*features.shape[:2], -1).float().mean(-1).cpu())

    return collect
