"""What a training from a server's labels is asked for, as overrides of the bundle's `train.json`."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .served import ServedBundle, make_importable

OPTIONS = ("max_epochs", "batch_size", "learning_rate")
VALIDATION_SHARE = "val_split"


def training_options(bundle: ServedBundle) -> dict[str, Any]:
    """Return the settings that a client may change: those of `train.json` that are numbers, and `val_split`."""
    config = json.loads((bundle.root / "configs" / "train.json").read_text(encoding="utf-8"))
    return {name: config[name] for name in OPTIONS} | {VALIDATION_SHARE: 1 / config["folds"]}


def training_settings(bundle: ServedBundle, studies: str | Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides for a training on `studies` that starts from the weights in use and leaves them untouched.

    Args:
        bundle: has a folder for weights of its own.
        studies: folder of the server, with labels in `labels/final`.
        request: values of :func:`training_options`; anything else in it is ignored.

    Raises:
        ValueError: if one of the values is no number, or outside its range. Text never gets into a config: there it
            could be code.
    """
    make_importable(bundle.root)
    options = {name: _number(name, request.get(name, value), value) for name, value in training_options(bundle).items()}
    share = options.pop(VALIDATION_SHARE)
    if not 0 < share <= 0.5:
        raise ValueError(f"{VALIDATION_SHARE}: expected a share over 0 and up to 0.5, found {share}")
    start = bundle.weights if bundle.weights.is_file() else bundle.root / "models" / "pretrained.pt"
    return {
        "bundle_root": str(bundle.root),
        "dataset_dir": str(studies),
        "model_dir": str(bundle.own_models),
        "output_dir": str(Path(bundle.own_models or "") / "training"),
        "pretrained": str(start),
        "sizes": "@structure",
        "folds": max(round(1 / share), 2),
        **options,
    }


def _number(name: str, value: Any, default: float) -> Any:
    kind = int if isinstance(default, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind) or not math.isfinite(value) or value <= 0:
        expected = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name}: expected {expected} over 0, found {value!r}")
    return value
