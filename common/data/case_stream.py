"""Cases one after the other: memory does not grow with their number, and a bad one does not end the run."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from ..files import write_csv
from .failures import FailureLog, reason_of

Item = Mapping[str, Any]


class CaseStream(IterableDataset):
    """Yields the preprocessed samples of each case; a case that cannot be listed, read or prepared goes to `failures`.

    Nothing is read before the iteration begins, so that a config builds where there is no data.

    Args:
        data: list of items, each with "case", or the folder that `list_cases` turns into such a list.
        transform: from an item to a sample, or to several (a list or an iterator, one sample each); several get
            `parts`, their number in the last one and 0 in the others, by which results know when a case is complete.
        failures: where failed cases go.
        list_cases: from `data` to items; not needed if `data` is a list.
        anonymous_names: call the cases case_0001, case_0002, ... in all results; `key.csv` says which is which.

    Raises:
        ValueError: if `data` is no list and `list_cases` is missing.
    """

    def __init__(
        self,
        data: str | os.PathLike[str] | Sequence[Item],
        transform: Callable[[Item], Any],
        failures: FailureLog,
        list_cases: Callable[[Any], Sequence[Item]] | None = None,
        anonymous_names: bool = False,
    ) -> None:
        if isinstance(data, (str, os.PathLike)) and list_cases is None:
            raise ValueError(f"list_cases: expected a function that lists the cases of {data}, found None")
        self.data, self.transform, self.failures, self.list_cases = data, transform, failures, list_cases
        self.anonymous_names = anonymous_names

    def items(self) -> list[Item]:
        """Return the items of this run, read from the folder if `data` is one."""
        is_folder = isinstance(self.data, (str, os.PathLike))
        return list(self.list_cases(self.data) if is_folder and self.list_cases else self.data)  # type: ignore[arg-type]

    def named_sources(self) -> list[tuple[str, Any]]:
        """Return the name of each case in the results, and its "image": what it is read from."""
        items = self.items()
        return [(name, item.get("image")) for name, item in zip(self._names(items), items, strict=True)]

    def _names(self, items: Sequence[Item]) -> list[str]:
        cases = [str(item["case"]) for item in items]
        if not self.anonymous_names:
            return cases
        kept = {case: name for name, case in self.failures.keys.items()}  # a continued run keeps the names it gave
        free = (name for number in itertools.count(1) if (name := f"case_{number:04d}") not in self.failures.keys)
        return [kept.pop(case) if case in kept else next(free) for case in cases]

    def __iter__(self) -> Iterator[Any]:
        """Yield sample after sample; of several workers or processes, each takes every n-th case."""
        worker = get_worker_info()
        own, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        first, step = self.failures.rank * workers + own, self.failures.processes * workers
        items = self.items()
        names = self._names(items)
        if self.anonymous_names and first == 0:
            keys = [{"name": name, "case": item["case"]} for name, item in zip(names, items, strict=True)]
            known = {row["name"] for row in keys}
            keys += [{"name": name, "case": case} for name, case in self.failures.keys.items() if name not in known]
            write_csv(self.failures.output.file("key.csv"), keys, ("name", "case"))
        seen: set[str] = set()
        for index, item in enumerate(items):
            case = str(item["case"])
            repeated = case in seen
            seen.add(case)
            if index % step != first:
                continue
            shown = names[index]
            if repeated:
                self.failures.add(shown, "another case has this name already; rename one of them")
                continue
            if self.failures.is_finished(shown, case):
                continue
            yield from self._samples(shown, item)

    def _samples(self, case: str, item: Item) -> Iterator[Any]:
        try:
            prepared = self.transform({**item, "case": case})
            yield from [prepared] if isinstance(prepared, Mapping) else _numbered(prepared)
        except Exception as error:  # any reason may take one case down, none may take the others with it
            reason = reason_of(error)
            self.failures.add(case, _without_names(reason, item) if self.anonymous_names else reason)


def _without_names(reason: str, item: Item) -> str:
    """Return the reason without the names and paths that the item holds."""
    known = {str(value) for value in item.values() if isinstance(value, (str, os.PathLike)) and str(value)}
    known |= {os.path.dirname(path) for path in known} | {os.path.basename(path) for path in known}
    for name in sorted(known - {""}, key=len, reverse=True):
        reason = reason.replace(name, "...")
    return reason


def _numbered(samples: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the samples of one case with `parts`: their number in the last one, 0 in the others."""
    waiting, count = None, 0
    for sample in samples:
        if waiting is not None:
            yield {**waiting, "parts": 0}
        waiting, count = sample, count + 1
    if waiting is not None:
        yield {**waiting, "parts": count}
