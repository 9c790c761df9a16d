"""A study as its file says it: `studies/NAME.json` of a bundle.

| name | meaning |
|---|---|
| `title`, `intro` | what the table shows |
| `data` | name -> phantom call without its directory, perhaps of inputs; without it, `--dataset_dir` gives the cases |
| `inputs` | name -> `what` it is and, where there is one, its `default`; given as `--input NAME=PATH` |
| `settings` | overrides of every stage that has them |
| `seeds`, `folds` | each arm is run for each; without `folds` the data have one split |
| `average` | "folds": figures are means over the folds; else the cases of all folds are scored together |
| `stages` | name -> `run_id`, `configs`, `overrides`, `title`; `shipped`: by the bundle's weights, without `settings` |
| `arms` | name -> `stages` in order, `settings` of those that have them, `needs` (inputs to be given), `method` |
| `metrics` | heading -> metric in the evaluation's table, or a list where they are the same; the first ones lead |
| `leading` | headings that lead before the first ones of `metrics`, whose order is that of the paper's table |
| `own` | arms of the paper's own method, of which the first with figures leads in the report; else the first arm |
| `cases` | table of the cases in the evaluation's output (default `cases.csv`) |
| `differences` | true: the first arm less each other one, run by run |
| `published` | row -> heading -> the paper's figure; rows that are no arm are shown with it alone |
| `held_out` | of `weights` alone: `figures` of the metadata (name -> arm and heading), `part` that a test repeats |

`{data}` (or the name of another data set or input) in a string stands for its path, `{before}` for the models of the
stage before, and in the default of an input `{bundle}` for the bundle's folder.
`"of": ARM` gives an arm all that it does not say itself; `"like": [STUDY, DATA]` does so for a phantom call.
An arm's `method` is the row of the evaluation's table that it shows, such as a baseline's; `model` is the default.
An arm without evaluation is run and is no row.
Every stage has a folder of its own and takes over the models of the last stage before it that makes some.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..bundle import BUNDLES_FOLDER, installed_bundles_folder
from ..errors import StudyError
from .study_check import check_known, check_study


def shown_root(bundle: str) -> Path:
    """Return the bundle's folder, short where the working directory is the repository's root."""
    short = Path(BUNDLES_FOLDER) / bundle
    full = installed_bundles_folder() / bundle
    return short if short.resolve() == full.resolve() else full


def study_names(bundle: str) -> list[str]:
    """Return the names of a bundle's studies, sorted."""
    return sorted(path.stem for path in (shown_root(bundle) / "studies").glob("*.json"))


def read_study(bundle: str, name: str, likened: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the content of a bundle's `studies/NAME.json`, with `of` and `like` resolved and metrics by heading.

    Args:
        bundle, name: of the study.
        likened: studies whose data are like those of this one.

    Raises:
        StudyError: if there is no such study, or its file is not what it should be.
    """
    if name not in study_names(bundle):
        raise StudyError(f"{bundle}: expected a study among {', '.join(study_names(bundle))}, found {name}")
    path = shown_root(bundle) / "studies" / f"{name}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StudyError(f"{path}: expected JSON, found something else ({error}); correct it") from error
    check_study(path, content)
    for data, call in content.get("data", {}).items():
        if "like" in call:
            study, other = call.pop("like")
            if study in (name, *likened):
                raise StudyError(f"{path}: data: {data}: expected like to end at data with _target_, found a circle")
            calls = read_study(bundle, study, (name, *likened)).get("data", {})
            check_known(f"{path}: data: {data}: like", [other], calls)
            content["data"][data] = {**calls[other], **call}
    for arm, spec in content["arms"].items():
        if "of" in spec:
            content["arms"][arm] = {**content["arms"][spec.pop("of")], **spec}
    metrics = content["metrics"]
    return {**content, "metrics": metrics if isinstance(metrics, dict) else {metric: metric for metric in metrics}}


def headings(content: Mapping[str, Any]) -> list[str]:
    """Return the names of the metrics, those that lead first."""
    return list(dict.fromkeys([*content.get("leading", []), *content["metrics"]]))
