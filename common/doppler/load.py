"""Items of a Doppler datalist to tensors."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import TransformBackends
from torch import Tensor

from ..errors import UnusableFileError
from .labels import WAVES
from .reader import read_doppler


class LoadDopplerd(MapTransform):
    """Read the file under each key: image (1, H, W) in [0, 1], its box (4,), and calibration (3,).

    Box and calibration in the item (from labels.csv) go before the file's own; without a calibration it is NaN, and
    results stay in pixels. Peaks of the item become (2, K, 2), E before A, x before y, NaN where a wave has fewer.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 - MONAI declares a list

    def __init__(self, keys: KeysCollection = "image", max_peaks: int = 32) -> None:
        """Keep the settings; `max_peaks` is K, the largest number of peaks of a wave in an image."""
        super().__init__(keys)
        self.max_peaks = max_peaks

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the item with tensors; the input mapping is left as it was.

        Raises:
            UnusableFileError: if the file cannot be used, or the item names a problem.
            ValueError: if a wave has more than K peaks.
        """
        d = dict(data)
        if "problem" in d:
            raise UnusableFileError(d["problem"])
        for key in self.key_iterator(d):
            image = read_doppler(d[key])
            calibration = d.get("calibration") or image.calibration or (math.nan,) * 3
            d[key] = torch.from_numpy(image.pixels)[None]
            d["box"] = torch.tensor(d.get("box") or image.box)
            d["calibration"] = torch.tensor(calibration, dtype=torch.float64)
        if "peaks" in d:
            d["peaks"] = stacked_peaks(d["peaks"], self.max_peaks)
        return d


def stacked_peaks(peaks: Mapping[str, Any], max_peaks: int) -> Tensor:
    """Return (2, K, 2) float32 points of the waves E and A, NaN where there are fewer than `max_peaks`.

    Raises:
        ValueError: if a wave has more.
    """
    stacked = torch.full((len(WAVES), max_peaks, 2), math.nan)
    for index, wave in enumerate(WAVES):
        if len(peaks[wave]) > max_peaks:
            raise ValueError(f"expected at most {max_peaks} {wave} peaks in an image, found {len(peaks[wave])}")
        if peaks[wave]:
            stacked[index, : len(peaks[wave])] = torch.tensor(peaks[wave])
    return stacked
