"""One row a sample over an epoch and over all processes, and the metrics that rows give."""

from collections.abc import Callable
from typing import Any

from ignite.engine import Engine, Events

from ..training.processes import gather_rows

Row = dict[str, Any]
RowFunction = Callable[[Any, Any], Row]
_TRUTH = ("label", "ef")  # what a case has whatever a network says, and whatever it is computed beside


class RowCollector:
    """Collects `row(batch_item, output_item)` of every sample of an epoch; `rows` holds those of all processes.

    For engines that decollate (MONAI's default). Subclasses say in :meth:`finish` what becomes of the rows.

    Args:
        row: from one sample's batch and output dictionaries to a row of plain values (`case` first).
    """

    def __init__(self, row: RowFunction) -> None:
        self.row = row
        self.rows: list[Row] = []

    def attach(self, engine: Engine, name: str = "") -> None:
        """Collect in `engine`; `name` is what :meth:`finish` may call its result."""
        self.name = name
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._gather)

    def _start(self, engine: Engine) -> None:
        self.rows = []

    def _add(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        output: Any = engine.state.output
        self.rows += [self.row(item, result) for item, result in zip(batch, output, strict=True)]

    def _gather(self, engine: Engine) -> None:
        self.rows = _without_repeats(gather_rows(self.rows))
        self.finish(engine)

    def finish(self, engine: Engine) -> None:
        """Do with `rows` what the subclass is for."""


class RowMetric(RowCollector):
    """A metric of all rows of an epoch, as a key metric or an additional metric of MONAI's engines.

    Args:
        row: as in :class:`RowCollector`.
        statistic: from the rows to a number.
    """

    def __init__(self, row: RowFunction, statistic: Callable[[list[Row]], float]) -> None:
        super().__init__(row)
        self.statistic = statistic

    def finish(self, engine: Engine) -> None:
        """Put the number into `engine.state.metrics` under the name it was attached with."""
        engine.state.metrics[self.name] = float(self.statistic(self.rows))


def _without_repeats(rows: list[Row]) -> list[Row]:
    """Return the rows, each sample once: distributed samplers repeat some to give every process the same number.

    Raises:
        ValueError: if two samples share a name and differ.
    """
    kept: dict[tuple, Row] = {}
    for number, row in enumerate(rows):
        key = tuple(row.get(name) for name in ("case", "slice"))
        first = kept.setdefault((number,) if key[0] is None else key, row)
        if [str(first.get(name)) for name in _TRUTH] != [str(row.get(name)) for name in _TRUTH]:
            raise ValueError(f"expected each case once, found two that are called {row['case']}; rename one of them")
    return list(kept.values())
