"""Random views of a spectral trace that keep its meaning: time runs to the right, the sign of velocity stays."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable, RandomizableTransform
from monai.utils import TransformBackends
from torch import Tensor
from torch.nn import functional

Range = tuple[float, float]


class RandTraceAffined(RandomizableTransform, MapTransform):
    """Stretch and shift a trace along time and along velocity, with its points if they are there; no flip, no turn.

    A stretch of time is another sweep speed or heart rate, a shift of velocity another baseline, a stretch of velocity
    another scale. What comes in from outside is black; points that leave the image become NaN.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 - MONAI declares a list

    def __init__(
        self,
        keys: KeysCollection = "image",
        points_key: str = "peaks",
        prob: float = 0.9,
        time_scale: Range = (0.8, 1.25),
        velocity_scale: Range = (0.85, 1.15),
        time_shift: float = 0.15,
        velocity_shift: float = 0.1,
    ) -> None:
        """Keep the settings.

        Args:
            keys: (C, H, W) images, all changed in the same way.
            points_key: (..., 2) points in their pixels.
            prob: fraction of the images that are changed.
            time_scale, velocity_scale: smallest and largest factor along x and y.
            time_shift, velocity_shift: largest shift to either side, as fraction of the width and the height.

        Raises:
            ValueError: if a scale is not positive or runs backwards.
        """
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        for name, (low, high) in (("time_scale", time_scale), ("velocity_scale", velocity_scale)):
            if not 0 < low <= high:
                raise ValueError(f"{name}: expected 0 < lowest <= highest, found {(low, high)}")
        self.points_key = points_key
        self.scales, self.shifts = (time_scale, velocity_scale), (time_shift, velocity_shift)
        self.scale = self.shift = (1.0, 1.0)

    def randomize(self, data: Any = None) -> None:
        """Draw whether, and by how much."""
        super().randomize(data)
        self.scale = (self.R.uniform(*self.scales[0]), self.R.uniform(*self.scales[1]))
        self.shift = (self.R.uniform(-1, 1) * self.shifts[0], self.R.uniform(-1, 1) * self.shifts[1])

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Return the item with changed images and points; the input mapping is left as it was."""
        d = dict(data)
        self.randomize()
        if not self._do_transform:
            return d
        for key in self.key_iterator(d):
            d[key] = self._moved(d[key])
        if self.points_key in d:
            d[self.points_key] = self._moved_points(d[self.points_key], d[next(iter(self.keys))].shape[-2:])
        return d

    def _moved(self, image: Tensor) -> Tensor:
        (scale_x, scale_y), (shift_x, shift_y) = self.scale, self.shift
        # affine_grid maps output to input in coordinates from -1 to 1, in which a shift of a whole width is 2.
        inverse = image.new_tensor([[1 / scale_x, 0, -2 * shift_x / scale_x], [0, 1 / scale_y, -2 * shift_y / scale_y]])
        grid = functional.affine_grid(inverse[None], [1, *image.shape], align_corners=False)
        return functional.grid_sample(image[None], grid, align_corners=False)[0]

    def _moved_points(self, points: Tensor, size: torch.Size) -> Tensor:
        extent = points.new_tensor([size[1], size[0]])
        centred = points + 0.5 - extent / 2
        moved = centred * points.new_tensor(self.scale) + points.new_tensor(self.shift) * extent + extent / 2 - 0.5
        inside = ((moved >= 0) & (moved <= extent - 1)).all(-1, keepdim=True)
        return torch.where(inside, moved, moved.new_tensor(torch.nan))


class RandGaind(RandomizableTransform, MapTransform):
    """Change what the operator's knobs change: gain, contrast and noise; values stay within [0, 1]."""

    backend = [TransformBackends.TORCH]  # noqa: RUF012 - MONAI declares a list

    def __init__(
        self,
        keys: KeysCollection = "image",
        prob: float = 0.9,
        gain: Range = (0.6, 1.4),
        gamma: Range = (0.6, 1.6),
        noise: float = 0.06,
    ) -> None:
        """Keep the settings.

        Args:
            keys: images, all changed in the same way.
            prob: fraction of the images that are changed.
            gain: smallest and largest factor of the brightness.
            gamma: smallest and largest exponent.
            noise: largest standard deviation of the noise added.
        """
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.gain_range, self.gamma_range, self.noise_limit = gain, gamma, noise
        self.gain = self.gamma = 1.0
        self.noise, self.noise_seed = 0.0, 0

    def randomize(self, data: Any = None) -> None:
        """Draw whether, and by how much."""
        super().randomize(data)
        self.gain, self.gamma = self.R.uniform(*self.gain_range), self.R.uniform(*self.gamma_range)
        self.noise, self.noise_seed = self.R.uniform(0, self.noise_limit), int(self.R.randint(2**31))

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Return the item with changed images; the input mapping is left as it was."""
        d = dict(data)
        self.randomize()
        for key in self.key_iterator(d) if self._do_transform else ():
            source = torch.Generator().manual_seed(self.noise_seed)
            noise = torch.randn(d[key].shape, generator=source, dtype=d[key].dtype).to(d[key].device)
            d[key] = (self.gain * d[key].clamp(0, 1) ** self.gamma + self.noise * noise).clamp(0, 1)
        return d


class TwoViewsd(MapTransform, Randomizable):
    """Put two random views of each image side by side: (C, H, W) becomes (2, C, H, W).

    The views come from any dictionary transform, for instance the trace's own changes or the published set.
    """

    def __init__(self, keys: KeysCollection, augment: Callable[[Mapping[Hashable, Any]], Any]) -> None:
        """Keep the transform that makes a view from a mapping with the keys of the image."""
        super().__init__(keys)
        self.augment = augment

    def set_random_state(self, seed: int | None = None, state: Any = None) -> "TwoViewsd":
        """Seed the draws of the transform that makes the views."""
        super().set_random_state(seed, state)
        if isinstance(self.augment, Randomizable):
            self.augment.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Return both views under each key; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = torch.stack([torch.as_tensor(self.augment({key: data[key]})[key]) for _ in range(2)])
        return d
