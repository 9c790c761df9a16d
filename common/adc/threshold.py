"""The threshold of a lesion's probability: the one with the best Dice over cases, kept beside the model, and used."""

import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine
from monai.config import KeysCollection
from monai.transforms import MapTransform
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ..errors import UnusableFileError
from ..files import read_sealed_json, write_sealed_json
from ..training.weights import sha256_of

THRESHOLD_COUNT = 200


def thresholds() -> NDArray[np.float64]:
    """Return the 200 probabilities between 0 and 1 that are tried."""
    return np.arange(1, THRESHOLD_COUNT + 1) / (THRESHOLD_COUNT + 1)


def dice_by_threshold(probability: ArrayLike, reference: ArrayLike) -> NDArray[np.float64]:
    """Return the Dice (200,) of the masks `probability >= t` for each threshold; 1 where both masks are empty.

    Voxels are counted once, by the number of thresholds that their probability reaches.

    Args:
        probability: any shape, in [0, 1].
        reference: same shape, lesion where positive.
    """
    reached = np.searchsorted(thresholds(), np.ravel(np.asarray(probability, dtype=np.float64)), side="right")
    lesion = np.ravel(np.asarray(reference)) > 0
    called, hit = (
        np.bincount(part, minlength=THRESHOLD_COUNT + 1)[::-1].cumsum()[::-1][1:] for part in (reached, reached[lesion])
    )
    total = called + int(lesion.sum())
    return np.where(total > 0, 2 * hit / np.maximum(total, 1), 1.0)


def lesion_threshold_row(batch: Any, output: Any) -> dict[str, Any]:
    """Return case and Dice by threshold of one volume.

    Args:
        batch: with `label`, and `case` or an `image` that knows its file.
        output: with `pred`, the probability of a lesion.
    """
    label = batch["label"].detach().cpu().numpy()
    case = batch["case"] if "case" in batch else batch["image"].meta["filename_or_obj"]
    return {"case": str(case), "dice": dice_by_threshold(output["pred"].detach().cpu().numpy(), label)}


def best_lesion_dice(rows: Sequence[dict[str, Any]]) -> float:
    """Return the mean Dice over the volumes at the threshold where it is highest."""
    return float(np.mean([row["dice"] for row in rows], axis=0).max())


def best_lesion_threshold(rows: Sequence[dict[str, Any]]) -> float:
    """Return the threshold with the highest mean Dice over the volumes; the middle one of several."""
    mean = np.mean([row["dice"] for row in rows], axis=0)
    best = np.flatnonzero(mean >= mean.max() - 1e-12)
    return float(thresholds()[best[len(best) // 2]])


class KeepThreshold:
    """Writes the threshold of the validation that a model was kept for, with the SHA-256 of that model.

    Args:
        evaluator: engine that has the threshold in `state.metrics`.
        path: JSON file beside the model.
        metric: name of the threshold among the metrics.
    """

    def __init__(self, evaluator: Engine, path: str | os.PathLike[str], metric: str = "threshold") -> None:
        self.evaluator, self.path, self.metric = evaluator, path, metric

    def __call__(self, sha256: str) -> None:
        """Write for the model with this SHA-256."""
        threshold = float(self.evaluator.state.metrics[self.metric])
        write_sealed_json(self.path, {"threshold": threshold, "model_sha256": sha256})


def load_threshold(path: str | os.PathLike[str], weights: str | os.PathLike[str] | None = None) -> float:
    """Return the threshold that :class:`KeepThreshold` wrote.

    Args:
        path: its JSON file.
        weights: the model that it is used with; where the file names its model, it must be this one.

    Raises:
        FileNotFoundError: if there is no such file.
        UnusableFileError: if it holds no threshold between 0 and 1, or that of another model; if it
            is damaged, or was edited without removing its digest.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{path}: expected the threshold of a training, found no file; train, or set one")
    content = read_sealed_json(file, "a threshold as JSON", "train, or set one (--threshold)")
    stored = content if isinstance(content, dict) else {}
    if not _is_threshold(stored.get("threshold")):
        raise UnusableFileError(f"{path}: expected a threshold in [0, 1], found {stored.get('threshold')!r}")
    model = stored.get("model_sha256")
    if model and weights is not None and Path(weights).is_file() and model != sha256_of(weights):
        raise UnusableFileError(
            f"{path}: expected the threshold of {weights}, found that of another model; set one (--threshold), or put "
            "each model beside its own threshold"
        )
    return float(stored["threshold"])


class StoredThresholdd(MapTransform):
    """Turns probabilities into masks (uint8): 1 where the probability reaches the threshold.

    Args:
        keys: probabilities.
        threshold: in [0, 1]; None reads it from `path` when it is first needed.
        path, weights: as in :func:`load_threshold`.
        allow_missing_keys: whether an entry may be missing.

    Raises:
        ValueError: if neither is given, or the threshold is no number in [0, 1].
    """

    def __init__(
        self,
        keys: KeysCollection,
        threshold: float | None = None,
        path: str | os.PathLike[str] | None = None,
        weights: str | os.PathLike[str] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if threshold is None and path is None:
            raise ValueError("threshold, path: expected one of them, found none")
        if threshold is not None and not _is_threshold(threshold):
            raise ValueError(f"threshold: expected a probability in [0, 1], found {threshold!r}")
        self._threshold, self.path, self.weights = threshold, path, weights

    @property
    def threshold(self) -> float:
        """The threshold in use."""
        if self._threshold is None:
            self._threshold = load_threshold(self.path or "", self.weights)
        return self._threshold

    def __call__(self, data: Mapping[Hashable, Tensor]) -> dict[Hashable, Tensor]:
        """Threshold the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = (d[key] >= self.threshold).byte()
        return d


def _is_threshold(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
