"""What a folder holds: its files, the names of its cases, and what a listing leaves out with the reasons."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

NAMED_IN_LOG = 10
# What systems and archives add to every folder; names that begin with a dot are hidden too.
HIDDEN = ("thumbs.db", "desktop.ini", "__macosx")

logger = logging.getLogger(__name__)

_reported: set[tuple[str, str, str, str]] = set()


def visible_files(folder: str | os.PathLike[str], recursive: bool = True) -> list[Path]:
    """Return the files of a folder in order of their paths, without hidden ones.

    Linked files and folders are followed. A folder that can be reached twice is listed once, so that links in a circle
    end and no case occurs twice; a link that leads nowhere and a folder that cannot be opened are warned of.
    """
    root = Path(folder)
    files: list[Path] = []
    seen: set[tuple[int, int]] = set()
    links = [root]
    while links:  # folders before links to them, so that a case keeps its own path
        start = links.pop(0)
        if _identity(start) in seen:
            logger.warning("%s: leads to a folder that is listed already", printable(start))
            continue
        for parent, names in _walk(start, recursive, seen):
            found, linked = _sorted_out(parent, names)
            files += found
            links += linked if recursive else []
    return sorted(files)


def case_name(path: str | os.PathLike[str], suffixes: Iterable[str]) -> str:
    """Return the name of a file without the longest of the known `suffixes` that it ends in, in capitals or not.

    What else follows a dot is part of the name: 1.2.3.1 and 1.2.3.2 are two cases.
    """
    name = Path(path).name
    fitting = [suffix for suffix in suffixes if suffix and name.lower().endswith(suffix.lower())]
    return name[: -len(max(fitting, key=len))] or name if fitting else name


def listed_file(folder: str | os.PathLike[str], cell: str) -> Path:
    """Return the file that a cell of a table names, relative to `folder`; Windows writes backslashes into it."""
    path = Path(folder) / cell
    return path if path.exists() else Path(folder) / cell.replace("\\", "/")


def printable(name: str | os.PathLike[str]) -> str:
    """Return a name for people: line ends, control characters and bytes that are not in UTF-8 become escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in os.fspath(name))


def report_unused(root: str | os.PathLike[str], entries: Mapping[Path, str]) -> None:
    """Warn of each entry of the folder `root` that was given and not used, with the reason.

    The first ten are warned of by name, the others by their number and, at level INFO, by name. A folder is listed once
    for each part of a training; what was reported before is not repeated until :func:`forget_reports`.
    """
    _report(str(root), {_relative(path, root): reason for path, reason in entries.items()}, "not used")


def log_skipped(source: str, skipped: Mapping[str, str]) -> None:
    """Warn of each case that a listing leaves out and why, as :func:`report_unused` does of files."""
    _report(source, skipped, "left out")


def forget_reports() -> None:
    """Forget what was reported: the next run names it again."""
    _reported.clear()


def _report(source: str, entries: Mapping[str, str], verb: str) -> None:
    new = [entry for name, reason in entries.items() if (entry := (source, verb, name, reason)) not in _reported]
    _reported.update(new)
    for index, (_, _, name, reason) in enumerate(new):
        level = logging.WARNING if index < NAMED_IN_LOG else logging.INFO
        logger.log(level, "%s: %s %s: %s", printable(source), verb, printable(name), reason)
    if len(new) > NAMED_IN_LOG:
        logger.warning("%s: %s %d more", printable(source), verb, len(new) - NAMED_IN_LOG)


def _relative(path: Path, root: str | os.PathLike[str]) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _walk(start: Path, recursive: bool, seen: set[tuple[int, int]]) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folders from `start` on, not through links, with the visible names in each, and mark them as seen."""
    for name, folders, files in os.walk(start, onerror=_unreadable):
        parent = Path(name)
        if _identity(parent) in seen:
            folders.clear()
            continue
        seen.add(_identity(parent))
        yield parent, [entry for entry in sorted((*folders, *files)) if not _is_hidden(entry)]
        folders[:] = sorted(entry for entry in folders if recursive and not _is_hidden(entry))


def _sorted_out(parent: Path, names: Iterable[str]) -> tuple[list[Path], list[Path]]:
    """Return the files, and the links to folders, among the names in a folder."""
    files, links = [], []
    for path in (parent / name for name in names):
        if path.is_file():
            files.append(path)
        elif path.is_dir():
            links += [path] if path.is_symlink() else []
        else:
            logger.warning("%s: not used: a link that leads nowhere, or no file", printable(path))
    return files, links


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in HIDDEN


def _unreadable(error: OSError) -> None:
    logger.warning("%s: not used: a folder that cannot be opened (%s)", printable(error.filename), error.strerror)
