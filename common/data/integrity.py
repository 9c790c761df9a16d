"""Damage and bombs found at the door: other files under an image's name, checksums, and sizes only claimed."""

import gzip
import math
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from ..errors import UnusableFileError
from .stored_volume import stored_volume

LARGEST_BYTES = 4_000_000_000
_CHUNK_BYTES = 1 << 20
_REMEDY = "copy or download the file again"
_HEAD_BYTES = 512
_STARTS = {
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"<?xml": "XML text, such as a server's error message",
    b"{": "JSON text, such as a server's error message",
    b"version https://git-lfs": "a pointer of Git LFS in its place (git lfs pull fetches the file)",
}
_ZIP, _TEXT = b"PK\x03\x04", bytes(range(0x20, 0x7F)) + b"\t\n\r\f"
_TEXT_HEADERS = (".mhd", ".mha", ".nrrd", ".nhdr")


def check_kind(path: str | os.PathLike[str], expected: str) -> None:
    """Refuse an empty file, and what downloads and transfers leave under the name of an image, by what it is.

    Args:
        path: any file.
        expected: what it should be, for the error.

    Raises:
        UnusableFileError: for a web page, an error message, a pointer of Git LFS, a ZIP archive or plain text.
    """
    found = other_kind(path)
    if found:
        raise UnusableFileError(f"{path}: expected {expected}, found {found}; {_REMEDY}.")


def other_kind(path: str | os.PathLike[str]) -> str:
    """Return what a file is that cannot be an image; empty where it may be one, or is not there."""
    name = os.fspath(path).lower()
    if name.endswith(".raw") or not os.path.isfile(path):  # values without a header may be anything
        return ""
    with open(path, "rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not head:
        return "an empty file"
    plain = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, kind in _STARTS.items():
        if plain.startswith(start):
            return kind
    if head.startswith(_ZIP) and not name.endswith(".npz"):
        return "a ZIP archive (unpack it)"
    is_text = not name.endswith(_TEXT_HEADERS) and not head.translate(None, _TEXT)
    return "plain text" if is_text else ""


def check_compressed(path: str | os.PathLike[str], limit: int = LARGEST_BYTES) -> None:
    """Decompress a file once, in small pieces, so that its checksum and length are verified before it is read.

    Image libraries read what is left of a damaged file without a word. Checked are `.gz` files, and MetaImage and NRRD
    volumes (their claimed size too, compressed or not); other files are left alone.

    Args:
        path: any file.
        limit: bytes that it may hold when decompressed.

    Raises:
        UnusableFileError: if the file is cut off, damaged, followed by other data, or larger than `limit`.
    """
    source = Path(path)
    if not source.is_file():
        raise UnusableFileError(f"{source}: expected a file, found none.")
    if source.name.lower().endswith(".gz"):
        _check_gzip(source, limit)
        return
    volume = stored_volume(source)
    if volume is None:
        return
    check_claimed_size(source, volume.shape, volume.bytes_per_value, limit, compressed=True)
    data, expected = volume.data, math.prod(volume.shape) * volume.bytes_per_value
    if data is None:
        return
    if not data.is_file():
        raise UnusableFileError(f"{source}: expected its voxels in {data.name}, found no such file; copy both.")
    if volume.compressed:
        _check_zlib(data, volume.offset, expected)
    elif data.stat().st_size - volume.offset < expected:
        raise _short(data, expected, data.stat().st_size - volume.offset)


def check_claimed_size(
    path: str | os.PathLike[str],
    shape: Sequence[int],
    bytes_per_value: int,
    limit: int = LARGEST_BYTES,
    compressed: bool | None = None,
) -> None:
    """Refuse sizes that a header claims and the file or the memory cannot hold, before memory is asked for.

    Args:
        path: the file whose header it is.
        shape: number of values along each axis; channels, samples and frames are axes too.
        bytes_per_value: bytes of one value.
        limit: bytes that the values may fill.
        compressed: whether the file holds less than the values; None where a name in `.gz` says so.

    Raises:
        UnusableFileError: if an axis is empty, the values fill more than `limit`, or a file that is not compressed is
            shorter than its values.
    """
    source = Path(path)
    sizes = [int(count) for count in shape]  # of any length: numpy's own numbers would wrap around
    extent = " x ".join(map(str, sizes))
    if not sizes or min(sizes) < 1:
        raise UnusableFileError(
            f"{source}: expected a size of at least 1 along each axis, found {extent or 'no axis'}."
        )
    claimed = math.prod(sizes) * bytes_per_value
    if claimed > limit:
        raise UnusableFileError(
            f"{source}: expected at most {limit / 1e9:.3g} GB of values, found a header that claims {extent} of "
            f"{bytes_per_value} bytes ({claimed / 1e9:.3g} GB); export a smaller part, or the file again."
        )
    if compressed is None:
        compressed = source.name.lower().endswith(".gz")
    if not compressed and source.stat().st_size < claimed:
        raise _short(source, claimed, source.stat().st_size)


def _check_gzip(path: Path, limit: int) -> None:
    total = 0
    try:
        with gzip.open(path) as stream:
            while total <= limit and (piece := stream.read(_CHUNK_BYTES)):
                total += len(piece)
    except (EOFError, zlib.error, OSError) as error:
        raise _damaged(path, error) from error
    if total > limit:
        raise UnusableFileError(
            f"{path}: expected at most {limit / 1e9:.3g} GB when decompressed, found more; export a smaller part."
        )


def _check_zlib(path: Path, offset: int, expected: int) -> None:
    with path.open("rb") as stream:
        stream.seek(offset)
        try:
            found = _inflated_bytes(stream, expected)
        except (EOFError, zlib.error, OSError) as error:
            raise _damaged(path, error) from error
    if found < expected:
        raise _short(path, expected, found)
    if found > expected:
        raise UnusableFileError(
            f"{path}: expected {expected} bytes of values as its header says, found more; {_REMEDY}."
        )


def _inflated_bytes(stream: BinaryIO, enough: int) -> int:
    """Return the length of a zlib or gzip stream, checksum verified; it stops once there are more than `enough`."""
    decoder = zlib.decompressobj(32 + zlib.MAX_WBITS)
    total = 0
    while not decoder.eof and total <= enough:
        data = decoder.unconsumed_tail or stream.read(_CHUNK_BYTES)
        piece = decoder.decompress(data, _CHUNK_BYTES)
        if not data and not piece:
            raise EOFError("the compressed data end before their end mark")
        total += len(piece)
    if decoder.eof and (decoder.unused_data + stream.read(_CHUNK_BYTES)).strip(b"\0\r\n"):
        raise OSError("other data follow the compressed ones")
    return total


def _short(path: Path, expected: int, found: int) -> UnusableFileError:
    return UnusableFileError(
        f"{path}: expected {expected} bytes of values as its header says, found {max(found, 0)}, so it is cut off; "
        f"{_REMEDY}."
    )


def _damaged(path: Path, error: Exception) -> UnusableFileError:
    return UnusableFileError(
        f"{path}: expected whole compressed data, found damaged or cut off ones ({error}); {_REMEDY}."
    )
