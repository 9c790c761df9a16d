"""Volumes as slices for training."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from monai.data import Dataset
from torch import Tensor
from tqdm import tqdm

from ..errors import NoDataError

logger = logging.getLogger(__name__)


class SliceDataset(Dataset):
    """The slices, along the last axis, of volumes that are read and prepared once and kept in memory.

    A volume that cannot be read or prepared is left out, with the reason in the log; slices without brain are left out.

    Args:
        data: one item a volume, with "case".
        transform: prepares a volume, once; gives `keys` of shape (C, H, W, D).
        slice_transform: what each access does to a slice, with its chance; it becomes the attribute `transform`.
        keys: entries that are cut into slices, the image first.
        background: value outside the brain.
        progress: whether to show a bar.

    Raises:
        NoDataError: if no volume is left.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[Any], Any],
        slice_transform: Callable[[Any], Any] | None = None,
        keys: Sequence[str] = ("image", "label"),
        background: float = -6.0,
        progress: bool = True,
    ) -> None:
        slices: list[dict[str, Any]] = []
        for item in tqdm(data, "reading volumes", disable=not progress):
            try:
                volume = transform(item)
            except Exception as error:  # one bad case never takes the others down
                logger.warning(f"{item.get('case')} is left out of the training: {error.__cause__ or error}")
                continue
            slices += _slices(volume, keys, background)
        if not slices:
            raise NoDataError(f"data: expected volumes to train on, found none that can be used among {len(data)}")
        super().__init__(slices, slice_transform)


def _slices(volume: Mapping[str, Any], keys: Sequence[str], background: float) -> list[dict[str, Any]]:
    maps: dict[str, Tensor] = {key: torch.as_tensor(volume[key]).as_subclass(Tensor) for key in keys}
    kept = brain_slices(maps[keys[0]], background).tolist()
    return [
        {"case": volume.get("case", ""), "slice_number": index}
        | {key: values[..., index].contiguous() for key, values in maps.items()}
        for index in kept
    ]


def brain_slices(volume: Tensor, background: float) -> Tensor:
    """Return the indices (N,) of the slices along the last axis of `volume` (C, H, W, D) that hold any brain."""
    return torch.nonzero((volume != background).flatten(0, 2).any(dim=0))[:, 0]
