"""Cases that failed, beside the others that did not."""

import logging
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch.distributed as dist

from ..errors import FailedCasesError
from ..files import append_csv, read_csv, write_csv
from .output import OutputFolder

COLUMNS = ("case", "reason")

logger = logging.getLogger(__name__)


class FailureLog:
    """Collects the cases that failed and their reasons, from any process, in `failed.csv`.

    Args:
        output_dir: folder of `failed.csv` and of the run's results.
        source: what the cases are read from, see :class:`OutputFolder`.
        skip_finished: whether cases stay as they are that an earlier run to this folder finished with the same weights
            and settings.
        resolved: what is resolved of the run's config, by id (`__local_refs`): its settings.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        source: str | os.PathLike[str] | None = None,
        skip_finished: bool = False,
        resolved: Mapping[str, Any] | None = None,
    ) -> None:
        self.output = OutputFolder(output_dir, source)
        self.skip_finished, self.resolved = skip_finished, resolved
        self.finished: Collection[str] = ()  # names of cases, set by who knows their results
        self.rank, self.processes = 0, 1
        self.keys: dict[str, str] = {}  # anonymous name -> case, of the run that is continued
        self._table = Path(output_dir) / "failed.csv"

    def start(self) -> None:
        """Take the folder for this run, see :meth:`OutputFolder.open`; under torchrun all processes share it."""
        if dist.is_available() and dist.is_initialized():
            self.rank, self.processes = dist.get_rank(), dist.get_world_size()
        self.output.open(keep=self.skip_finished)
        keys = self.output.folder / "key.csv"
        kept = read_csv(keys) if self.skip_finished and keys.is_file() else []
        self.keys = {row["name"]: row["case"] for row in kept}
        if not self.rank:
            self.output.file(self._table.name).unlink(missing_ok=True)  # of an earlier run: they are tried again

    def is_finished(self, name: str, case: str) -> bool:
        """Return whether the results called `name` are there, and are those of this case."""
        return name in self.finished and self.keys.get(name, name if name == case else None) == case

    def add(self, case: str, error: BaseException | str) -> None:
        """Note that `case` failed; the reason is logged at once. Data loader workers may call it."""
        reason = reason_of(error)
        logger.error(f"{case} failed: {reason}")
        self._table.parent.mkdir(parents=True, exist_ok=True)
        append_csv(self._table, {"case": case, "reason": reason}, COLUMNS)

    @contextmanager
    def guard(self, case: str) -> Iterator[None]:
        """Turn any error inside into an entry for `case`; the caller goes on with the next one."""
        try:
            yield
        except Exception as error:  # any reason may take one case down, none may take the others with it
            self.add(case, error)

    def failures(self) -> list[dict[str, str]]:
        """Return one row a failed case, with all its reasons, in the order of their first failure."""
        reasons: dict[str, list[str]] = {}
        for row in read_csv(self._table) if self._table.is_file() else []:
            reasons.setdefault(row["case"], []).append(row["reason"])
        return [{"case": case, "reason": "; ".join(dict.fromkeys(found))} for case, found in reasons.items()]

    def finish(self) -> None:
        """Write one row a failed case, if any failed, and give the folder free; of several processes, the first does.

        Raises:
            FailedCasesError: if any case failed, so that the process ends with a non-zero status.
        """
        if self.rank:
            return
        rows = self.failures()
        if rows:
            write_csv(self._table, rows, COLUMNS)
        self.output.close()
        if rows:
            named = ", ".join(row["case"] for row in rows[:10]) + (", ..." if len(rows) > 10 else "")
            cases = "1 case" if len(rows) == 1 else f"{len(rows)} cases"
            raise FailedCasesError(f"{cases} failed, with the reason in {self._table}: {named}")


def reason_of(error: BaseException | str) -> str:
    """Return the message of `error` as one line; of an error inside a MONAI transform the one that it raised."""
    while isinstance(error, RuntimeError) and str(error).startswith("applying transform") and error.__cause__:
        error = error.__cause__
    return " ".join(str(error).splitlines()) or type(error).__name__
