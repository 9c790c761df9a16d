"""Results of an inference, case by case: a case that cannot be written goes to `failed.csv`, the others go on."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from ..data.failures import FailureLog
from ..data.output import safe_name
from ..figure import NOTE
from ..files import append_csv, write_csv, write_json

TABLE = "predictions.csv"


class CaseResults(ABC):
    """Writes each case as soon as all its parts have passed the network, and its row of `predictions.csv`.

    For engines that decollate (MONAI's default). A case may have several parts (slices of a patient), which may come
    in any order and between those of other cases; the last one says their number under `parts`. Subclasses write the
    files of one case and return its row.

    Args:
        failures: where a case goes whose results cannot be written; its folder is where results are written.
        columns: columns of `predictions.csv`.
        weights: which weights made the results, named in every JSON file.
    """

    def __init__(self, failures: FailureLog, columns: Sequence[str], weights: Any = "") -> None:
        self.failures, self.output, self.columns, self.weights = failures, failures.output, columns, str(weights)
        self.rows: dict[str, dict[str, Any]] = {}

    def attach(self, engine: Engine) -> None:
        """Write during the run of `engine`."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    @abstractmethod
    def write_case(self, case: str, parts: list[Any]) -> dict[str, Any]:
        """Write the files of one case and return its row of `predictions.csv`, without `case`.

        Args:
            case: name of the case.
            parts: what :meth:`part` made of each of its parts, in the order of their arrival.
        """

    def part(self, item: Any, result: Any) -> Any:
        """Return what is kept of one part until its case is complete.

        Args:
            item: the part's entries of the batch, with "case".
            result: the part's entries of the output, with "pred".
        """
        return item, result

    def file(self, case: str, ending: str) -> Path:
        """Return the path of a file of `case`, such as `CASE.png` for the ending ".png"."""
        path = self.output.file(safe_name(case) + ending)
        self._files.setdefault(case, []).append(path)
        return path

    def write_json(self, case: str, values: Mapping[str, Any]) -> None:
        """Write `CASE.json`: the case, `values`, the weights and what the results are not for."""
        write_json(self.file(case, ".json"), {"case": case, **values, "weights": self.weights, "note": NOTE})

    def _start(self, engine: Engine) -> None:
        self.rows = {}
        self._parts: dict[str, list[Any]] = {}
        self._expected: dict[str, int] = {}
        self._files: dict[str, list[Path]] = {}
        write_csv(self.output.file(TABLE), [], self.columns)

    def _add(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        output: Any = engine.state.output
        for item, result in zip(batch, output, strict=True):
            case = str(item["case"])
            self._expected[case] = max(self._expected.get(case, 0), int(item.get("parts", 1)))
            parts = self._parts.setdefault(case, [])
            with self.failures.guard(case):
                parts.append(self.part(item, result))
            if self._expected[case] == len(parts):
                self._close(case)

    def _close(self, case: str) -> None:
        parts = self._parts.pop(case)
        try:
            row = {"case": case, **self.write_case(case, parts)}
        except Exception as error:  # any reason may take one case down, none may take the others with it
            self.failures.add(case, error)
            for path in self._files.pop(case, []):
                path.unlink(missing_ok=True)
            return
        self.rows[case] = row
        append_csv(self.output.file(TABLE), row, self.columns)

    def _finish(self, engine: Engine) -> None:
        for case in sorted(set(self._parts) - {row["case"] for row in self.failures.failures()}):
            self.failures.add(case, f"expected all parts of the case, found {len(self._parts[case])} before the end")
        self._parts = {}
        write_csv(self.output.file(TABLE), [self.rows[case] for case in sorted(self.rows)], self.columns)
