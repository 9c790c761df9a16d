"""The table of a study in the paper's layout, and its cases, from what the last job of each run wrote."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from ..bundle import config_paths
from ..evaluation.evaluation import MODEL
from ..evaluation.intervals import Interval, seed_interval
from ..evaluation.table import read_evaluation
from ..files import read_csv, replacing, write_csv
from .jobs import SCORING, Job
from .study_file import headings
from .study_plan import Content, Run

Key = tuple[int, int | None]  # seed and fold of a run; None where its folds are scored together
Tables = dict[str, dict[Key, dict[tuple[str, str], dict[str, Any]]]]  # arm -> run -> table of its evaluation
Rows = dict[str, Mapping[str, Interval | None]]  # arm -> heading -> figure
Figures = dict[str, dict[Key, Interval]]  # heading -> run -> figure
LEADING = 3  # headings that are shown first
FEWEST = 3  # values that an interval rests on: over two, Student's t leaves the range of most metrics
_TEXT = ("case", "slice", "filename")  # columns that stay as they are, though a case may be called 101


def study_tables(folder: Path, content: Content, runs: Sequence[Run]) -> Tables:
    """Return the evaluations of the arms that have one; the folds of a seed are one run unless the study averages them.

    Args:
        folder: evaluations of several folds together go to `folds` in it.
        content: the study.
        runs: those of the arms that were to run.
    """
    together: dict[str, dict[Key, list[Run]]] = {}
    for run in runs:
        if any(job.run_id in SCORING for job in run.jobs):
            by_key = together.setdefault(run.arm, {})
            if run.scored:
                by_key.setdefault(_key(content, run), []).append(run)
    return {
        arm: {key: _of_folds(folder / "folds", group) for key, group in by_key.items()}
        for arm, by_key in together.items()
    }


def _key(content: Content, run: Run) -> Key:
    return run.seed, run.fold if content.get("average") == "folds" else None


def study_rows(content: Content, runs: Sequence[Run], tables: Tables) -> Rows:
    """Return arm -> heading -> figure of the runs that have been scored, with differences and published rows.

    Args:
        content: the study.
        runs: those of the arms that were to run.
        tables: from :func:`study_tables`.
    """
    figures = {arm: _figures(content, arm, by_run) for arm, by_run in tables.items()}
    several = len({_key(content, run) for run in runs}) > 1
    rows: Rows = {
        arm: {name: _summary(list(by_run.values()), several) for name, by_run in own.items()}
        for arm, own in figures.items()
    }
    if content.get("differences"):
        first, *others = figures
        rows |= {f"{first} - {other}": _differences(figures[first], figures[other]) for other in others}
    return rows | {row: {} for row in content.get("published", {}) if row not in rows and row not in content["arms"]}


def leading(content: Content, rows: Rows) -> list[str]:
    """Return the headings that are shown first: those that every arm with figures has before those that some have."""
    names = headings(content)
    scored = [row for row in rows.values() if any(row.values())]
    common = [name for name in names if all(row.get(name) for row in scored)]
    some = [name for name in names if name not in common and any(row.get(name) for row in scored)]
    return [*common, *some][:LEADING]


def write_table(folder: Path, content: Content, runs: Sequence[Run], rows: Rows, notes: Sequence[str] = ()) -> None:
    """Write `table.md`, `table.csv` and `cases.csv`.

    Args:
        folder: where to write.
        content: the study.
        runs: those of the arms that were to run.
        rows: from :func:`study_rows`.
        notes: sentences below the table.
    """
    published = content.get("published", {})
    write_csv(folder / "cases.csv", list(_cases(content, [run for run in runs if run.scored])))
    write_csv(folder / "table.csv", [_csv_row(name, row, published, content) for name, row in rows.items()])
    with replacing(folder / "table.md") as temporary:
        temporary.write_text(_markdown(content, rows, published, notes), encoding="utf-8")


def lines_of(content: Content, rows: Rows) -> list[str]:
    """Return the leading figures of the arms as aligned lines of text."""
    shown = leading(content, rows)
    own = [(name, row) for name, row in rows.items() if any(row.values()) or name in content["arms"]]
    table = [["", *shown], *([name, *(cell_of(row.get(heading)) for heading in shown)] for name, row in own)]
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


def _figures(content: Content, arm: str, tables: Mapping[Key, Any]) -> Figures:
    """Return heading -> run -> figure of an arm."""
    method = content["arms"][arm].get("method", MODEL)
    result: Figures = {heading: {} for heading in content["metrics"]}
    for heading, metric in content["metrics"].items():
        for run, table in tables.items():
            row = table.get((method, metric))
            if row is not None and row["value"] is not None:  # a fold may lack a class
                low, high = (np.nan if row[end] is None else row[end] for end in ("low", "high"))
                result[heading][run] = Interval(row["value"], low, high, row["cases"])
    return result


def _of_folds(folder: Path, runs: Sequence[Run]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the evaluation's table of the cases of all these folds of one seed together."""
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


def _summary(figures: Sequence[Interval], several: bool) -> Interval | None:
    """Return the figure of the one run with its interval, or of several runs the mean with its t interval.

    An interval that rests on fewer than three values is left out.
    """
    if not figures:
        return None
    values = [figure.value for figure in figures]
    if several:
        found = seed_interval(values) if len(values) >= FEWEST else Interval(fmean(values), np.nan, np.nan, len(values))
    else:
        (found,) = figures
    return found if found.cases >= FEWEST else found._replace(low=np.nan, high=np.nan)


def _differences(first: Figures, other: Figures) -> dict[str, Interval | None]:
    result = {}
    for name, by_run in first.items():
        both = [run for run in by_run if run in other[name]]
        values = [by_run[run].value - other[name][run].value for run in both]
        result[name] = _summary([Interval(value, np.nan, np.nan, 1) for value in values], several=True)
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


def _markdown(content: Content, rows: Rows, published: Content, notes: Sequence[str]) -> str:
    beside = {heading: ["published"] for figures in published.values() for heading in figures}
    columns = [cell for heading in content["metrics"] for cell in (heading, *beside.get(heading, []))]
    lines = [
        f"# {content['title']}",
        "",
        content["intro"],
        "",
        _line(["", *columns]),
        "|---" * (len(columns) + 1) + "|",
    ]
    for name, row in rows.items():
        cells = [name]
        for heading in content["metrics"]:
            paper = [f"{published.get(name, {}).get(heading, '')}" for _ in beside.get(heading, [])]
            cells += [cell_of(row.get(heading)), *paper]
        lines.append(_line(cells))
    lines += ["", "In brackets: 95 % interval; n counts what it rests on. " + meaning(content), ""]
    lines += [*(f"- {note}" for note in notes), ""] if notes else []
    lines += ["Research use only.", ""]
    return "\n".join(lines)


def meaning(content: Content) -> str:
    """Return what the figures and intervals are."""
    fewest = (
        f"No interval for fewer than {FEWEST} values; Student's t knows no limits of a metric, such as 1 of an AUC."
    )
    if content.get("average") == "folds":
        return (
            f"Means over folds and seeds, Student's t over these; of one run alone, bootstrap over its cases. {fewest}"
        )
    return f"Of one seed, bootstrap over its cases; of several, their mean, Student's t over seeds. {fewest}"


def cell_of(figure: Interval | None) -> str:
    """Return a figure with its interval and what it counts in brackets."""
    if figure is None:
        return ""
    if not np.isfinite(figure.low):
        return f"{figure.value:.4g} [n {figure.cases}]"
    return f"{figure.value:.4g} [{figure.low:.4g} to {figure.high:.4g}, n {figure.cases}]"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
