"""One self-contained HTML page a demo: what was run, the scores beside their baselines, the pictures."""

import base64
import csv
import html
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..files import replacing

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1c2430}
h1{font-size:1.6rem;margin-bottom:.2rem} h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid #d8dee6}
table{border-collapse:collapse;margin:.6rem 0;font-size:.86rem} td,th{padding:.2rem .7rem;text-align:left}
tr:nth-child(even){background:#f3f5f8} th{border-bottom:2px solid #aab4c2}
pre{background:#f3f5f8;padding:.6rem;overflow-x:auto;font-size:.78rem} img{max-width:100%;margin:.4rem 0}
.warning{background:#fff4d6;padding:.4rem .8rem;border-left:4px solid #e0a800} .faint{color:#667}
"""
_CSV_ROWS, _PICTURES = 12, 6


class Step(NamedTuple):
    """One step that ran: title, shell command, output folder, seconds."""

    title: str
    command: str
    folder: Path
    seconds: float


def write_report(path: str | os.PathLike[str], plan: Mapping[str, Any], steps: Sequence[Step]) -> Path:
    """Write the page and return its path.

    Args:
        path: file to write.
        plan: `demo.json`, with `title` and `intro`.
        steps: what ran; every PNG, `evaluation.csv`, `predictions.csv` and `failed.csv` of a folder is shown.
    """
    total = sum(step.seconds for step in steps)
    parts = [
        f"<h1>{html.escape(plan['title'])}</h1>",
        f"<p>{html.escape(plan['intro'])}</p>",
        '<p class="warning">Simulated data. Research use only; not a medical device.</p>',
        f'<p class="faint">{len(steps)} steps, {total:.0f} s in all.</p>',
        "<h2>Scores</h2>",
        _table(_evaluation_table([step.folder for step in steps])),
        *(_section(step) for step in steps),
    ]
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(plan["title"])}</title>'
        f"<style>{_STYLE}</style><body>{''.join(parts)}</body></html>"
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Path(path)


def evaluation_lines(folders: Sequence[Path]) -> list[str]:
    """Return the scores of all evaluations in `folders` as aligned lines of text."""
    table = _evaluation_table(folders)
    if len(table) < 2:
        return []
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def _evaluation_table(folders: Sequence[Path]) -> list[list[str]]:
    rows = [["method", "metric", "value", "95 % interval", "cases", "published"]]
    seen = set()
    for folder in folders:
        path = folder / "evaluation.json"
        for entry in json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []:
            interval = f"{_number(entry['low'])} to {_number(entry['high'])}"
            published = _number(entry["published"]) if entry["published"] != "" else ""
            row = [
                entry["method"],
                entry["metric"],
                _number(entry["value"]),
                interval,
                str(entry["cases"]),
                published,
            ]
            if tuple(row) not in seen:
                seen.add(tuple(row))
                rows.append(row)
    return rows


def _section(step: Step) -> str:
    parts = [f"<h2>{html.escape(step.title)}</h2>"]
    parts.append(f'<p class="faint">{step.seconds:.0f} s</p><pre>{html.escape(step.command)}</pre>')
    for name in ("predictions.csv", "failed.csv", "history.csv"):
        path = step.folder / name
        if path.is_file():
            parts.append(f"<p>{name}</p>" + _table(_csv_rows(path)))
    pictures = sorted(step.folder.glob("*.png"))
    parts += [_picture(path) for path in pictures[:_PICTURES]]
    if len(pictures) > _PICTURES:
        parts.append(
            f'<p class="faint">{len(pictures) - _PICTURES} more pictures in {html.escape(str(step.folder))}</p>'
        )
    return "".join(parts)


def _csv_rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    shown = rows if len(rows) <= _CSV_ROWS + 1 else [rows[0], *rows[1:5], ["..."] * len(rows[0]), *rows[-4:]]
    return [[_number(cell) for cell in row] for row in shown]


def _table(rows: Sequence[Sequence[str]]) -> str:
    if len(rows) < 2:
        return '<p class="faint">nothing to show</p>'
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<table><tr>{head}</tr>{body}</table>"


def _picture(path: Path) -> str:
    content = base64.b64encode(path.read_bytes()).decode()
    return f'<figure><img alt="{html.escape(path.stem)}" src="data:image/png;base64,{content}"></figure>'


def _number(value: Any) -> str:
    """Return a number with four significant digits, whole numbers and other texts as they are."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "" if value is None else str(value)
    return str(value) if number == int(number) and abs(number) < 1e9 and "." not in str(value) else f"{number:.4g}"
