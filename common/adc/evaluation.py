"""A segmentation of lesions scored by the challenge's rules, beside the untrained rule on the same cases."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..evaluation.intervals import bootstrap_interval, paired_difference
from ..evaluation.rows import Row
from ..evaluation.table import EvaluationRow
from ..figure import figure
from .scores import dice_score, lesion_size, lesion_size_class
from .surface import surface_scores

RULE = "rule Z < -2"
RULE_BELOW = -2.0
SIZE_CLASSES = ("none", "<1%", "1-5%", ">5%")
RESAMPLES = 2000


def lesion_row(item: Any, output: Any, tolerance_mm: float = 2.0) -> Row:
    """Return case, size and scores of one volume, the rule's under names that begin with `rule_`.

    Args:
        item: with `case`, `label` and `maps` (ADC and Z in 1e-6 mm2/s, background 0), which have an affine.
        output: with the mask `pred`.
        tolerance_mm: of the normalised surface Dice.
    """
    label, mask = (_plain(value)[0] > 0 for value in (item["label"], output["pred"]))
    adc, zmap = _plain(item["maps"])
    spacing = np.linalg.norm(np.asarray(item["maps"].affine)[:3, :3], axis=0)
    size = lesion_size(label, np.abs(adc), float(spacing.prod()))
    row: Row = {
        "case": str(item["case"]),
        "lesion_ml": size.volume_ml,
        "percent_of_brain": size.percent_of_brain,
        "size": lesion_size_class(size.percent_of_brain),
        "predicted_ml": lesion_size(mask, np.abs(adc), float(spacing.prod())).volume_ml,
    }
    for prefix, predicted in (("", mask), ("rule_", zmap < RULE_BELOW)):
        surface = surface_scores(predicted, label, spacing.tolist(), tolerance_mm)
        row |= {f"{prefix}dice": dice_score(predicted, label)}
        row |= {f"{prefix}masd_mm": surface.masd_mm, f"{prefix}nsd": surface.nsd}
    return row


def lesion_table(rows: Sequence[Row], method: str = "model", resamples: int = RESAMPLES) -> list[EvaluationRow]:
    """Return the scores of the model and of the rule, and their paired differences, with intervals over cases.

    MASD is undefined where one mask is empty: such cases are left out of its mean, and its count says so.

    Args:
        rows: from :func:`lesion_row`, of one evaluation or pooled over folds.
        method: the model's name.
        resamples: draws of the bootstrap.
    """
    return [
        *_scores(rows, method, "", resamples),
        *_scores(rows, RULE, "rule_", resamples),
        *_differences(rows, method, resamples),
    ]


def _scores(rows: Sequence[Row], method: str, prefix: str, resamples: int) -> list[EvaluationRow]:
    dice = {"Dice": [row[f"{prefix}dice"] for row in rows]}
    for size in SIZE_CLASSES:
        dice[f"Dice {size}"] = [row[f"{prefix}dice"] for row in rows if row["size"] == size]
    masd = [row[f"{prefix}masd_mm"] for row in rows if np.isfinite(row[f"{prefix}masd_mm"])]
    columns = {**dice, "MASD (mm)": masd, "NSD": [row[f"{prefix}nsd"] for row in rows]}
    return [
        EvaluationRow(method, name, bootstrap_interval(np.mean, values, resamples=resamples))
        for name, values in columns.items()
        if values
    ]


def _differences(rows: Sequence[Row], method: str, resamples: int) -> list[EvaluationRow]:
    """Return the paired differences between model and rule; MASD over the cases where both are defined."""
    result = []
    for name, key in (("Dice", "dice"), ("MASD (mm)", "masd_mm"), ("NSD", "nsd")):
        pairs = np.array([(row[key], row[f"rule_{key}"]) for row in rows], dtype=float)
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        if len(pairs):
            difference = paired_difference(pairs[:, 0], pairs[:, 1], resamples=resamples)
            result.append(EvaluationRow(f"{method} - rule, paired", name, difference))
    return result


def draw_lesions(folder: Path, rows: Sequence[Row], method: str = "model") -> None:
    """Write `cases.png`: Dice of the model against Dice of the rule, case by case."""
    with figure(folder / "cases.png", 4.4, 4.6) as made:
        axes = made.add_subplot()
        axes.plot([0, 1], [0, 1], color="0.7", linestyle=":")
        for size, marker in zip(SIZE_CLASSES, "xo^s", strict=True):
            chosen = [row for row in rows if row["size"] == size]
            name = "no lesion" if size == "none" else f"lesion {size} of the brain"
            points = [row["rule_dice"] for row in chosen], [row["dice"] for row in chosen]
            if chosen:
                axes.scatter(*points, marker=marker, s=22, label=f"{name} (n = {len(chosen)})")
        axes.set(xlabel="Dice of the rule Z < -2", ylabel=f"Dice of {method}", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axes.set(title="each case: above the line, the model is better", aspect="equal")
        axes.legend(fontsize=7, frameon=False, loc="lower right")


def _plain(value: Any) -> NDArray:
    return torch.as_tensor(value).detach().cpu().numpy()
