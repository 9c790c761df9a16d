"""Every stage of a bundle on simulated data by its `studies/demo.json` (a plan, see `plan.py`), with a report.

Where the bundle has weights, the demo begins with an inference by them on a few new cases, before anything is trained:
`first_look` in `demo.json` says how those cases differ from the held-out cohort of `weights.json`.
"""

import ast
import time
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from pydoc import locate
from typing import Any

from ..bundle import installed_bundles_folder
from .plan import MODEL, PlanRun, read_plan, say
from .report import evaluation_lines, write_report

FIRST_LOOK = {
    "name": "first_look",
    "title": "Inference by the weights that the bundle ships",
    "run_id": "inferring",
    "configs": ["inference.json"],
    "shipped": True,
}


def simulate(bundle: str, directory: Path, settings: Sequence[str]) -> int:
    """Write the phantom of `bundle` to `directory`; `settings` are `--name value` pairs for it. Return the status."""
    call = read_plan(bundle, "demo")["simulate"][0]
    phantom: Any = locate(call.pop("_target_"))
    typed, known = pairs(settings), signature(phantom).parameters.keys() - {"directory"}
    if unknown := typed.keys() - known:
        names = [", ".join(f"--{name}" for name in sorted(group)) for group in (known, unknown)]
        raise SystemExit(f"expected settings among {names[0]}, found {names[1]}")
    try:
        phantom(**{**call, **typed, "directory": str(directory)})
    except ValueError as error:  # a value out of its range
        raise SystemExit(str(error)) from error
    print(f"simulated cases for {bundle} are in {directory}")  # noqa: T201
    return 0


def demo(bundles: Sequence[str], output: Path) -> int:
    """Run the demo of each bundle, print scores and report paths, and return the status."""
    for bundle in bundles:
        _run(bundle, (output / bundle).resolve())
    return 0


def read_demo(bundle: str) -> dict[str, Any]:
    """Return the bundle's `demo.json`, with the first look in front where the bundle has weights."""
    plan = read_plan(bundle, "demo")
    first = plan.pop("first_look", None)
    if not first or not (installed_bundles_folder() / bundle / MODEL).is_file():
        return plan
    directory = "{work}/first_cases"
    held_out = read_plan(bundle, "weights")["held_out"]["simulate"]
    call = {**held_out, **first["simulate"], "directory": directory}
    step = {**FIRST_LOOK, "overrides": {**first.get("overrides", {}), "dataset_dir": directory}}
    return {**plan, "simulate": [*plan["simulate"], call], "steps": [step, *plan["steps"]]}


def _run(bundle: str, work: Path) -> None:
    plan = read_demo(bundle)
    say(f"\n== {bundle}: {plan['title']}\n   {plan['intro']}")
    began = time.perf_counter()
    run = PlanRun(bundle, work, plan["simulate"], plan.get("settings", {}))
    steps = [run.step(spec) for spec in plan["steps"]]
    report = write_report(work / "report.html", plan, steps)
    for text in evaluation_lines([step.folder for step in steps]):
        say("   " + text)
    say(f"   {time.perf_counter() - began:.0f} s; report: {report}")


def pairs(words: Sequence[str]) -> dict[str, Any]:
    """Return `--name value` words as a dictionary, values read as Python literals where they are."""
    if len(words) % 2 or not all(name.startswith("--") for name in words[::2]):
        raise SystemExit(f"expected settings as --name value, found: {' '.join(words)}")
    return {name[2:].replace("-", "_"): _literal(value) for name, value in zip(words[::2], words[1::2], strict=True)}


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
