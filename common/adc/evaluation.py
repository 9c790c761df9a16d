"""A segmentation of lesions scored by the challenge's rules, beside the untrained rule on the same cases."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from numpy.typing import NDArray

from ..evaluation.intervals import Interval, bootstrap_interval, paired_difference
from ..evaluation.rows import Row, RowCollector
from ..evaluation.table import EvaluationRow, write_evaluation
from ..files import replacing, write_csv
from ..training.processes import is_main_process
from .scores import dice_score, lesion_size, lesion_size_class
from .surface import surface_scores

RULE = "rule"
SIZE_CLASSES = ("none", "<1%", "1-5%", ">5%")
# Five-fold cross-validation of LADP, decoder only (table 1); for the rule its scores on the challenge's hidden test.
PUBLISHED = {
    "model": {
        "Dice": 0.5934,
        "Dice <1%": 0.5164,
        "Dice 1-5%": 0.7071,
        "Dice >5%": 0.6546,
        "MASD (mm)": 2.4886,
        "NSD": 0.781,
    },
    RULE: {"Dice": 0.5828, "MASD (mm)": 3.26, "NSD": 0.684},
}


class LesionEvaluation(RowCollector):
    """Writes `cases.csv`, `evaluation.csv`, `evaluation.json` and `cases.png` after an evaluation.

    An item has `case`, `label` and `maps` (ADC and Z in 1e-6 mm2/s, background 0) with an affine; an output has the
    mask `pred`. MASD is undefined where one mask is empty: such cases are left out of its mean, and its count says so.

    Args:
        output_dir: folder to write to.
        method: the model's name in the table.
        rule_below: Z below which the untrained rule calls a voxel lesion.
        tolerance_mm: of the normalised surface Dice.
        resamples: draws of the bootstrap.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        method: str = "model",
        rule_below: float = -2.0,
        tolerance_mm: float = 2.0,
        resamples: int = 2000,
    ) -> None:
        super().__init__(self.score)
        self.folder, self.method, self.resamples = Path(output_dir), method, resamples
        self.rule_below, self.tolerance_mm = rule_below, tolerance_mm

    def score(self, item: Any, output: Any) -> Row:
        """Return case, size and scores of one volume, the rule's under names that begin with `rule_`."""
        label, mask = (_plain(value)[0] > 0 for value in (item["label"], output["pred"]))
        adc, zmap = _plain(item["maps"])
        spacing = np.linalg.norm(np.asarray(item["maps"].affine)[:3, :3], axis=0)
        size = lesion_size(label, np.abs(adc), float(spacing.prod()))
        row: Row = {
            "case": str(item["case"]),
            "lesion_ml": size.volume_ml,
            "percent_of_brain": size.percent_of_brain,
            "size": lesion_size_class(size.percent_of_brain),
            "found_ml": lesion_size(mask, np.abs(adc), float(spacing.prod())).volume_ml,
        }
        for prefix, called in (("", mask), ("rule_", zmap < self.rule_below)):
            surface = surface_scores(called, label, spacing.tolist(), self.tolerance_mm)
            row |= {f"{prefix}dice": dice_score(called, label)}
            row |= {f"{prefix}masd_mm": surface.masd_mm, f"{prefix}nsd": surface.nsd}
        return row

    def finish(self, engine: Engine) -> None:
        """Write the tables and the picture, on the main process."""
        if is_main_process():
            write_lesion_evaluation(self.folder, self.rows, self.method, self.resamples)


def write_lesion_evaluation(folder: Path, rows: Sequence[Row], method: str = "model", resamples: int = 2000) -> None:
    """Write the per-case table, the summary with intervals and the picture of `rows` to `folder`.

    Args:
        folder: where to.
        rows: from :meth:`LesionEvaluation.score`, of one evaluation or pooled over folds.
        method: the model's name.
        resamples: draws of the bootstrap.
    """
    ordered = sorted(rows, key=lambda row: str(row["case"]))
    write_csv(folder / "cases.csv", ordered)
    table = [
        *_scores(ordered, method, "", PUBLISHED["model"], resamples),
        *_scores(ordered, f"{RULE} Z < -2", "rule_", PUBLISHED[RULE], resamples),
        *_differences(ordered, method, resamples),
    ]
    write_evaluation(folder, table)
    _draw(folder / "cases.png", ordered, method)


def _scores(
    rows: Sequence[Row], method: str, prefix: str, published: dict[str, float], resamples: int
) -> list[EvaluationRow]:
    dice = {"Dice": [row[f"{prefix}dice"] for row in rows]}
    for size in SIZE_CLASSES:
        dice[f"Dice {size}"] = [row[f"{prefix}dice"] for row in rows if row["size"] == size]
    masd = [row[f"{prefix}masd_mm"] for row in rows if np.isfinite(row[f"{prefix}masd_mm"])]
    columns = {**dice, "MASD (mm)": masd, "NSD": [row[f"{prefix}nsd"] for row in rows]}
    return [
        EvaluationRow(method, name, bootstrap_interval(_mean, values, resamples=resamples), published.get(name))
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
            difference: Interval = paired_difference(pairs[:, 0], pairs[:, 1], resamples=resamples)
            result.append(EvaluationRow(f"{method} - {RULE}, paired", name, difference))
    return result


def _draw(path: Path, rows: Sequence[Row], method: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    for size, marker in zip(SIZE_CLASSES, "xo^s", strict=True):
        chosen = [row for row in rows if row["size"] == size]
        if chosen:
            label = (
                f"lesion {size} of the brain (n = {len(chosen)})"
                if size != "none"
                else f"no lesion (n = {len(chosen)})"
            )
            axes.scatter(
                [r["rule_dice"] for r in chosen], [r["dice"] for r in chosen], marker=marker, s=22, label=label
            )
    axes.set(xlabel="Dice of the rule Z < -2", ylabel=f"Dice of {method}", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes.set(title="each case: above the line, the model is better", aspect="equal")
    axes.legend(fontsize=7, frameon=False, loc="lower right")
    figure.supxlabel("research use only", fontsize=7, color="0.4")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _mean(values: NDArray) -> float:
    return float(np.mean(values))


def _plain(value: Any) -> NDArray:
    return torch.as_tensor(value).detach().cpu().numpy()
