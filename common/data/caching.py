"""Deterministic preprocessing done once: in memory, on disk, or not at all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.data import CacheDataset, Dataset, PersistentDataset
from monai.data.utils import pickle_hashing


def cached_dataset(
    data: Sequence[Any],
    transform: Callable,
    cache: str = "memory",
    cache_dir: str | Path | None = None,
    progress: bool = False,
) -> Dataset:
    """Return a dataset whose transforms before the first random one run once a case.

    Args:
        data: datalist.
        transform: MONAI Compose, deterministic transforms first.
        cache: "memory" keeps the prepared cases in RAM, "disk" in `cache_dir` (for cohorts larger than RAM, and across
            runs; after a change of the transforms' settings or of a file the case is prepared again), "none" prepares
            them each time.
        cache_dir: folder for "disk".
        progress: show a bar while the memory is filled.

    Raises:
        ValueError: for another `cache`, or "disk" without `cache_dir`.
    """
    if cache == "memory":
        return CacheDataset(data, transform, progress=progress, num_workers=0)
    if cache == "disk" and cache_dir is not None:
        return PersistentDataset(data, transform, cache_dir, _hash_with_files, hash_transform=pickle_hashing)
    if cache == "none":
        return Dataset(data, transform)
    raise ValueError(f"cache: expected 'memory', 'disk' with a cache_dir, or 'none', found {cache!r}, {cache_dir=}")


def _hash_with_files(item: Any) -> bytes:
    """Return a hash of the item that changes when a file that it names does (its size, or the time of its change)."""
    return pickle_hashing({"item": item, "files": list(_states(item))})


def _states(value: Any) -> Iterator[tuple[str, int, int]]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _states(part)
    elif isinstance(value, (str, Path)) and value and Path(value).exists():
        state = Path(value).stat()
        yield str(value), state.st_size, state.st_mtime_ns
