"""Arrays of files, known from headers before they are read, and those of MAT files, versions 5 and 7.3."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..data.integrity import LARGEST_BYTES, check_claimed_size
from ..errors import UnusableFileError
from ..hdf5 import check_own_values, check_self_contained

_CHUNK_BYTES = 1 << 20
_COMPRESSED = 15  # miCOMPRESSED: MAT-file format, table 1-1
_NESTED = ("struct", "cell", "char", "object")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class StoredArray:
    """One array of a file.

    Attributes:
        shape, dtype: what the header says; axes as MATLAB or numpy show them.
        read: reads the values.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], NDArray]

    @classmethod
    def of(cls, values: Any) -> "StoredArray":
        """Return an array that is read already."""
        array = np.asarray(values)
        return cls(array.shape, str(array.dtype), lambda: array)

    @property
    def kind(self) -> str:
        """Kind of a value as numpy names it: f, i, u, c, ...; O for what is no number."""
        try:
            return np.dtype(self.dtype).kind
        except TypeError:
            return "O"

    @property
    def is_frame(self) -> bool:
        """Whether it can hold frames: numbers along two or three axes, of which two have more than one entry."""
        return self.kind in "fiuc" and len(self.shape) in (2, 3) and min(self.shape) > 0 and sorted(self.shape)[-2] > 1

    def __str__(self) -> str:
        return f"{self.shape} {self.dtype}"


def mat_arrays(path: Path) -> dict[str, StoredArray]:
    """Return the arrays of a MAT file by name: a field as `structure.field`, a cell's entry as `cell{1}`.

    Entries of one cell that are frames of one size are one array with the frames last.

    Raises:
        UnusableFileError: if the file is damaged, claims or hides more than memory holds, or takes values from others.
    """
    with path.open("rb") as stream:
        header = stream.read(128)
    if header.startswith(_HDF5_SIGNATURE) or b"MATLAB 7.3" in header:
        return _mat_7_3(path)
    return _mat_5(path)


def _mat_5(path: Path) -> dict[str, StoredArray]:
    from scipy.io import whosmat

    _check_inflated(path)
    arrays: dict[str, StoredArray] = {}
    for name, shape, kind in whosmat(path):
        if kind in _NESTED:
            arrays |= {key: StoredArray.of(value) for key, value in _leaves(name, _variable(path, name))}
            continue
        # The value types inside differ from the class; 1 byte is the least that each may take.
        check_claimed_size(path, [max(side, 1) for side in shape], 1, compressed=True)
        arrays[name] = StoredArray(shape, kind, partial(_variable, path, name))
    return arrays


def _variable(path: Path, name: str) -> NDArray:
    from scipy.io import loadmat

    return np.asarray(loadmat(path, variable_names=[name])[name])


def _check_inflated(path: Path) -> None:
    """Refuse a MAT 5 file whose compressed variables hold more than memory does, however deep they hide it."""
    with path.open("rb") as stream:
        order: Any = "little" if stream.read(128)[126:128] == b"IM" else "big"
        while len(tag := stream.read(8)) == 8:
            kind, size = (int.from_bytes(tag[at : at + 4], order) for at in (0, 4))
            if kind != _COMPRESSED:
                stream.seek(size, 1)
            elif _inflated_bytes(stream, size) > LARGEST_BYTES:
                raise UnusableFileError(
                    f"{path}: expected at most {LARGEST_BYTES / 1e9:.3g} GB when decompressed, found more; export a "
                    "smaller part"
                )


def _inflated_bytes(stream: BinaryIO, size: int) -> int:
    """Return the decompressed length of the next `size` bytes, as far as LARGEST_BYTES."""
    decoder, total, end = zlib.decompressobj(), 0, stream.tell() + size
    while total <= LARGEST_BYTES and not decoder.eof:
        data = decoder.unconsumed_tail or stream.read(min(_CHUNK_BYTES, end - stream.tell()))
        if not data:
            break
        total += len(decoder.decompress(data, _CHUNK_BYTES))
    stream.seek(end)
    return total


