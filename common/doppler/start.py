"""How a second stage starts: from the first stage's encoder, trained on or frozen, or from nothing."""

import os
from pathlib import Path

from torch import nn

from ..training.weights import start_from_pretrained

MODES = ("unfrozen", "frozen", "supervised")


def start_in_mode(
    network: nn.Module, path: str | os.PathLike[str], mode: str, model_dir: str | os.PathLike[str] = ""
) -> nn.Module:
    """Return `network` as a mode of the paper's table 1 starts it.

    Args:
        network: second-stage network; built with its encoder frozen where the mode says so.
        path: state dict of the first stage; not read in mode "supervised".
        model_dir: folder of the bundle's weights, see :func:`start_from_pretrained`.
        mode: "unfrozen" or "frozen" take the encoder of the first stage, "supervised" takes nothing.

    Raises:
        FileNotFoundError: if the mode is "frozen" and `path` is not there: a frozen random encoder learns nothing.
        ValueError: if the mode is unknown.
    """
    if mode not in MODES:
        raise ValueError(f"mode: expected one of {', '.join(MODES)}, found {mode!r}")
    if mode == "supervised":
        return network
    if mode == "frozen" and not Path(path).is_file():
        raise FileNotFoundError(f"{path}: mode frozen needs the first stage's encoder; run `pretraining` first")
    return start_from_pretrained(network, path, model_dir)
