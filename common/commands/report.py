"""The report of a study: one HTML page without other files, which a person reads in two minutes."""

import base64
import json
import math
import os
import platform
from collections.abc import Iterator, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..evaluation.intervals import Interval
from ..figure import NOTE
from ..files import read_csv, replacing
from .captions import caption, whole_label
from .jobs import SCORING, Job
from .study_plan import Content, StudyPlan
from .study_table import Rows, leading, meaning

LIBRARIES = ("torch", "monai", "pytorch-ignite", "numpy")
_PICTURES, _CSV_ROWS = 4, 8
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:0 auto;padding:1rem;color:#1c2430;background:#fff}
h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0} h2{font-size:1.15rem;margin:2rem 0 .5rem}
h3{font-size:1rem;margin:1.2rem 0 .3rem} .faint,small,figcaption{color:#5b6675;font-size:.85rem}
.warning{background:#fff4d6;padding:.4rem .8rem;border-left:4px solid #e0a800}
.leading{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0} .leading div{flex:1 1 12rem;background:#f3f5f8;
padding:.7rem .9rem;border-radius:.4rem} .leading b{display:block;font-size:1.7rem;line-height:1.3}
.wide{overflow-x:auto;background:linear-gradient(90deg,#fff 50%,#fff0) 0 0/5rem 100% local no-repeat,
linear-gradient(270deg,#fff 50%,#fff0) 100% 0/5rem 100% local no-repeat,
linear-gradient(90deg,#0005,#0000) 0 0/1rem 100% no-repeat,
linear-gradient(270deg,#0005,#0000) 100% 0/1rem 100% no-repeat}
table{border-collapse:collapse;font-size:.9rem}
td,th{padding:.3rem .7rem;text-align:left;vertical-align:top;border-bottom:1px solid #dde3ea}
thead th{border-bottom:2px solid #8894a3} tbody th{position:sticky;left:0;background:#fff;font-weight:600}
td small{display:block;white-space:nowrap} figure{margin:.6rem 0} img{max-width:100%;height:auto}
details{margin:.5rem 0;border:1px solid #dde3ea;border-radius:.4rem;padding:.4rem .8rem} summary{cursor:pointer}
h2::first-letter,h3::first-letter,figcaption::first-letter{text-transform:uppercase} h3 small{white-space:nowrap}
pre{background:#f3f5f8;padding:.6rem;font-size:.78rem;white-space:pre-wrap;overflow-wrap:anywhere}
"""


def write_report(
    path: str | os.PathLike[str], bundle: str, plan: StudyPlan, rows: Rows, notes: Sequence[str] = ()
) -> Path:
    """Write the page and return its path.

    Args:
        path: file to write.
        bundle: name of the bundle.
        plan: the study, as far as its jobs have run.
        rows: its figures.
        notes: sentences below the table.
    """
    content = plan.content
    jobs = [job for job in plan.jobs() if job.record.is_file()]
    simulated = "Simulated cases. " if plan.simulated else ""
    parts = [
        f"<h1>{escape(content['title'])}</h1><p>{escape(content['intro'])}</p>",
        f'<p class="warning">{simulated}{escape(NOTE)}</p>',
        _leading(content, rows),
        "<h2>All figures</h2>",
        _figures(content, rows),
        f'<p class="faint">In brackets: 95 % interval; n counts what it rests on. {escape(meaning(content))}</p>',
        f'<ul class="faint">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>' if notes else "",
        *_pictures(plan, _shown(plan, rows)),
        "<h2>How it was made</h2>",
        _details("Curves of the trainings", "".join(_picture(plan, job, job.output / "history.png") for job in jobs)),
        _details(f"Commands of the steps: {len(jobs)}", "".join(_command(plan, job) for job in jobs)),
        _details("Settings", f"<pre>{escape(_settings(plan))}</pre>"),
        f'<p class="faint">{escape(_versions(bundle, plan))}</p>',
    ]
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(content["title"])}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Path(path)


def _leading(content: Content, rows: Rows) -> str:
    """Return the first figures of the paper's own method, each beside the same of the next row, or the paper's."""
    own = _own(content, rows)
    scored = [(name, rows[name]) for name in sorted(rows, key=lambda name: name != own)]
    cards = []
    for heading in leading(content, rows):
        known = [(name, figure) for name, row in scored if (figure := row.get(heading))]
        if not known:
            continue
        name, figure = known[0]
        beside = [f"{escape(other)}: {_number(value.value)}" for other, value in known[1:2]]
        paper = content.get("published", {}).get(name, {}).get(heading)
        beside += [f"paper: {_number(paper)}"] if paper is not None else []
        cards.append(
            f"<div>{escape(heading)}, {escape(name)}<b>{_number(figure.value)}</b>{_interval(figure)}"
            f"<small>{'<br>'.join(['', *beside])}</small></div>"
        )
    return f'<div class="leading">{"".join(cards)}</div>' if cards else "<p>No step has been scored yet.</p>"


def _own(content: Content, rows: Rows) -> str:
    """Return the first arm with figures, the paper's own before others."""
    return next((name for name in (*content.get("own", ()), *rows) if any(rows.get(name, {}).values())), "")


def _figures(content: Content, rows: Rows) -> str:
    """Return the table with a row for each metric and a column for each arm."""
    published = content.get("published", {})
    head = "".join(f"<th>{escape(name)}</th>" for name in rows)
    lines = []
    for heading in content["metrics"]:
        cells = [_cell(row.get(heading), published.get(name, {}).get(heading)) for name, row in rows.items()]
        if any(cells):
            shown = "".join(f"<td>{cell}</td>" for cell in cells)
            lines.append(f'<tr><th scope="row">{escape(heading)}</th>{shown}</tr>')
    return _wide(f"<th></th>{head}", "".join(lines))


def _wide(head: str, body: str) -> str:
    """Return a table that scrolls sideways, by keys as well, where it is wider than the page."""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0">{table}</div>'


def _cell(figure: Interval | None, paper: Any) -> str:
    own = f"{_number(figure.value)}{_interval(figure)}" if figure else ""
    return own + (f"<small>paper {_number(paper)}</small>" if paper is not None else "")


def _interval(figure: Interval) -> str:
    ends = f"[{_number(figure.low)} to {_number(figure.high)}] " if math.isfinite(figure.low) else ""
    return f"<small>{ends}n {figure.cases}</small>"


def _shown(plan: StudyPlan, rows: Rows) -> list[Job]:
    """Return the jobs whose pictures are shown: what inferred, and the first of the leading arm that was scored."""
    jobs = [job for job in plan.jobs() if job.record.is_file()]
    own = {job.key for run in plan.runs if run.arm == _own(plan.content, rows) for job in run.jobs}
    scored = sorted((job for job in jobs if job.run_id in SCORING), key=lambda job: job.key not in own)
    return [job for job in jobs if job.run_id == "inferring" or job in scored[:1]]


def _pictures(plan: StudyPlan, jobs: Sequence[Job]) -> Iterator[str]:
    for job in jobs:
        pictures = sorted(job.output.glob("*.png"))
        more = f"<p class=faint>{len(pictures) - _PICTURES} more in {escape(str(job.output))}</p>"
        yield f"<h2>{escape(whole_label(plan, job))}</h2>"
        yield "".join(_csv(job.output / name) for name in ("failed.csv", "predictions.csv"))
        yield "".join(_picture(plan, job, path) for path in pictures[:_PICTURES])
        yield more if len(pictures) > _PICTURES else ""


def _picture(plan: StudyPlan, job: Job, path: Path) -> str:
    if not path.is_file():
        return ""
    image = base64.b64encode(path.read_bytes()).decode()
    text = escape(caption(plan, job, path))
    return f'<figure><img alt="{text}" src="data:image/png;base64,{image}"><figcaption>{text}</figcaption></figure>'


def _csv(path: Path) -> str:
    """Return a table of cases, folded away; of a long one the first rows."""
    rows = read_csv(path) if path.is_file() else []
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    lines = ["".join(f"<td>{escape(_number(cell))}</td>" for cell in row.values()) for row in rows[:_CSV_ROWS]]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    count = f"{path.name}, {min(len(rows), _CSV_ROWS)} of {len(rows)} rows"
    return _details(count, _wide(head, body))


def _command(plan: StudyPlan, job: Job) -> str:
    noted = job.noted
    line = f"<pre>{escape(noted['command'])}</pre>" if noted["command"] else ""
    return f"<h3>{escape(whole_label(plan, job))} <small>{noted['seconds']:.0f} s</small></h3>{line}"


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{content}</details>" if content else ""


def _settings(plan: StudyPlan) -> str:
    names = ("settings", "seeds", "folds", "data")
    own = {name: plan.content[name] for name in names if plan.content.get(name)}
    limits = {name: value for name, value in vars(plan.limits).items() if value}
    return json.dumps({**own, **limits, "dataset_dir": plan.values.get("data", "")}, indent=1, ensure_ascii=False)


def _versions(bundle: str, plan: StudyPlan) -> str:
    metadata = json.loads((plan.root / "configs" / "metadata.json").read_text(encoding="utf-8"))
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"{bundle} {metadata['version']}, study {plan.name}, python {platform.python_version()}, {libraries}."


def _number(value: Any) -> str:
    """Return a number with four significant digits, whole numbers and other texts as they are."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "" if value is None else str(value)
    whole = number == number // 1 and abs(number) < 1e9 and "." not in str(value)
    return str(value) if whole else f"{number:.4g}"
