"""The folder that the results of one run are written to: nobody else's files, no two runs at once."""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import OutputFolderError
from ..files import PARTIAL, append_text, check_apart

PREVIOUS = "previous"
LOCK = ".lock"
_WRITTEN = ".written.jsonl"
_NO_FOLDER = (FileExistsError, NotADirectoryError)
_LONGEST_NAME = 100

logger = logging.getLogger(__name__)


def safe_name(case: str) -> str:
    """Return a file name for a case: letters, digits, dots, hyphens and underscores, none of them hidden or too long.

    A case that keeps to this is its own file name; another one gets a part of its hash, so that two stay apart.
    """
    name = re.sub(r"[^\w.-]+", "_", case, flags=re.ASCII).lstrip(".-_")[:_LONGEST_NAME].rstrip(".")
    if name and name == case:
        return name
    return f"{name or 'case'}-{hashlib.sha256(case.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def make_folder(folder: Path) -> None:
    """Make a folder, with those above it, where there is none.

    Raises:
        OutputFolderError: if that cannot be, such as where a file has its name.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = "a file of this name, or on the way to it" if isinstance(error, _NO_FOLDER) else error.strerror
        raise OutputFolderError(
            f"{folder}: expected a folder to write to, found {found}; choose another output_dir or model_dir"
        ) from error


def take(lock: FileLock, folder: Path) -> None:
    """Acquire the lock of a folder.

    Raises:
        OutputFolderError: if another process, or another run in this one, holds it, or nothing can be written there.
    """
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputFolderError(
            f"{folder}: expected a folder that no other run writes to, found one that a running process holds "
            f"({Path(lock.lock_file).name}); wait for it or choose another output_dir or model_dir"
        ) from error
    except OSError as error:
        raise OutputFolderError(
            f"{folder}: expected a folder to write to, found {error.strerror}; choose another output_dir or model_dir"
        ) from error


@contextmanager
def held(*locks: Path) -> Iterator[None]:
    """Keep other runs away from the folders of these lock files, which are made.

    Raises:
        OutputFolderError: if another run holds one, or a folder cannot be made.
    """
    with ExitStack() as stack:
        for path in locks:
            make_folder(path.parent)
            lock = FileLock(str(path))
            take(lock, path.parent)
            stack.callback(_drop, lock)
        yield


def _drop(lock: FileLock) -> None:
    Path(lock.lock_file).unlink(missing_ok=True)  # while it is held, so that nobody else's is removed
    lock.release()


class OutputFolder:
    """Keeps one run's files apart from the user's own, from another run's, and from those of an earlier run.

    Args:
        folder: where to write.
        source: folder or file that the cases are read from, None where there is none.
    """

    def __init__(self, folder: str | os.PathLike[str], source: str | os.PathLike[str] | None = None) -> None:
        self.folder, self.source = Path(folder), None if source is None else Path(source)
        self._lock = FileLock(str(self.folder / LOCK), timeout=0)
        self._written: set[str] = set()

    def open(self, keep: bool = False) -> None:
        """Take the folder: nobody else may write to it, and what an earlier run wrote goes to `previous/`.

        Args:
            keep: whether the files of the earlier run stay, as if they were of this one.

        Raises:
            OutputFolderError: if the folder is, holds or lies in `source`, cannot be made, or another run writes to it.
        """
        if self.source is not None:
            check_apart(self.folder, self.source)
        make_folder(self.folder)
        self._written = set(_names(self.folder / _WRITTEN)) if keep else set()
        if int(os.environ.get("RANK", 0)):
            return  # torchrun: the first process has taken it
        take(self._lock, self.folder)
        shutil.rmtree(self.folder / PARTIAL, ignore_errors=True)
        if not keep:
            self._set_aside()

    def close(self) -> None:
        """Give the folder free."""
        self._lock.release()

    def file(self, name: str) -> Path:
        """Return the path of a file that this run may write, and note it.

        Args:
            name: of the file; `FOLDER/NAME` for one in a folder of the output folder.

        Raises:
            OutputFolderError: if a file of this name is there that this run has not written.
        """
        path = self.folder / name
        if name not in self._written:
            if path.exists():
                raise OutputFolderError(f"{path}: expected to write a new file, found one of yours; use another folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            append_text(self.folder / _WRITTEN, json.dumps(name) + "\n")
            self._written.add(name)
        return path

    def _set_aside(self) -> None:
        noted = self.folder / _WRITTEN
        if not noted.is_file():
            return
        previous = self.folder / PREVIOUS
        for name in _names(previous / _WRITTEN):
            (previous / name).unlink(missing_ok=True)
        previous.mkdir(exist_ok=True)
        names = [name for name in _names(noted) if (self.folder / name).is_file()]
        for name in names:
            (previous / name).parent.mkdir(exist_ok=True)
            os.replace(self.folder / name, previous / name)
        os.replace(noted, previous / _WRITTEN)
        if names:
            logger.info(f"files of an earlier run, now in {previous}: {len(names)}")


def _names(noted: Path) -> list[str]:
    """Return the names in a list of written files, at most one folder deep; a line that a kill cut is left out."""
    names = []
    for line in noted.read_text(encoding="utf-8").splitlines() if noted.is_file() else []:
        try:
            name = json.loads(line)
        except ValueError:
            continue
        if isinstance(name, str) and _is_inside(name):
            names.append(name)
    return names


def _is_inside(name: str) -> bool:
    parts = Path(name).parts
    return name == "/".join(parts) and 1 <= len(parts) <= 2 and not {"/", "..", PREVIOUS} & set(parts)
