"""Cross-validation as one command: every fold trained and evaluated, all cases in one table."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..bundle import run_bundle
from ..files import read_csv

logger = logging.getLogger(__name__)


class CrossValidation:
    """Runs the stages of a bundle for each fold, then hands the pooled rows of all folds to `summary`.

    Each fold has its own folder `fold_N` with models and outputs; a fold whose table is there is not run again.

    Args:
        bundle_root: folder of the bundle.
        output_dir: folder for the folds and the summary.
        folds: number of folds.
        summary: from the output folder and the rows of `cases.csv` of all folds to files.
        stages: run ids in order, among "pretraining", "training" and "evaluating".
        settings: overrides for every stage, as on the command line.
    """

    configs: Mapping[str, Sequence[str]] = {
        "pretraining": ("pretrain.json",),
        "training": ("train.json",),
        "evaluating": ("train.json", "evaluate.json"),
    }

    def __init__(
        self,
        bundle_root: str | os.PathLike[str],
        output_dir: str | os.PathLike[str],
        folds: int,
        summary: Callable[[Path, Sequence[Mapping[str, Any]]], None],
        stages: Sequence[str] = ("pretraining", "training", "evaluating"),
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        unknown = set(stages) - set(self.configs)
        if unknown:
            raise ValueError(f"stages: expected some of {list(self.configs)}, found {sorted(unknown)}")
        self.root, self.folder, self.folds, self.summary = str(bundle_root), Path(output_dir), folds, summary
        self.stages, self.settings = list(stages), dict(settings or {})

    def run(self) -> None:
        """Run what is missing and write the summary."""
        rows: list[dict[str, Any]] = []
        for fold in range(self.folds):
            table = self.folder / f"fold_{fold}" / "evaluating" / "cases.csv"
            if not table.is_file():
                self._run_fold(fold)
            rows += [{name: _number(cell) for name, cell in row.items()} for row in read_csv(table)]
        self.summary(self.folder, rows)
        logger.info(f"{len(rows)} cases of {self.folds} folds: {self.folder}")

    def _run_fold(self, fold: int) -> None:
        folder = self.folder / f"fold_{fold}"
        for stage in self.stages:
            logger.info(f"fold {fold} of {self.folds}: {stage}")
            overrides = {"fold": fold, "folds": self.folds, "model_dir": str(folder / "models")}
            run_bundle(
                self.root, stage, self.configs[stage], {**self.settings, **overrides, "output_dir": str(folder / stage)}
            )


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell
