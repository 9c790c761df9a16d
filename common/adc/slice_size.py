"""Slices in a network's size and back: one pair of functions for training and inference."""

from collections.abc import Hashable, Mapping, Sequence

from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils.enums import TransformBackends
from torch import Tensor
from torch.nn import functional


def fit_slices(slices: Tensor, size: Sequence[int], background: float = 0.0, nearest: bool = False) -> Tensor:
    """Return slices resized to fill `size` as far as their aspect allows, centred on `background`.

    Args:
        slices: (N, C, H, W).
        size: height and width to reach.
        background: value beside slices of another aspect.
        nearest: whether pixels are picked (annotations), not interpolated linearly.
    """
    inner = _inner_size(slices.shape[2:], size)
    fitted = _resized(slices, inner, nearest)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    if inner == tuple(size):
        return fitted
    sides = (left, size[1] - inner[1] - left, top, size[0] - inner[0] - top)
    return functional.pad(fitted, sides, value=background)


def unfit_slices(slices: Tensor, shape: Sequence[int]) -> Tensor:
    """Return slices (N, C, h, w), made by :func:`fit_slices` from slices of `shape` (H, W), in that shape again."""
    size = slices.shape[2:]
    inner = _inner_size(shape, size)
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    return _resized(slices[:, :, top : top + inner[0], left : left + inner[1]], tuple(shape), nearest=False)


class FitSliced(MapTransform):
    """Brings slices (C, H, W) to a network's size: images linearly, annotations by the nearest pixel.

    Args:
        keys: images.
        size: height and width.
        label_keys: annotations; those that an item lacks are passed over.
        background: value beside images of another aspect; annotations get 0.
        allow_missing_keys: whether an image may be missing.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI declares it as an instance's)

    def __init__(
        self,
        keys: KeysCollection,
        size: Sequence[int] = (256, 256),
        label_keys: Sequence[str] = ("label",),
        background: float = -6.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size, self.label_keys, self.background = tuple(size), tuple(label_keys), background

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Resize the entries under `keys` and `label_keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = fit_slices(d[key][None], self.size, self.background)[0]
        for key in (key for key in self.label_keys if key in d):
            d[key] = fit_slices(d[key][None].float(), self.size, nearest=True)[0]
        return d


def _inner_size(shape: Sequence[int], size: Sequence[int]) -> tuple[int, int]:
    """Return the size of the slice inside `size`; its margins are equal, so that fitting commutes with flips."""
    scale = min(size[0] / shape[0], size[1] / shape[1])
    height, width = (max(round(side * scale), 1) for side in shape)
    return height - (size[0] - height) % 2 or 2, width - (size[1] - width) % 2 or 2


def _resized(slices: Tensor, size: tuple[int, ...], nearest: bool) -> Tensor:
    if tuple(slices.shape[2:]) == tuple(size):
        return slices
    if nearest:
        return functional.interpolate(slices, size, mode="nearest-exact")
    # Only where it shrinks: averaging over the pixels that fall together.
    shrinks = size[0] < slices.shape[2] or size[1] < slices.shape[3]
    return functional.interpolate(slices, size, mode="bilinear", align_corners=False, antialias=shrinks)
