"""The table that every evaluation ends with: methods in rows beside each other, with intervals and case counts."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..files import write_csv, write_json
from .intervals import Interval

COLUMNS = ("method", "metric", "value", "low", "high", "cases", "published")


class EvaluationRow(NamedTuple):
    """One figure of one method.

    Args:
        method: `model`, or the baseline's name.
        metric: name with unit, such as `patient AUC` or `MAE (EF points)`.
        result: value with its 95 % interval and case count.
        published: the paper's figure, None where it gives none.
    """

    method: str
    metric: str
    result: Interval
    published: float | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the row with the columns of the table."""
        shown = [self.method, self.metric, *(round(x, 6) for x in self.result[:3]), self.result.cases]
        return dict(zip(COLUMNS, [*shown, "" if self.published is None else self.published], strict=True))


def read_evaluation(output_dir: str | os.PathLike[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the rows of `evaluation.json` in a folder, by method and metric."""
    rows = json.loads((Path(output_dir) / "evaluation.json").read_text(encoding="utf-8"))
    return {(row["method"], row["metric"]): row for row in rows}


def write_evaluation(output_dir: str | os.PathLike[str], rows: Sequence[EvaluationRow]) -> None:
    """Write `evaluation.csv` and `evaluation.json`, and log the table; the demo's report shows it."""
    table = [row.as_dict() for row in rows]
    write_csv(Path(output_dir) / "evaluation.csv", table, COLUMNS)
    write_json(Path(output_dir) / "evaluation.json", table)
