"""Masks from probabilities at the threshold that the training chose."""

import json
import os
from collections.abc import Hashable, Mapping
from pathlib import Path

from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor

from ..errors import UnusableFileError


def load_threshold(path: str | os.PathLike[str]) -> float:
    """Return the entry `threshold` of the JSON file that a training writes beside its model.

    Raises:
        FileNotFoundError: if there is no such file.
        UnusableFileError: if it holds no threshold between 0 and 1.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{path}: expected the threshold of a training, found no file; train, or set one")
    content = json.loads(file.read_text(encoding="utf-8"))
    threshold = content.get("threshold") if isinstance(content, dict) else None
    if not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
        raise UnusableFileError(f"{path}: expected a threshold in [0, 1], found {threshold!r}")
    return float(threshold)


class StoredThresholdd(MapTransform):
    """Turns probabilities into masks (uint8): 1 where the probability reaches the threshold.

    Args:
        keys: probabilities.
        threshold: in [0, 1]; None reads it from `path` when it is first needed.
        path: file of the training, see :func:`load_threshold`.
        allow_missing_keys: whether an entry may be missing.

    Raises:
        ValueError: if neither is given, or the threshold is outside [0, 1].
    """

    def __init__(
        self,
        keys: KeysCollection,
        threshold: float | None = None,
        path: str | os.PathLike[str] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if threshold is None and path is None:
            raise ValueError("threshold, path: expected one of them, found none")
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"threshold: expected a probability in [0, 1], found {threshold}")
        self._threshold, self.path = threshold, path

    @property
    def threshold(self) -> float:
        """The threshold in use."""
        if self._threshold is None:
            self._threshold = load_threshold(self.path or "")
        return self._threshold

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Threshold the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = (d[key] >= self.threshold).byte()
        return d