def _leaves(name: str, values: Any) -> Iterator[tuple[str, NDArray]]:
    """Yield the arrays of a structure, of a cell, or the array itself, each with its name."""
    array = np.asarray(values)
    if array.dtype.names:
        for index, entry in enumerate(array.ravel()):
            outer = name if array.size == 1 else f"{name}({index + 1})"
            for key in array.dtype.names:
                yield from _leaves(f"{outer}.{key}", entry[key])
    elif array.dtype.kind == "O":
        cells = [np.asarray(entry) for entry in array.ravel()]
        if _are_frames([(cell.shape, cell.dtype.kind) for cell in cells]):
            yield name, np.stack(cells, axis=-1)
            return
        for index, cell in enumerate(cells):
            yield from _leaves(name if len(cells) == 1 else f"{name}{{{index + 1}}}", cell)
    else:
        yield name, array


def _are_frames(cells: Sequence[tuple[tuple[int, ...], str]]) -> bool:
    """Return whether cells, each as shape and kind of value, are several frames of one size."""
    shapes = {shape for shape, kind in cells if kind in "fiuc" and len(shape) == 2 and min(shape) > 1}
    return len(cells) > 1 and len(shapes) == 1 and all(shape in shapes and kind in "fiuc" for shape, kind in cells)


def _mat_7_3(path: Path) -> dict[str, StoredArray]:
    import h5py

    check_self_contained(path)
    with h5py.File(path, "r") as file:
        return dict(_group_arrays(path, file, ""))


def _group_arrays(path: Path, group: Any, before: str) -> Iterator[tuple[str, StoredArray]]:
    for key, entry in group.items():
        if not key.startswith("#"):  # "#refs#" is where MATLAB keeps what is in cells
            yield from _entry_arrays(path, entry, f"{before}{key}")


def _entry_arrays(path: Path, entry: Any, name: str) -> Iterator[tuple[str, StoredArray]]:
    import h5py

    if isinstance(entry, h5py.Group):
        yield from _group_arrays(path, entry, f"{name}.")
    elif entry.dtype == h5py.ref_dtype:
        yield from _cell_arrays(path, [entry.file[to] for to in np.asarray(entry).ravel() if to], name)
    elif entry.attrs.get("MATLAB_class") == b"char":
        letters = np.asarray(entry).ravel() if entry.size < _CHUNK_BYTES else ()
        yield name, StoredArray.of("".join(chr(letter) for letter in letters))
    else:
        yield name, _dataset(path, entry)


def _cell_arrays(path: Path, cells: Sequence[Any], name: str) -> Iterator[tuple[str, StoredArray]]:
    import h5py

    sets = [cell for cell in cells if isinstance(cell, h5py.Dataset)]
    if len(sets) == len(cells) and _are_frames([(cell.shape, cell.dtype.kind) for cell in sets]):
        frames = [_dataset(path, cell) for cell in sets]
        shape = (*frames[0].shape, len(frames))
        yield name, StoredArray(shape, frames[0].dtype, lambda: np.stack([frame.read() for frame in frames], axis=-1))
        return
    for index, cell in enumerate(cells):
        yield from _entry_arrays(path, cell, name if len(cells) == 1 else f"{name}{{{index + 1}}}")


def _dataset(path: Path, entry: Any) -> StoredArray:
    """Return a dataset; MATLAB writes its columns first, so that HDF5 shows the axes in reverse."""
    check_own_values(path, entry)
    kind = "complex128" if entry.dtype.names == ("real", "imag") else str(entry.dtype)
    key, shape = entry.name, entry.shape or ()
    return StoredArray(tuple(shape[::-1]), kind, lambda: _dataset_values(path, key))


def _dataset_values(path: Path, key: str) -> NDArray:
    import h5py

    with h5py.File(path, "r") as file:
        entry = file[key]
        if entry.shape:
            check_claimed_size(path, entry.shape, entry.dtype.itemsize, compressed=True)
        claimed, written = entry.size * entry.dtype.itemsize, entry.id.get_storage_size()
        if written == 0 or (entry.id.get_create_plist().get_nfilters() == 0 and written < claimed):
            raise UnusableFileError(
                f"{path}: expected {claimed} bytes of values in {key.strip('/')} as its header says, found {written} "
                "that were written; export it again"
            )
        values = np.asarray(entry).T
    return values["real"] + 1j * values["imag"] if values.dtype.names == ("real", "imag") else values
