"""A paper's claim put to the test: arms that differ in one thing, each trained by several seeds, in one table.

`studies/ablation.json` is a plan (see `plan.py`) with `steps` by name, `arms` (name -> names of steps, the last one
an evaluation), `seeds`, and `metrics` (names in the evaluation's table). Every arm and seed has its own folder of
models; the first arm is compared with each of the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from ..evaluation.intervals import seed_interval
from ..evaluation.table import EvaluationRow, read_evaluation, write_evaluation
from .plan import PlanRun, read_plan, say
from .report import evaluation_lines

Figures = dict[str, dict[str, list[float]]]


def ablate(bundle: str, output: Path) -> int:
    """Train and evaluate every arm by every seed, write the table to `output/BUNDLE`, and return the status."""
    plan, work = read_plan(bundle, "ablation"), (output / bundle).resolve()
    say(f"\n== {bundle}: {plan['title']}\n   {plan['intro']}")
    run = PlanRun(bundle, work, plan["simulate"], plan.get("settings", {}))
    figures: Figures = {arm: {metric: [] for metric in plan["metrics"]} for arm in plan["arms"]}
    for seed, arm in product(plan["seeds"], plan["arms"]):
        steps = arm_steps(arm, seed, [{"name": name, **plan["steps"][name]} for name in plan["arms"][arm]])
        folder = [run.step(step).folder for step in steps][-1]
        table = read_evaluation(folder)
        for metric in plan["metrics"]:
            figures[arm][metric].append(float(table[arm, metric]["value"]))
    write_evaluation(work, ablation_rows(figures))
    for text in evaluation_lines([work]):
        say("   " + text)
    return 0


def arm_steps(arm: str, seed: int, steps: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the steps of one arm by one seed: outputs and models in `{work}/ARM_SEED`."""
    folder = f"{arm}_{seed}".replace(" ", "_")
    for step in steps:
        overrides = {"seed": seed, "model_dir": f"{{work}}/{folder}/models", **step.get("overrides", {})}
        if step["run_id"] == "evaluating":
            overrides["method"] = arm
        title = f"{arm}, seed {seed}: {step['name'].replace('_', ' ')}"
        yield {**step, "name": f"{folder}/{step['name']}", "title": title, "overrides": overrides}


def ablation_rows(figures: Figures) -> list[EvaluationRow]:
    """Return the table of an ablation: each arm's figures, then the first arm minus each other one, paired by seed.

    Values are means over seeds with the 95 % t interval of that mean; the number of "cases" is that of the seeds. The
    held-out cohort is one and the same, so its sampling is not in the interval.

    Args:
        figures: arm -> metric -> one value a seed, in the same order of seeds.
    """
    first, *others = figures
    rows = [EvaluationRow(arm, name, seed_interval(values)) for arm in figures for name, values in figures[arm].items()]
    for other, (name, values) in product(others, figures[first].items()):
        differences = [a - b for a, b in zip(values, figures[other][name], strict=True)]
        rows.append(EvaluationRow(f"{first} - {other}", name, seed_interval(differences)))
    return rows
