"""How much of a corruption a restoration takes back."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def restoration_row(batch: Any, output: Any) -> dict[str, Any]:
    """Return case, slice and the mean squared errors of one sample before and after restoration.

    Args:
        batch: with `case` and `slice_number`.
        output: with `image` (corrupted), `label` (original) and `pred` (restored), all of one shape.
    """
    image, original, restored = (output[key].float() for key in ("image", "label", "pred"))
    return {
        "case": str(batch["case"]),
        "slice": int(batch["slice_number"]),
        "corrupted_mse": _mse(image, original),
        "restored_mse": _mse(restored, original),
    }


def restoration_ratio(rows: Sequence[dict[str, Any]]) -> float:
    """Return the summed error after restoration over that before: 1 restores nothing, 0 everything."""
    return sum(row["restored_mse"] for row in rows) / sum(row["corrupted_mse"] for row in rows)


def restored_mse(rows: Sequence[dict[str, Any]]) -> float:
    """Return the mean squared error after restoration over all samples, z-scored units."""
    return sum(row["restored_mse"] for row in rows) / len(rows)


def _mse(first: Tensor, second: Tensor) -> float:
    return float((first - second).square().mean())
