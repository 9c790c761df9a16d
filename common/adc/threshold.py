"""Dice of a lesion at many thresholds at once, and the threshold that is best over cases."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

THRESHOLD_COUNT = 200


def thresholds() -> NDArray[np.float64]:
    """Return the 200 probabilities between 0 and 1 that are tried."""
    return np.arange(1, THRESHOLD_COUNT + 1) / (THRESHOLD_COUNT + 1)


def dice_by_threshold(probability: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """Return the Dice (200,) of the masks `probability >= t` for each threshold; 1 where both masks are empty.

    Voxels are counted once, by the number of thresholds that their probability reaches.

    Args:
        probability: any shape, in [0, 1].
        truth: same shape, lesion where positive.
    """
    reached = np.searchsorted(thresholds(), np.ravel(np.asarray(probability, dtype=np.float64)), side="right")
    lesion = np.ravel(np.asarray(truth)) > 0
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
