"""Cases that failed, beside the others that did not."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import FailedCasesError
from ..files import write_csv

logger = logging.getLogger(__name__)


class FailureLog:
    """Collects the cases that failed and their reasons, from any process, and writes `failed.csv`.

    Args:
        output_dir: folder of `failed.csv`.
    """

    def __init__(self, output_dir: str | os.PathLike[str]) -> None:
        self.folder = Path(output_dir)
        self._pending = self.folder / ".failed.jsonl"

    def start(self) -> None:
        """Forget what an earlier, interrupted run left."""
        self._pending.unlink(missing_ok=True)
        (self.folder / "failed.csv").unlink(missing_ok=True)

    def add(self, case: str, error: BaseException | str) -> None:
        """Note that `case` failed; the reason is logged at once. Data loader workers may call it."""
        reason = _reason(error)
        logger.error(f"{case} failed: {reason}")
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._pending.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"case": case, "reason": reason}) + "\n")

    @contextmanager
    def guard(self, case: str) -> Iterator[None]:
        """Turn any error inside into an entry for `case`; the caller goes on with the next one."""
        try:
            yield
        except Exception as error:  # any reason may take one case down, none may take the others with it
            self.add(case, error)

    def failures(self) -> list[dict[str, str]]:
        """Return one row a failed case, with all its reasons, in the order of their first failure."""
        if not self._pending.is_file():
            return []
        reasons: dict[str, list[str]] = {}
        for line in self._pending.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            reasons.setdefault(entry["case"], []).append(entry["reason"])
        return [{"case": case, "reason": "; ".join(dict.fromkeys(found))} for case, found in reasons.items()]

    def finish(self) -> None:
        """Write `failed.csv` if any case failed.

        Raises:
            FailedCasesError: if any case failed, so that the process ends with a non-zero status.
        """
        rows = self.failures()
        self._pending.unlink(missing_ok=True)
        if not rows:
            return
        write_csv(self.folder / "failed.csv", rows, ["case", "reason"])
        raise FailedCasesError(
            f"{len(rows)} cases failed, their reasons are in {self.folder / 'failed.csv'}: "
            + ", ".join(row["case"] for row in rows[:10])
        )


def _reason(error: BaseException | str) -> str:
    """Return the message of `error`; of an error inside a MONAI transform the one that the transform raised."""
    while isinstance(error, RuntimeError) and str(error).startswith("applying transform") and error.__cause__:
        error = error.__cause__
    return str(error) or type(error).__name__
