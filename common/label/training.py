"""What a training from a server's labels is asked for, and whether its weights come into use."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from monai.bundle import ConfigWorkflow

from ..bundle import config_paths, run_bundle
from ..files import write_json
from .served import CLIENT_NAMES, ServedBundle, checked_number, make_importable
from .versions import COMPARISON, WEIGHTS

OPTIONS = ("max_epochs", "batch_size", "learning_rate")
VALIDATION_SHARE = "val_split"


def training_options(bundle: ServedBundle) -> dict[str, Any]:
    """Return the settings that a client may change: those of `train.json` that are numbers, and `val_split`."""
    config = json.loads((bundle.root / "configs" / "train.json").read_text(encoding="utf-8"))
    return {name: config[name] for name in OPTIONS} | {VALIDATION_SHARE: 1 / config["folds"]}


def checked_options(bundle: ServedBundle, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return :func:`training_options` with the values of a request.

    Raises:
        ValueError: if a value is no number or outside its range, or a name is none of them. Text never gets into a
            config: there it could be code.
    """
    options = training_options(bundle)
    if unknown := set(request) - set(options) - CLIENT_NAMES:
        raise ValueError(f"expected some of {', '.join(options)}, found {', '.join(sorted(unknown))[:200]}")
    for name, default in options.items():
        options[name] = checked_number(name, request.get(name, default), default)
        if options[name] <= 0:
            raise ValueError(f"{name}: expected a number over 0, found {options[name]!r}")
    if options[VALIDATION_SHARE] > 0.5:
        raise ValueError(
            f"{VALIDATION_SHARE}: expected a share over 0 and up to 0.5, found {options[VALIDATION_SHARE]}"
        )
    return options


def training_settings(
    bundle: ServedBundle, studies: str | Path, request: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Return the overrides for a training on `studies` that starts from the weights in use and leaves them untouched.

    Args:
        bundle: the bundle to train.
        studies: folder of the server, with labels in `labels/final`.
        request: values of :func:`training_options`.
        folder: where the new weights go.

    Raises:
        ValueError: as :func:`checked_options`.
    """
    make_importable(bundle.root)
    options = checked_options(bundle, request)
    share = options.pop(VALIDATION_SHARE)
    starts = (bundle.weights, bundle.root / "models" / "pretrained.pt")
    return {
        "bundle_root": str(bundle.root),
        "dataset_dir": str(studies),
        "model_dir": str(folder),
        "output_dir": str(folder / "training"),
        "pretrained": next((str(path) for path in starts if path.is_file()), "none"),
        "sizes": "@structure",
        "folds": max(round(1 / share), 2),
        **options,
    }


def train(bundle: ServedBundle, studies: str | Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Train on `studies`; the new weights come into use if they do better than those in use on the same cases.

    Returns:
        version: name of the new weights.
        metric: what was compared, on the validation cases of this training.
        before, after: its value for the weights in use until now, None if there were none, and for the new ones.
        weights_before: the weights in use until now.
        used: whether the new weights came into use.

    Raises:
        ValueError: as :func:`checked_options`.
        RuntimeError: if the bundle has no folder for weights of its own.
    """
    if bundle.versions is None:
        raise RuntimeError(f"{bundle.name}: expected a folder for weights of its own")
    checked_options(bundle, request)
    before, folder = bundle.weights, bundle.versions.new()
    settings = training_settings(bundle, studies, request, folder)
    run_bundle(bundle.root, "training", ["train.json"], settings)
    after = validation_score(bundle, settings, folder / WEIGHTS)
    reference = validation_score(bundle, settings, before) if before.is_file() else None
    result = {
        "version": folder.name,
        "metric": after.metric,
        "before": None if reference is None else reference.value,
        "after": after.value,
        "weights_before": str(before),
        "used": after.better_than(reference),
    }
    write_json(folder / COMPARISON, result)
    if result["used"]:
        bundle.versions.use(folder.name)
    return result


class Score(NamedTuple):
    """What a training calls its best epoch by, for some weights."""

    metric: str
    value: float
    sign: int

    def better_than(self, other: "Score | None") -> bool:
        """Tell whether this is a number and there is no other, or the other is worse or no number."""
        if not math.isfinite(self.value):
            return False
        return other is None or not math.isfinite(other.value) or self.sign * (self.value - other.value) > 0


def validation_score(bundle: ServedBundle, settings: Mapping[str, Any], weights: Path) -> Score:
    """Return the score of `weights` on the validation cases of the training with these settings."""
    workflow = ConfigWorkflow(
        config_file=config_paths(bundle.root, ["train.json"]),
        run_id="training",
        workflow_type="train",
        **{**settings, "pretrained": str(weights)},
    )
    workflow.initialize()
    metric = workflow.parser["metric"]
    evaluator = workflow.parser.get_parsed_content("validate#evaluator")
    evaluator.run()
    sign = -1 if workflow.parser["train"]["trainer"].get("mode") == "min" else 1
    return Score(metric, float(evaluator.state.metrics[metric]), sign)
