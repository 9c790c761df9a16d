"""HDF5 files that take values from other files: the library follows links, external storage and virtual datasets."""

import os
from typing import Any

from .errors import UnusableFileError

_REMEDY = "save the values in the file itself"


def check_self_contained(path: str | os.PathLike[str]) -> None:
    """Check that all values of an HDF5 file are in it; no other file is opened for that.

    Raises:
        UnusableFileError: if a link leads to another file, or a dataset is kept in or put together from others.
    """
    import h5py

    with h5py.File(path, "r") as file:
        waiting: list[h5py.Group] = [file]
        seen = set()
        while waiting:
            group = waiting.pop()
            for key in group:
                link = group.get(key, getlink=True)
                if isinstance(link, h5py.ExternalLink):
                    raise UnusableFileError(f"{path}: {key} is a link to another file; {_REMEDY}")
                if isinstance(link, h5py.SoftLink):  # within the file, to what is reached by its own name as well
                    continue
                item = group[key]
                if isinstance(item, h5py.Dataset):
                    check_own_values(path, item)
                elif isinstance(item, h5py.Group) and (address := h5py.h5o.get_info(item.id).addr) not in seen:
                    seen.add(address)
                    waiting.append(item)


def check_own_values(path: str | os.PathLike[str], dataset: Any) -> None:
    """Raise an UnusableFileError if the values of `dataset` of the HDF5 file `path` are in another file."""
    if dataset.external or dataset.is_virtual:
        raise UnusableFileError(f"{path}: {str(dataset.name).strip('/')} is kept in another file; {_REMEDY}")
