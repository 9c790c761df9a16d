"""Results of an inference, case by case: a case that cannot be written goes to `failed.csv`, the others go on."""

import json
import logging
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from ..data.dicom_source import dicom_files
from ..data.failures import FailureLog
from ..data.output import safe_name
from ..figure import NOTE
from ..files import append_csv, as_given, read_csv, write_csv, write_json
from ..training.processes import gather_rows, wait_for_all
from .dicom_images import Segment
from .dicom_report import Report
from .familiarity import LIMIT, FamiliarityCheck
from .made_by import made_by

logger = logging.getLogger(__name__)

TABLE = "predictions.csv"
FAMILIARITY_COLUMNS = ("familiarity", "unlike_training")
DOUBTS = "doubts"
_NAMED = 10


class CaseResults(ABC):
    """Writes each case as soon as all its parts have passed the network, and its row of `predictions.csv`.

    For engines that decollate (MONAI's default). A case may have several parts (slices of a patient), which may come
    in any order and between those of other cases; the last one says their number under `parts`. Subclasses write the
    files of one case and return its row. At the end each case that failed gets a JSON file with the reason.

    Table, JSON and caption name the doubts about a case: what :meth:`doubt` was told, and that it is unlike the
    training cases. A result without doubts may still be wrong.

    Args:
        failures: where a case goes whose results cannot be written; its folder is where results are written.
        columns: columns of `predictions.csv`.
        weights: which weights made the results, named in every JSON file.
        familiarity: says how far each case is from the training cases; every table and JSON file has it.
    """

    def __init__(
        self,
        failures: FailureLog,
        columns: Sequence[str],
        weights: Any = "",
        familiarity: FamiliarityCheck | None = None,
    ) -> None:
        self.failures, self.output, self.weights = failures, failures.output, str(weights)
        self.familiarity = familiarity
        self.columns = (*columns, *(FAMILIARITY_COLUMNS if familiarity else ()), DOUBTS)
        self.rows: dict[str, dict[str, Any]] = {}
        self._made_by: dict[str, Any] = {}

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

    def dicom_files(self, source: Any) -> list[Path]:
        """Return the DICOM files that a case was read from; `source` is the "image" of its item."""
        return dicom_files(source)

    def report(self, content: Mapping[str, Any]) -> Report | None:
        """Return what a DICOM report says of the case with this JSON; None if the method measures nothing."""
        return None

    def segments(self, content: Mapping[str, Any], source: Any) -> dict[str, Segment]:
        """Return the masks and probabilities of the case with this JSON, by the ending of their DICOM file."""
        return {}

    def file(self, case: str, ending: str) -> Path:
        """Return the path of a file of `case`, such as `CASE.png` for the ending ".png"."""
        path = self.output.file(safe_name(case) + ending)
        self._files.setdefault(case, []).append(path)
        return path

    def write_json(self, case: str, values: Mapping[str, Any]) -> None:
        """Write `CASE.json`: the case, `values`, familiarity, doubts, weights and what the results are not for."""
        content = {
            "case": case,
            **self._nameless(values),
            **self._familiar(case),
            DOUBTS: self._doubtful(case),
            "weights": self.weights,
            **self._made_by,
            "note": NOTE,
        }
        write_json(self.file(case, ".json"), content)

    @property
    def _is_anonymous(self) -> bool:
        return bool((self.failures.resolved or {}).get("anonymous_names"))

    def _nameless(self, value: Any) -> Any:
        """Return JSON values; where names are to stay out, without the input's paths in their texts."""
        source = (self.failures.resolved or {}).get("dataset_dir")
        if not self._is_anonymous or not source:
            return value
        if isinstance(value, Mapping):
            return {key: self._nameless(part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._nameless(part) for part in value]
        if isinstance(value, str):
            paths = {re.escape(str(path).rstrip("/")) for path in (source, Path(str(source)).resolve())}
            return re.sub(rf"(?:{'|'.join(sorted(paths, key=len, reverse=True))})[^:;]*", "a file", value)
        return value

    def read_json(self, case: str) -> dict[str, Any]:
        """Return the content of `CASE.json`, from whatever run or process it is."""
        content: dict[str, Any] = json.loads((self.output.folder / f"{safe_name(case)}.json").read_text("utf-8"))
        return content

    def doubt(self, case: str, reasons: Iterable[str]) -> None:
        """Note what speaks against a case, in words; before its JSON and its caption are written."""
        self._doubts.setdefault(case, []).extend(self._nameless(list(filter(None, reasons))))

    def caption(self, case: str, text: str) -> str:
        """Return the heading of the case's figure: `text`, and a line with what is doubtful about the case."""
        doubts = self._doubtful(case)
        return f"{text}\nDOUBTFUL: {'; '.join(doubts)}" if doubts else text

    def _doubtful(self, case: str) -> list[str]:
        unlike = []
        if self.familiarity and self._familiar(case).get("unlike_training"):
            limit = self.familiarity.known.limit if self.familiarity.known else LIMIT
            unlike = [f"unlike the training data, farther from it than {limit:g} % of similar cases"]
        return [*self._doubts.get(case, []), *unlike]

    def _familiar(self, case: str) -> dict[str, Any]:
        if self.familiarity is None:
            return {}
        scores, known = self._scores.get(case, []), self.familiarity.known
        if known is None or not scores or None in scores:
            return dict.fromkeys(FAMILIARITY_COLUMNS)
        percentile = known.percentile(math.fsum(scores) / len(scores))
        return {"familiarity": round(percentile, 2), "unlike_training": percentile > known.limit}

    def _start(self, engine: Engine) -> None:
        self._made_by = {} if self.failures.resolved is None else made_by(self.failures.resolved)
        self.rows = self._finished() if self.failures.skip_finished else {}
        self.failures.finished = frozenset(self.rows)
        self._parts: dict[str, list[Any]] = {}
        self._expected: dict[str, int] = {}
        self._files: dict[str, list[Path]] = {}
        self._scores: dict[str, list[Any]] = {}
        self._doubts: dict[str, list[str]] = {}
        if self.familiarity:
            self.familiarity.start()
        wait_for_all()  # each has read the table of an earlier run
        if not self.failures.rank:
            write_csv(self.output.file(TABLE), list(self.rows.values()), self.columns)
        wait_for_all()

    def _finished(self) -> dict[str, dict[str, Any]]:
        """Return the rows of cases that an earlier run finished with the same weights and settings."""
        table = self.output.folder / TABLE
        read = [as_given(row) for row in read_csv(table)] if table.is_file() else []
        rows = {row["case"]: row for row in read}
        kept = {case: row for case, row in rows.items() if self._is_finished(case, row)}
        logger.info(f"{len(kept)} cases are finished and stay as they are")
        return kept

    def _is_finished(self, case: str, row: Mapping[str, Any]) -> bool:
        try:
            content = self.read_json(case)
        except (OSError, ValueError):
            return False
        whole = set(row) == {"case", *self.columns} and None not in row.values()
        return whole and all(content.get(key, "") == value for key, value in self._made_by.items())

    def _add(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        output: Any = engine.state.output
        check = self.familiarity
        scores = check.scores([item["image"] for item in batch]) if check else [None] * len(batch)
        for item, result, score in zip(batch, output, scores, strict=True):
            case = str(item["case"])
            self._scores.setdefault(case, []).append(score)
            self._expected[case] = max(self._expected.get(case, 0), int(item.get("parts", 1)))
            parts = self._parts.setdefault(case, [])
            with self.failures.guard(case):
                parts.append(self.part(item, result))
            if self._expected[case] == len(parts):
                self._close(case)
                for kept in (self._parts, self._scores, self._doubts, self._expected, self._files):
                    kept.pop(case, None)

    def _close(self, case: str) -> None:
        try:
            row = {"case": case, **self.write_case(case, self._parts[case]), **self._familiar(case)}
            row[DOUBTS] = "; ".join(self._doubtful(case))
        except Exception as error:  # any reason may take one case down, none may take the others with it
            self.failures.add(case, error)
            for path in self._files.get(case, []):
                path.unlink(missing_ok=True)
            return
        self.rows[case] = row
        append_csv(self.output.folder / TABLE, row, self.columns)

    def _finish(self, engine: Engine) -> None:
        for case in sorted(set(self._parts) - {row["case"] for row in self.failures.failures()}):
            self.failures.add(case, f"expected all parts of the case, found {len(self._parts[case])} before the end")
        self._parts, self._scores, self._doubts = {}, {}, {}
        if self.familiarity:
            self.familiarity.stop()
        self.rows = {row["case"]: row for row in gather_rows(list(self.rows.values()))}
        if self.failures.rank:
            return
        write_csv(self.output.file(TABLE), [self.rows[case] for case in sorted(self.rows)], self.columns)
        self._write_failed()
        unlike = [case for case, row in sorted(self.rows.items()) if str(row.get("unlike_training")) == "True"]
        if unlike:
            more = f" and {len(unlike) - _NAMED} more" if unlike[_NAMED:] else ""
            named = ", ".join(unlike[:_NAMED]) + more
            logger.warning(f"unlike the training data: {len(unlike)} of {len(self.rows)} cases ({named})")

    def _write_failed(self) -> None:
        """Write the JSON of the cases without results; no reason where names are to stay out, as it may hold some."""
        for failed in self.failures.failures():
            if failed["case"] not in self.rows:
                with self.failures.guard(failed["case"]):
                    reason = "see failed.csv" if self._is_anonymous else failed["reason"]
                    self.write_json(failed["case"], {"error": reason})
