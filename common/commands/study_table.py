"""The table of a study in the paper's layout, and its cases, from what the last job of each run wrote."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle import config_paths
from ..evaluation.evaluation import MODEL
from ..evaluation.intervals import Interval, seed_interval
from ..evaluation.table import read_evaluation
from ..files import read_csv, replacing, write_csv
from .jobs import SCORING, Job
from .study_plan import Run

Content = Mapping[str, Any]
Rows = dict[str, Mapping[str, Interval | None]]  # arm -> heading -> figure
Figures = dict[str, dict[Any, Interval]]  # heading -> run -> figure
LEADING = 3  # headings that are shown first
_TEXT = ("case", "slice", "filename")  # columns that stay as they are, though a case may be called 101


def study_rows(folder: Path, content: Content, runs: Sequence[Run]) -> Rows:
    """Return arm -> heading -> figure of the runs that have been scored, with differences and published rows.

    Args:
        folder: evaluations of several folds together go to `folds` in it.
        content: the study.
        runs: those of the arms that were to run.
    """
    scored = [run for run in runs if run.scored]
    ends = {run.arm for run in runs if any(job.run_id in SCORING for job in run.jobs)}
    figures = {
        arm: _figures(folder, content, scored, arm) for arm in dict.fromkeys(run.arm for run in runs if run.arm in ends)
    }
    rows: Rows = {
        arm: {name: _summary(list(by_run.values())) for name, by_run in own.items()} for arm, own in figures.items()
    }
    if content.get("differences"):
        first, *others = figures
        rows |= {f"{first} - {other}": _differences(figures[first], figures[other]) for other in others}
    return rows | {row: {} for row in content.get("published", {}) if row not in rows and row not in content["arms"]}


def write_table(folder: Path, content: Content, runs: Sequence[Run], rows: Rows) -> None:
    """Write `table.md`, `table.csv` and `cases.csv`.

    Args:
        folder: where to write.
        content: the study.
        runs: those of the arms that were to run.
        rows: from :func:`study_rows`.
    """
    published = content.get("published", {})
    write_csv(folder / "cases.csv", list(_cases(content, [run for run in runs if run.scored])))
    write_csv(folder / "table.csv", [_csv_row(name, row, published, content) for name, row in rows.items()])
    with replacing(folder / "table.md") as temporary:
        temporary.write_text(_markdown(content, rows, published), encoding="utf-8")


def lines_of(content: Content, rows: Rows) -> list[str]:
    """Return the leading figures of the rows as aligned lines of text."""
    headings = list(content["metrics"])[:LEADING]
    table = [
        ["", *headings],
        *([name, *(cell_of(row.get(heading)) for heading in headings)] for name, row in rows.items()),
    ]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]


def _cases(content: Content, runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    for run in runs:
        method = content["arms"][run.arm].get("method", MODEL)
        for row in read_csv(_scored(run).output / content.get("cases", "cases.csv")):
            if row.get("method", MODEL) == method:  # a table without methods has the model's cases
                fold = {} if run.fold is None else {"fold": run.fold}
                yield {"arm": run.arm, "seed": run.seed, **fold, **row}


def _scored(run: Run) -> Job:
    if run.scored is None:
        raise ValueError(f"{run.arm}: expected a run that has been scored, found one that was not")
    return run.scored


def _figures(folder: Path, content: Content, runs: Sequence[Run], arm: str) -> Figures:
    """Return heading -> run -> figure; the folds of a seed are one run unless the study averages them."""
    method = content["arms"][arm].get("method", MODEL)
    own = [run for run in runs if run.arm == arm]
    if content.get("average") == "folds":
        tables = {(run.seed, run.fold): read_evaluation(_scored(run).output) for run in own}
    else:
        tables = {
            (seed, None): _of_folds(folder / "folds", list(group)) for seed, group in groupby(own, lambda run: run.seed)
        }
    result: Figures = {heading: {} for heading in content["metrics"]}
    for heading, metric in content["metrics"].items():
        for run, table in tables.items():
            row = table.get((method, metric))
            if row is not None and row["value"] is not None:  # a fold may lack a class
                low, high = (np.nan if row[end] is None else row[end] for end in ("low", "high"))
                result[heading][run] = Interval(row["value"], low, high, row["cases"])
    return result


def _of_folds(folder: Path, runs: Sequence[Run]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the evaluation's table of the cases of all folds of one seed together."""
    jobs = [_scored(run) for run in runs]
    if len(jobs) == 1:
        return read_evaluation(jobs[0].output)
    together = folder / f"{runs[0].arm}_{runs[0].seed}".replace(" ", "_").replace("/", "_")
    rows = [{key: _typed(key, cell) for key, cell in row.items()} for job in jobs for row in _rows(job)]
    _report(jobs[0], together).write(rows)
    return read_evaluation(together)


