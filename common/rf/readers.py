"""What a file of RF holds, whatever its format, listed from its header."""

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.integrity import check_claimed_size, check_compressed, check_kind
from ..errors import UnusableFileError
from .matlab import StoredArray, mat_arrays
from .settings import RfSettings


def stored_arrays(path: Path, settings: RfSettings) -> dict[str, StoredArray]:
    """Return the arrays of a file by name; those inside structures as `outer.inner`.

    Raises:
        FileNotFoundError: if there is no such file.
        UnusableFileError: if it is of another kind, damaged, or claims more than file or memory hold.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected an RF file, found none")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UnusableFileError(f"{path}: expected one of {', '.join(_READERS)}, found {path.suffix or 'no suffix'}")
    check_kind(path, "an RF file")
    arrays: dict[str, StoredArray] = _named(path, lambda: reader(path, settings))
    return {name: _guarded(path, array) for name, array in arrays.items()}


def rf_suffixes() -> tuple[str, ...]:
    """Return the suffixes that :func:`stored_arrays` reads."""
    return tuple(_READERS)


def _named(path: Path, read: Callable[[], Any]) -> Any:
    """Return what `read` gives; any error of a library becomes one line that names the file."""
    try:
        return read()
    except UnusableFileError:
        raise
    except Exception as error:  # libraries raise anything for damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnusableFileError(f"{path}: cannot be read as {path.suffix}: {reason}; export it again") from error


def _guarded(path: Path, array: StoredArray) -> StoredArray:
    return StoredArray(array.shape, array.dtype, lambda: _named(path, array.read))


def _mat(path: Path, settings: RfSettings) -> dict[str, StoredArray]:
    return mat_arrays(path)


def _npz(path: Path, settings: RfSettings) -> dict[str, StoredArray]:
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            name = member.removesuffix(".npy")
            with archive.open(member) as stream:
                shape, dtype = _npy_header(stream)
            check_claimed_size(path, [max(side, 1) for side in shape] or [1], dtype.itemsize, compressed=True)
            arrays[name] = StoredArray(shape, str(dtype), partial(_npz_values, path, name))
    return arrays


def _npy_header(stream: Any) -> tuple[tuple[int, ...], np.dtype]:
    first = np.lib.format.read_magic(stream) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def _npz_values(path: Path, name: str) -> NDArray:
    with np.load(path, allow_pickle=False) as file:
        return np.asarray(file[name])


def _npy(path: Path, settings: RfSettings) -> dict[str, StoredArray]:
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    return {"rf": StoredArray(values.shape, str(values.dtype), lambda: np.array(values))}


def _mhd(path: Path, settings: RfSettings) -> dict[str, StoredArray]:
    import SimpleITK

    check_compressed(path)
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    shape = reader.GetSize()[::-1]
    if reader.GetNumberOfComponents() != 1:
        raise UnusableFileError(
            f"{path}: expected one value a pixel, found {reader.GetNumberOfComponents()} components"
        )
    kind = str(SimpleITK.GetArrayViewFromImage(SimpleITK.Image([1] * len(shape), reader.GetPixelID())).dtype)
    arrays = {"rf": StoredArray(shape, kind, lambda: SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))))}
    # A header without ElementSpacing means 1 mm to the library: that is no statement about the scanner.
    header = path.read_bytes()[:4096]
    if b"ElementSpacing" in header or b"ElementSize" in header:
        first, second = reader.GetSpacing()[:2]
        swapped = settings.axial_first is False
        arrays["pitch_mm"] = StoredArray.of(second if swapped else first)
        arrays["sample_mm"] = StoredArray.of(first if swapped else second)
    return arrays


def _raw(path: Path, settings: RfSettings) -> dict[str, StoredArray]:
    dtype, size = np.dtype(settings.raw_dtype), path.stat().st_size - settings.raw_offset
    kind, offset = settings.raw_dtype, settings.raw_offset
    if not settings.raw_shape:
        raise UnusableFileError(
            f"{path}: a .raw file does not say its shape: set --raw_shape, such as [samples,lines] "
            f"({size / dtype.itemsize:g} values of type {kind}), and --raw_offset if it begins with a header"
        )
    expected = int(np.prod(settings.raw_shape)) * dtype.itemsize
    if size != expected:
        header = f"set --raw_offset {offset + size - expected} if that many bytes of header come first"
        raise UnusableFileError(
            f"{path}: expected {expected} bytes for raw_shape {list(settings.raw_shape)} of type {kind}, found {size} "
            f"after raw_offset {offset}; {header if size > expected else 'correct these settings'}"
        )
    shape = tuple(settings.raw_shape)
    return {"rf": StoredArray(shape, str(dtype), lambda: np.fromfile(path, dtype=dtype, offset=offset).reshape(shape))}


_READERS: dict[str, Callable[[Path, RfSettings], dict[str, StoredArray]]] = {
    ".mat": _mat,
    ".npy": _npy,
    ".npz": _npz,
    ".mhd": _mhd,
    ".mha": _mhd,
    ".raw": _raw,
}
