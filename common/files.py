"""Files that are either whole or not there: written under a temporary name, then renamed."""

import csv
import errno
import hashlib
import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import OutputFolderError, UnusableFileError

DIGEST = "content_sha256"
PARTIAL = ".partial"  # folder of files that are being written: no pattern of ours looks into it
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_AS_TEXT: Any = {"newline": "", "encoding": "utf-8", "errors": "backslashreplace"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is renamed to `path`, on failure it is removed.

    The temporary file lies in a hidden folder and keeps the name of `path`, because writers choose the format by it.
    Missing folders are made.

    Raises:
        OSError: if the disk is full, or nothing was written, as libraries leave it that do not report that.
    """
    target = Path(path)
    folder = target.parent / PARTIAL
    own = _folder_in(folder)
    temporary = own / target.name
    try:
        with _told(target):
            yield temporary
        if not temporary.is_file() or not temporary.stat().st_size:
            raise OSError(f"{target}: expected to write a file, found nothing written; is the disk full?")
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, target)
    finally:
        shutil.rmtree(own, ignore_errors=True)
        with suppress(OSError):  # another process is writing beside this one
            folder.rmdir()


def _folder_in(folder: Path) -> Path:
    """Make a new folder in `folder`, which another process that writes beside this one may just have removed."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return Path(tempfile.mkdtemp(dir=folder))


def check_apart(folder: Path, source: Path) -> None:
    """Raise an OutputFolderError if results in `folder` would mix with what is read from `source`."""
    own, read = folder.resolve(), source.resolve()
    if source.exists() and (own == read or own in read.parents or read in own.parents):
        raise OutputFolderError(
            f"output_dir {folder}: expected a folder apart from the input, found that it is, holds or lies in "
            f"{source}; results would mix with the images"
        )


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write `content` as indented JSON; numpy scalars become numbers, NaN and infinity become null."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_plain(content), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_sealed_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write `content` as :func:`write_json` does, with a digest of it that :func:`read_sealed_json` checks.

    The digest comes first, so that its line can be removed by hand.
    """
    write_json(path, {DIGEST: _digest(_plain(content)), **content})


def read_sealed_json(path: str | os.PathLike[str], expected: str, remedy: str) -> Any:
    """Return the content of a JSON file without its digest; a file that has none is taken as it is.

    Args:
        path: the file.
        expected: what it holds, for the error.
        remedy: what gives a good file, for the error.

    Raises:
        UnusableFileError: if it is no JSON, or its content is not that of its digest.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UnusableFileError(f"{path}: expected {expected}, found a damaged file; {remedy}") from error
    if not isinstance(content, dict) or DIGEST not in content:
        return content
    stated = content.pop(DIGEST)
    if stated != _digest(content):
        raise UnusableFileError(
            f"{path}: expected {expected} as they were written, found that their {DIGEST} does not fit: the file is "
            f"damaged or was edited; {remedy}. If you edited it on purpose, remove its line {DIGEST}, or leave it as "
            "it was and set the value on the command line"
        )
    return content


def write_csv(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
    """Write `rows` as CSV with a header, also when there are none; `columns` defaults to the keys of all rows.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    names = list(columns) or list(dict.fromkeys(key for row in rows for key in row))
    with replacing(path) as temporary, temporary.open("w", **_AS_TEXT) as stream:
        stream.write(_csv(rows, names, header=True))


def append_csv(path: str | os.PathLike[str], row: Mapping[str, Any], columns: Sequence[str]) -> None:
    """Add one row to a table of :func:`write_csv`, at once, so that nothing that happens later takes it away."""
    append_text(path, _csv([row], columns, header=not Path(path).is_file()))


def append_text(path: str | os.PathLike[str], text: str) -> None:
    """Add `text` to the end of a file in UTF-8, all of it or, on a full disk, nothing."""
    target = Path(path)
    before = target.stat().st_size if target.is_file() else None
    try:
        with _told(target), target.open("a", **_AS_TEXT) as stream:
            stream.write(text)
    except OSError:
        if before is None:
            target.unlink(missing_ok=True)
        else:
            os.truncate(target, before)
        raise


def _csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str], header: bool) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names)
    if header:
        writer.writeheader()
    writer.writerows({name: _cell(row.get(name, "")) for name in names} for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def as_given(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of :func:`read_csv` such that :func:`write_csv` writes it once more as it is."""
    return {name: _given(cell) for name, cell in row.items()}


def _given(cell: Any) -> Any:
    """Return text without the apostrophe that was put in front of it, and what has none and a sign as a number."""
    if isinstance(cell, str) and cell.startswith(tuple(f"'{sign}" for sign in _FORMULA)):
        return cell[1:]
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        for kind in (int, float):
            with suppress(ValueError):
                if str(kind(cell)) == cell:
                    return kind(cell)
    return cell


def read_csv(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """Return the rows of a table of :func:`write_csv`; what users write is read by `common.data.tables.read_table`."""
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _digest(content: Any) -> str:
    """Return the SHA-256 of JSON content, whatever its layout and the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Name the file that was to be written in the error of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        found = f"found no more room on the disk ({error.strerror})"
        raise OSError(f"{path}: expected to write a whole file, {found}; free some and run again") from error


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, os.PathLike) else value
