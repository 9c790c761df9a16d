"""Several clips of a video in one batch: as views while training, averaged while testing."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from monai.engines.utils import PrepareBatch
from monai.inferers.inferer import Inferer
from torch import Tensor

from ..training.precision import PrecisionInferer


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