def _rows(job: Job) -> list[dict[str, str]]:
    return read_csv(job.output / "cases.csv")


def _typed(key: str, cell: str) -> Any:
    try:
        return int(cell) if key == "slice" else cell if key in _TEXT else float(cell or "nan")
    except ValueError:
        return cell


def _report(job: Job, folder: Path) -> Any:
    """Return the evaluation that a job's configs name, writing to `folder`."""
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(config_paths(job.root, job.configs))
    parser.update({"bundle_root": str(job.root), **job.overrides, "model_dir": str(job.models)})
    parser.update({"output_dir": str(folder)})
    return parser.get_parsed_content("validate#report")


def _summary(values: Sequence[Interval]) -> Interval | None:
    """Return one figure with its own interval, several as their mean with the t interval of that mean."""
    return (values[0] if len(values) == 1 else seed_interval([value.value for value in values])) if values else None


def _differences(first: Figures, other: Figures) -> dict[str, Interval | None]:
    result = {}
    for name, by_run in first.items():
        both = [run for run in by_run if run in other[name]]
        values = [by_run[run].value - other[name][run].value for run in both]
        alone = [Interval(value, np.nan, np.nan, 1) for value in values]
        result[name] = seed_interval(values) if len(values) > 1 else _summary(alone)
    return result


def _csv_row(name: str, row: Mapping[str, Interval | None], published: Content, content: Content) -> dict[str, Any]:
    cells: dict[str, Any] = {"arm": name}
    for heading in content["metrics"]:
        figure = row.get(heading)
        ends = ["" if figure is None or not np.isfinite(value) else round(value, 6) for value in figure or ()]
        cells |= dict(
            zip((heading, f"{heading} low", f"{heading} high", f"{heading} count"), ends or [""] * 4, strict=True)
        )
        cells[f"{heading} published"] = published.get(name, {}).get(heading, "")
    return cells


def _markdown(content: Content, rows: Rows, published: Content) -> str:
    beside = {heading: ["published"] for figures in published.values() for heading in figures}
    headings = [cell for heading in content["metrics"] for cell in (heading, *beside.get(heading, []))]
    lines = [
        f"# {content['title']}",
        "",
        content["intro"],
        "",
        _line(["", *headings]),
        "|---" * (len(headings) + 1) + "|",
    ]
    for name, row in rows.items():
        cells = [name]
        for heading in content["metrics"]:
            paper = [f"{published.get(name, {}).get(heading, '')}" for _ in beside.get(heading, [])]
            cells += [cell_of(row.get(heading)), *paper]
        lines.append(_line(cells))
    lines += ["", "In brackets: 95 % interval and what it counts. " + meaning(content), "Research use only.", ""]
    return "\n".join(lines)


def meaning(content: Content) -> str:
    """Return what the figures and intervals are."""
    if content.get("average") == "folds":
        return "Means over folds and seeds, Student's t over these; of one run alone, bootstrap over its cases."
    return "Of one seed, bootstrap over its cases; of several, their mean, Student's t over seeds."


def cell_of(figure: Interval | None) -> str:
    """Return a figure with its interval and what it counts in brackets."""
    if figure is None:
        return ""
    if not np.isfinite(figure.low):
        return f"{figure.value:.4g} [{figure.cases}]"
    return f"{figure.value:.4g} [{figure.low:.4g} to {figure.high:.4g}, {figure.cases}]"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
