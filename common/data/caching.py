"""Deterministic preprocessing done once: in memory, on disk, or not at all."""

from collections.abc import Callable, Sequence
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
            runs; transforms with other settings get files of their own), "none" prepares them anew each time.
        cache_dir: folder for "disk".
        progress: show a bar while the memory is filled.

    Raises:
        ValueError: for another `cache`, or "disk" without `cache_dir`.
    """
    if cache == "memory":
        return CacheDataset(data, transform, progress=progress, num_workers=0)
    if cache == "disk" and cache_dir is not None:
        return PersistentDataset(data, transform, cache_dir=cache_dir, hash_transform=pickle_hashing)
    if cache == "none":
        return Dataset(data, transform)
    raise ValueError(f"cache: expected 'memory', 'disk' with a cache_dir, or 'none', found {cache!r}, {cache_dir=}")
