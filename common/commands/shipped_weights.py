"""The weights that a bundle ships: made again by one command, scored on a fixed cohort, and described in its metadata.

`studies/weights.json` is a plan (see `plan.py`) whose steps end with the weights in `{work}/models`. Its `held_out`
fixes the cohort that no training sees: `simulate` (phantom call of another seed), `part` (settings of that call that
write its first cases only), `evaluation` (the step) and `figures` (name in `eval_metrics` -> method and metric of the
evaluation's table). `comparisons` (name -> `steps`: names of the plan's own, and `evaluation`: overrides) are models
that stand beside it on the same cohort, such as one without the first stage: each is trained in a folder of its own and
scored by the same evaluation. A plan that trains on real images says in `real_data` which, and names their folder as
`{real_data}`.
"""

import hashlib
import math
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..bundle import installed_bundles_folder
from ..errors import NoDataError
from ..evaluation.table import read_evaluation
from ..files import read_csv, write_json
from ..training.history import draw_history
from .plan import TRAININGS, PlanRun, filled, read_plan, say
from .report import evaluation_lines

LIBRARIES = ("torch", "monai", "pytorch-ignite", "numpy")


def make_weights(bundle: str, output: Path, real_data: Path | None = None) -> int:
    """Make the weights of `bundle` in `output/BUNDLE/models`, score them, write what the model card needs, return 0.

    That is `card.json` and the loss curves of each stage, `pretraining.png` and `training.png`.

    Args:
        bundle: name of a bundle with a `weights.json`.
        output: where to write.
        real_data: folder of the real images that the plan asks for.

    Raises:
        NoDataError: if the plan asks for real images and `real_data` is no folder.
    """
    work, plan = (output / bundle).resolve(), with_real_data(read_plan(bundle, "weights"), real_data)
    held_out = plan["held_out"]
    say(f"\n== {bundle}: {plan['title']}\n   {plan['intro']}")
    run = PlanRun(bundle, work, [*plan["simulate"], held_out["simulate"]], plan.get("settings", {}))
    steps = [run.step(spec) for spec in [*plan["steps"], held_out["evaluation"]]]
    draw_courses(work, plan["steps"])
    others = {name: run_comparison(run, name, plan) for name in plan.get("comparisons", {})}
    for text in evaluation_lines([step.folder for step in steps] + list(others.values())):
        say("   " + text)
    card = {
        "eval_metrics": evaluation_figures(steps[-1].folder, held_out["figures"]),
        "comparisons": {name: list(read_evaluation(folder).values()) for name, folder in others.items()},
        "weights_sha256": weights_sha256(work / "models"),
        "took": run.done.took(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "cores": os.cpu_count(),
    }
    write_json(work / "card.json", card)
    say(f"   weights: {work / 'models'}; figures and checksums for metadata.json: {work / 'card.json'}")
    say(f"   to ship them: cp {work / 'models'}/* {installed_bundles_folder() / bundle / 'models'}/")
    return 0


def draw_courses(work: Path, steps: Sequence[Mapping[str, Any]]) -> None:
    """Draw the loss curves of each run id, all its trainings in one picture, as `work/RUN_ID.png`.

    Args:
        work: folder of the run, in which the steps have run.
        steps: of the plan; those that train nothing are left out.
    """
    for run_id in TRAININGS:
        names = [step["name"] for step in steps if step["run_id"] == run_id]
        histories = {name: read_csv(work / name / "history.csv") for name in names}
        parts = {name: [_numbers(row) for row in rows] for name, rows in histories.items()}
        draw_history(work / f"{run_id}.png", parts)


def _numbers(row: Mapping[str, str]) -> dict[str, float]:
    return {name: float(cell) for name, cell in row.items() if cell}


def with_real_data(plan: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """Return the plan with `{real_data}` replaced by `folder`, where it asks for one.

    Raises:
        NoDataError: if it asks for real images and there is no such folder.
    """
    if "real_data" in plan and not (folder and folder.is_dir()):
        raise NoDataError(f"{folder or '--real_data'}: expected a folder with {plan['real_data']}, found none")
    return dict(filled(plan, folder.resolve(), "{real_data}")) if folder else dict(plan)


def run_comparison(run: PlanRun, name: str, plan: Mapping[str, Any]) -> Path:
    """Train and score the model `name` of the plan's comparisons, and return the folder of its evaluation."""
    other, evaluation = plan["comparisons"][name], plan["held_out"]["evaluation"]
    own = {step["name"]: step for step in plan["steps"]}
    overrides = {**evaluation["overrides"], **other.get("evaluation", {})}
    steps = [*(own[step] for step in other["steps"]), {**evaluation, "overrides": overrides}]
    return [run.step(step).folder for step in steps_apart(name, steps)][-1]


def steps_apart(name: str, steps: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield steps by seed 0 with their outputs and models in a folder of their own, `{work}/NAME_0`."""
    folder = f"{name}_0".replace(" ", "_")
    for step in steps:
        overrides = {"seed": 0, "model_dir": f"{{work}}/{folder}/models", **step.get("overrides", {})}
        if step["run_id"] == "evaluating":
            overrides["method"] = name
        title = f"{name}: {step['name'].replace('_', ' ')}"
        yield {**step, "name": f"{folder}/{step['name']}", "title": title, "overrides": overrides}


def evaluation_figures(folder: Path, figures: Mapping[str, tuple[str, str]]) -> dict[str, float]:
    """Return each figure of an evaluation with its 95 % interval and case count, as plain numbers.

    Args:
        folder: output folder of the evaluation.
        figures: name -> (method, metric) of the table; gives NAME, NAME_low, NAME_high and NAME_cases.

    Raises:
        KeyError: if the table lacks one of them.
    """
    table = read_evaluation(folder)
    result: dict[str, float] = {}
    for name, (method, metric) in figures.items():
        row = table[method, metric]
        result |= {name: row["value"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
        result[f"{name}_cases"] = row["cases"]
    return result


def interval_of_part(figures: Mapping[str, float], name: str, cases: int) -> tuple[float, float]:
    """Return where a figure measured on `cases` cases of the cohort is expected, from the figure on all of it.

    Each arm of the cohort's 95 % interval is lengthened by the square root of the ratio of case counts, as the standard
    error of a mean grows. The part is one of the cohort itself, so its figure is in there more often than 95 times in
    100.

    Args:
        figures: `eval_metrics`, with NAME, NAME_low, NAME_high and NAME_cases.
        name: which figure.
        cases: number of cases of the part, positive.
    """
    value, low, high = (figures[f"{name}{end}"] for end in ("", "_low", "_high"))
    longer = math.sqrt(figures[f"{name}_cases"] / cases)
    return value - (value - low) * longer, value + (high - value) * longer


def weights_sha256(models: Path) -> dict[str, str]:
    """Return the SHA-256 of every weights file (`*.pt`) in a folder, by file name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(models.glob("*.pt"))}
