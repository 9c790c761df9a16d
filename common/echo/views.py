"""Clips on their way to the network: augmented and normalised, as views while training, averaged while testing."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection
from monai.engines.utils import PrepareBatch
from monai.inferers.inferer import Inferer
from monai.transforms.transform import MapTransform, RandomizableTransform, Transform
from torch import Tensor
from torch.nn import functional

from ..training.precision import PrecisionInferer

# Of EchoNet-Dynamic's training videos, in grey levels from 0 to 255.
ECHONET_MEAN = (0.12741163 * 255, 0.1279413 * 255, 0.12912785 * 255)
ECHONET_STD = (0.19557191 * 255, 0.19562256 * 255, 0.1965878 * 255)


class RandPadCrop(RandomizableTransform):
    """Return clips shifted by up to `margin` pixels: padded with black on all sides, then cut to their size again.

    All frames of a clip are shifted alike; each clip of (V, C, T, H, W) is shifted on its own.

    Args:
        margin: pixels of padding on each side (6 in the paper: 112 to 124), not negative.
        prob: chance that a set of clips is shifted at all.

    References:
        Maani et al., CoReEcho, MICCAI 2024, https://arxiv.org/abs/2403.10164 (supplement, table 1)
    """

    def __init__(self, margin: int = 6, prob: float = 1.0) -> None:
        super().__init__(prob)
        if margin < 0:
            raise ValueError(f"margin: expected pixels, not negative, found {margin}")
        self.margin = margin
        self.offsets: list[tuple[int, int]] = []

    def randomize(self, data: int) -> None:
        """Draw (row, column) offsets of `data` clips."""
        super().randomize(None)
        draws = self.R.randint(0, 2 * self.margin + 1, (data, 2)) if self._do_transform else [[self.margin] * 2] * data
        self.offsets = [(int(row), int(column)) for row, column in draws]

    def __call__(self, clips: Tensor, randomize: bool = True) -> Tensor:
        """Return (V, C, T, H, W) clips, shifted."""
        if randomize:
            self.randomize(len(clips))
        height, width = clips.shape[-2:]
        padded = functional.pad(clips, (self.margin,) * 4)
        views = [
            view[..., row : row + height, column : column + width]
            for view, (row, column) in zip(padded, self.offsets, strict=True)
        ]
        return torch.stack(views)


class RandPadCropd(MapTransform, RandomizableTransform):
    """Dictionary form of :class:`RandPadCrop`."""

    def __init__(
        self, keys: KeysCollection, margin: int = 6, prob: float = 1.0, allow_missing_keys: bool = False
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, 1.0)
        self.shift = RandPadCrop(margin, prob)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> "RandPadCropd":
        """Set the random state of the offsets."""
        self.shift.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Shift the clips under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.shift(d[key])
        return d


class NormalizeClip(Transform):
    """Return grey levels from 0 to 255 less a mean, over a standard deviation, each by channel, as float32.

    Args:
        mean, std: one number, or one a channel, in grey levels; the default is EchoNet-Dynamic's.
        channel_dim: of the clips; -4 in (..., C, T, H, W).
    """

    def __init__(
        self,
        mean: float | Sequence[float] = ECHONET_MEAN,
        std: float | Sequence[float] = ECHONET_STD,
        channel_dim: int = -4,
    ) -> None:
        self.mean, self.std = torch.as_tensor(mean), torch.as_tensor(std)
        if bool((self.std <= 0).any()):
            raise ValueError(f"std: expected positive numbers, found {std}")
        self.channel_dim = channel_dim

    def __call__(self, clips: Tensor) -> Tensor:
        """Return the normalised clips."""
        return (clips.to(torch.float32) - self._aligned(self.mean)) / self._aligned(self.std)

    def _aligned(self, values: Tensor) -> Tensor:
        trailing = -1 - self.channel_dim
        return values.to(torch.float32).reshape(-1, *(1,) * trailing)


class NormalizeClipd(MapTransform):
    """Dictionary form of :class:`NormalizeClip`."""

    def __init__(
        self,
        keys: KeysCollection,
        mean: float | Sequence[float] = ECHONET_MEAN,
        std: float | Sequence[float] = ECHONET_STD,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.normalize = NormalizeClip(mean, std)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Normalise the clips under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.normalize(d[key])
        return d


class PrepareViews(PrepareBatch):
    """Return the clips of a batch one below the other and one label for each: all first views, then all second ones.

    Args:
        image_key: entry of (B, V, C, T, H, W) clips.
        label_key: entry of (B,) numbers.
    """

    def __init__(self, image_key: str = "image", label_key: str = "label") -> None:
        self.image_key, self.label_key = image_key, label_key

    def __call__(
        self,
        batchdata: Mapping[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Return (V x B, C, T, H, W) clips and (V x B, 1) labels on the device."""
        clips = batchdata[self.image_key].to(device=device, non_blocking=non_blocking)
        labels = batchdata[self.label_key].to(device=device, non_blocking=non_blocking, dtype=torch.float32)
        views = clips.shape[1]
        return clips.transpose(0, 1).flatten(0, 1), labels.reshape(-1, 1).repeat(views, 1)


class ClipInferer(Inferer):
    """Return the network's number for each clip of each video: (B, V, C, T, H, W) to (B, V).

    Args:
        clips_at_once: most clips in one forward pass, so that memory does not grow with V; 0 is no limit.
        precision: "bfloat16" is quicker, with fewer digits; see :class:`PrecisionInferer`.
    """

    def __init__(self, clips_at_once: int = 0, precision: str = "float32") -> None:
        super().__init__()
        if clips_at_once < 0:
            raise ValueError(f"clips_at_once: expected a number of clips, not negative, found {clips_at_once}")
        self.clips_at_once, self.answer = clips_at_once, PrecisionInferer(precision)

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        """Return one number a clip, float32; a training wrapper that gives features too counts by its predictions."""
        clips = inputs.flatten(0, 1)
        parts = clips.split(self.clips_at_once or len(clips))
        outputs = [self.answer(part, network, *args, **kwargs) for part in parts]
        numbers = [output[0] if isinstance(output, tuple) else output for output in outputs]
        return torch.cat(numbers).float().reshape(inputs.shape[:2])
