"""What an evaluation writes: one row for each case, a table with intervals beside the published figures, figures."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ignite.engine import Engine

from ..files import write_csv
from ..training.processes import is_main_process
from .rows import Row, RowCollector, RowFunction
from .table import EvaluationRow, write_evaluation

Table = Callable[[list[Row], str], Sequence[EvaluationRow]]
Draw = Callable[[Path, list[Row], str], None]
MODEL = "model"
_LOG = logging.getLogger(__name__)


class Evaluation(RowCollector):
    """Writes `cases.csv`, `evaluation.csv`, `evaluation.json` and what `draw` makes after an evaluation.

    Args:
        output_dir: folder to write to.
        row: from one sample's batch and output dictionaries to a row, `case` first; may have an `attach(engine)` of
            its own, called first.
        table: from the rows, in order of their cases, and the model's name to the rows of the table.
        draw: from the folder, the rows and the model's name to figures and further tables; None for none.
        published: method -> metric -> the paper's figure; under "model" those of the model, whatever its name.
        method: the model's name in the table.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        row: RowFunction,
        table: Table,
        draw: Draw | None = None,
        published: Mapping[str, Mapping[str, float]] | None = None,
        method: str = MODEL,
    ) -> None:
        super().__init__(row)
        self.folder, self.table, self.draw, self.method = Path(output_dir), table, draw, method
        self.published = dict(published or {})

    def attach(self, engine: Engine, name: str = "") -> None:
        """Collect in `engine`."""
        if hasattr(self.row, "attach"):
            self.row.attach(engine)
        super().attach(engine, name)

    def finish(self, engine: Engine) -> None:
        """Write tables and figures, on the main process."""
        if is_main_process():
            self.write(self.rows)

    def write(self, rows: list[Row]) -> None:
        """Write tables and figures of `rows`."""
        rows = sorted(rows, key=lambda row: [str(row.get(key, "")) for key in ("case", "slice")])
        write_csv(self.folder / "cases.csv", [_plain(row) for row in rows])
        write_evaluation(self.folder, [self._beside_published(row) for row in self.table(rows, self.method)])
        if self.draw is not None:
            self.draw(self.folder, rows, self.method)
        cases = len({row.get("case") for row in rows})
        _LOG.info("%s: tables of %d cases (--split takes others)", self.folder, cases)

    def _beside_published(self, row: EvaluationRow) -> EvaluationRow:
        by_role = self.published.get(MODEL, {}) if row.method == self.method else {}
        known = self.published.get(row.method, by_role)
        return row._replace(published=known.get(row.metric, row.published))


def _plain(row: Row) -> Row:
    """Return the entries of a row that fit into a cell."""
    return {key: value for key, value in row.items() if not isinstance(value, (dict, list, tuple))}
