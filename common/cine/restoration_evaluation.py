"""What an evaluation of the first stage of heart-failure classification leaves behind."""

import os
from pathlib import Path

import numpy as np
from ignite.engine import Engine
from numpy.typing import NDArray

from common.evaluation.intervals import bootstrap_interval
from common.evaluation.restoration import restoration_row
from common.evaluation.rows import RowCollector
from common.evaluation.table import EvaluationRow, write_evaluation
from common.files import write_csv
from common.training.processes import is_main_process


class RestorationEvaluation(RowCollector):
    """Writes `sections.csv`, `evaluation.csv` and `evaluation.json`: errors of the sections before and after.

    The corrupted sections themselves stand beside the restored ones as the baseline. Intervals are over sections.

    Args:
        output_dir: folder to write to.
        method: the model's name in the table.
    """

    def __init__(self, output_dir: str | os.PathLike[str], method: str = "model") -> None:
        super().__init__(restoration_row)
        self.folder, self.method = Path(output_dir), method

    def finish(self, engine: Engine) -> None:
        """Write the tables, on the main process."""
        if not is_main_process():
            return
        write_csv(self.folder / "sections.csv", self.rows)
        corrupted, restored = (
            np.array([row[f"{kind}_mse"] for row in self.rows]) for kind in ("corrupted", "restored")
        )
        rows = [
            EvaluationRow(self.method, "MSE (z-scored)", bootstrap_interval(_mean, restored)),
            EvaluationRow(self.method, "MSE, restored / corrupted", bootstrap_interval(_ratio, restored, corrupted)),
            EvaluationRow("no restoration", "MSE (z-scored)", bootstrap_interval(_mean, corrupted)),
        ]
        write_evaluation(self.folder, rows)


def _mean(values: NDArray) -> float:
    return float(values.mean())


def _ratio(restored: NDArray, corrupted: NDArray) -> float:
    return float(restored.sum() / corrupted.sum())
