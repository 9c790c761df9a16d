"""Results of an inference, case by case: a case that cannot be written goes to `failed.csv`, the others go on."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from ..data.failures import FailureLog
from ..files import write_csv


class CaseResults(ABC):
    """Writes each case as soon as the network is through with it, and `predictions.csv` over all at the end.

    For engines that decollate (MONAI's default). Subclasses write the files of one case and return its row.

    Args:
        output_dir: folder to write to.
        failures: where a case goes whose results cannot be written.
        columns: columns of `predictions.csv`.
    """

    def __init__(self, output_dir: str | os.PathLike[str], failures: FailureLog, columns: Sequence[str]) -> None:
        self.folder, self.failures, self.columns = Path(output_dir), failures, columns
        self.rows: list[dict[str, Any]] = []

    def attach(self, engine: Engine) -> None:
        """Write during the run of `engine`."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    @abstractmethod
    def write_case(self, item: Any, result: Any) -> dict[str, Any]:
        """Write the files of one case and return its row of `predictions.csv`.

        Args:
            item: the case's entries of the batch, with "case".
            result: the case's entries of the output, with "pred".
        """

    def _start(self, engine: Engine) -> None:
        self.rows = []

    def _add(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        output: Any = engine.state.output
        for item, result in zip(batch, output, strict=True):
            with self.failures.guard(str(item["case"])):
                self.rows.append(self.write_case(item, result))

    def _finish(self, engine: Engine) -> None:
        write_csv(self.folder / "predictions.csv", self.rows, self.columns)
