"""Tables as people save them: several encodings, delimiters and decimal marks, read only where they are unambiguous."""

import codecs
import csv
import io
import math
import os
import re
from pathlib import Path
from typing import Any

from ..errors import UnusableFileError

LARGEST_TABLE_BYTES = 64_000_000
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_SHOWN = 60
REMEDY = "save it again as CSV in UTF-8"

_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# Bytes under A0 are letters in DOS and Macintosh tables and others in Windows'; three letters beyond ASCII in a row are
# Cyrillic, Greek or Chinese, which Latin-1 would turn into other letters without an error.
_NOT_LATIN_1 = re.compile(rb"[\x80-\x9f]|[\xa0-\xff]{3}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?")
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")


def read_table(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """Return the rows of a table that a user wrote; cells and column names are stripped, empty rows left out.

    Read are UTF-8 with and without a byte order mark, UTF-16 with one, and Latin-1 where nothing else is possible;
    columns separated by comma, semicolon or tab, as the header tells (or Excel's first line `sep=;`). A table of a
    header alone has no rows. Cells that a short row lacks are empty.

    Raises:
        UnusableFileError: if the file is missing, empty, too large or no text; the encoding or the delimiter is
            ambiguous; a column name occurs twice; a row has more cells than there are columns; the last is cut off.
    """
    source = Path(path)
    text = _text(source)
    first = re.match(r"sep=(.)\r?\n", text)
    lines = _lines(source, text[first.end() :] if first else text, first.group(1) if first else None)
    if not lines:
        raise UnusableFileError(f"{source}: expected a table with column names in its first line, found an empty file.")
    offset = 1 if first else 0
    columns = _columns(source, lines[0][1])
    rows = []
    for line, cells in lines[1:]:
        if any(cells[len(columns) :]):
            raise UnusableFileError(
                f"{source}, line {line + offset}: expected {len(columns)} cells ({', '.join(columns)}), found "
                f"{len(cells)}; put cells that hold the delimiter, or a decimal comma, between quotes."
            )
        rows.append(dict(zip(columns, cells + [""] * len(columns), strict=False)))
    if rows and len(lines[-1][1]) < len(columns) and not text.endswith(("\n", "\r")):
        raise UnusableFileError(
            f"{source}, line {lines[-1][0] + offset}: expected {len(columns)} cells, found {len(lines[-1][1])} and no "
            "end of line, as if the file were cut off; copy it again, or end its last line."
        )
    return rows


def number(value: Any, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite number from `low` to `high`, written with a decimal point or a decimal comma.

    Thousands are never grouped: "1,234.5" is refused. "1,234" is 1.234 where 1234 would be outside of the range, and
    is refused where both readings are possible.

    Args:
        value: what a cell holds.
        name: the quantity with its unit, or the column, for the error.
        low, high: the range, both included.

    Raises:
        UnusableFileError: if it is missing, no number, ambiguous or outside of the range.
    """
    text = "" if value is None else str(value).strip()
    wanted = f"expected {name} as a number" + _range(low, high)
    found = repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
    if not _NUMBER.fullmatch(text):
        raise UnusableFileError(f"{wanted}, found {found}")
    if _GROUPED.fullmatch(text) and low <= float(text.replace(",", "")) <= high:
        raise UnusableFileError(f"{wanted}, found {text!r}, which has two meanings; write it with a decimal point")
    result = float(text.replace(",", "."))
    if not (math.isfinite(result) and low <= result <= high):
        raise UnusableFileError(f"{wanted}, found {found}")
    return result


def _range(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f" of at least {low:g}"
    return f" of at most {high:g}" if math.isinf(low) else f" from {low:g} to {high:g}"


def _text(path: Path) -> str:
    if not path.is_file():
        raise UnusableFileError(f"{path}: expected a table, found no such file.")
    if path.stat().st_size > LARGEST_TABLE_BYTES:
        raise UnusableFileError(
            f"{path}: expected a table of at most {LARGEST_TABLE_BYTES // 10**6} MB, found "
            f"{path.stat().st_size // 10**6} MB; is it a table?"
        )
    data = path.read_bytes()
    marked = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    if marked != "utf-16" and _CONTROL.search(data.decode("latin-1")):
        raise UnusableFileError(
            f"{path}: expected a table as text, found a binary file (or UTF-16 without a byte order mark); {REMEDY}."
        )
    text = _decoded(path, data, marked or "utf-8")
    if _CONTROL.search(text):
        raise UnusableFileError(f"{path}: expected a table as text, found control characters; {REMEDY}.")
    return text


def _decoded(path: Path, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        place, tried = error.start, encoding
    if encoding == "utf-8":
        doubtful = _NOT_LATIN_1.search(data)
        if doubtful is None:
            return data.decode("latin-1")
        place, tried = doubtful.start(), "utf-8 nor, without doubt, in latin-1"
    raise UnusableFileError(
        f"{path}, line {data.count(10, 0, place) + 1}: expected text, found bytes that are not in {tried}; {REMEDY}."
    )


def _lines(path: Path, text: str, delimiter: str | None) -> list[tuple[int, list[str]]]:
    """Return line number and stripped cells of every row that is not empty, the header first."""
    if delimiter is not None:
        return _parsed(path, text, delimiter)
    header = next((line for line in text.splitlines() if line.strip()), "")
    present = [mark for mark in DELIMITERS if mark in header]
    if len(present) < 2:
        return _parsed(path, text, present[0] if present else ",")
    fitting = []
    for mark in present:
        lines = _parsed(path, text, mark)
        width = len(lines[0][1])
        if width > 1 and not any(any(cells[width:]) or len(cells) < width for _, cells in lines):
            fitting.append(lines)
    if len(fitting) != 1:
        raise UnusableFileError(
            f"{path}, line 1: expected one delimiter, found {' and '.join(DELIMITERS[mark] for mark in present)} in "
            f"{header!r}; {REMEDY} with commas."
        )
    return fitting[0]


def _parsed(path: Path, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found = []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                found.append((reader.line_num, stripped))
    except csv.Error as error:
        raise UnusableFileError(f"{path}, line {reader.line_num}: expected cells of a table ({error}).") from error
    return found


def _columns(path: Path, header: list[str]) -> list[str]:
    columns = list(header)
    while columns and not columns[-1]:
        columns.pop()
    folded = [name.casefold() for name in columns]
    twice = sorted({name for name in columns if folded.count(name.casefold()) > 1})
    if twice:
        raise UnusableFileError(
            f"{path}, line 1: expected every column once, found {', '.join(map(repr, twice))} more than once; "
            "remove or rename the others."
        )
    return columns
