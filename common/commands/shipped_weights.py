"""The weights that a bundle ships: made again by its study `weights`, and described as its metadata needs it."""

import hashlib
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from ..bundle import installed_bundles_folder
from ..files import read_csv, write_json
from ..training.history import draw_history
from .jobs import Job
from .report import LIBRARIES
from .study import study
from .study_plan import Limits
from .study_table import Rows
from .terminal import say

TRAININGS = ("training", "pretraining")  # run ids


def make_weights(bundle: str, output: Path, real_data: Path | None = None) -> int:
    """Run the study `weights` of a bundle, write what it ships to `output/BUNDLE/weights`, and return the exit status.

    That is `models`, those of the first arm; `card.json`; and the loss curves of each stage, `pretraining.png` and
    `training.png`.

    Args:
        bundle: name of the bundle.
        output: folder of all studies.
        real_data: folder of the real images that the study asks for.
    """
    limits = Limits(inputs={"real_data": str(real_data)} if real_data else {}, option="--{} ")
    plan, folder, rows, status = study(bundle, "weights", output, limits=limits)
    if status:
        return status
    jobs = plan.runs[0].jobs
    shutil.rmtree(folder / "models", ignore_errors=True)
    shutil.copytree(jobs[-1].models, folder / "models", ignore=shutil.ignore_patterns("*.previous.*", ".*"))
    draw_courses(folder, jobs)
    took = {job.folder.name: {clock: job.noted[clock] for clock in ("seconds", "cpu_seconds")} for job in plan.jobs()}
    card = {
        "eval_metrics": evaluation_figures(rows, plan.content["held_out"]["figures"]),
        "weights_sha256": weights_sha256(folder / "models"),
        "took": took,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "cores": os.cpu_count(),
    }
    write_json(folder / "card.json", card)
    say(f"   weights: {folder / 'models'}; figures and checksums for metadata.json: {folder / 'card.json'}")
    say(f"   to ship them: cp {folder / 'models'}/* {installed_bundles_folder() / bundle / 'models'}/")
    return 0


def draw_courses(folder: Path, jobs: Sequence[Job]) -> None:
    """Draw the loss curves of each run id, all its trainings in one picture, as `folder/RUN_ID.png`."""
    for run_id in TRAININGS:
        histories = {job.stage: read_csv(job.output / "history.csv") for job in jobs if job.run_id == run_id}
        draw_history(
            folder / f"{run_id}.png", {name: [_numbers(row) for row in rows] for name, rows in histories.items()}
        )


def _numbers(row: Mapping[str, str]) -> dict[str, float]:
    return {name: float(cell) for name, cell in row.items() if cell}


def evaluation_figures(rows: Rows, figures: Mapping[str, tuple[str, str]]) -> dict[str, float]:
    """Return each figure of a study with its 95 % interval and case count, as plain numbers.

    Args:
        rows: of the study.
        figures: name -> arm and heading; gives NAME, NAME_low, NAME_high and NAME_cases.

    Raises:
        KeyError: if a row lacks one of them.
    """
    result: dict[str, float] = {}
    for name, (arm, heading) in figures.items():
        figure = rows[arm][heading]
        if figure is None:
            raise KeyError(f"{arm}, {heading}")
        ends = ("", "_low", "_high", "_cases")
        result |= {f"{name}{end}": value for end, value in zip(ends, figure, strict=True)}
    return result


def weights_sha256(models: Path) -> dict[str, str]:
    """Return the SHA-256 of every weights file (`*.pt`) in a folder, by file name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(models.glob("*.pt"))}
