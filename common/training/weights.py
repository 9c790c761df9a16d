"""Weights from a file into a network, with a count of what arrived."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import UnusableFileError
from ..files import replacing
from .processes import bare_network

logger = logging.getLogger(__name__)


def load_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the plain state dict in `path`, read with `weights_only=True`, tensors in float32 on the CPU.

    Raises:
        UnusableFileError: if the file is damaged or holds anything but named tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UnusableFileError(f"{path}: expected a state dict saved by torch.save, found {error}") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UnusableFileError(f"{path}: expected named tensors only, found {type(state).__name__}; save a state_dict")
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def save_state(network: nn.Module, path: str | os.PathLike[str], half: bool = False) -> None:
    """Write the plain state dict of `network` (unwrapped from DDP) to `path`, whole or not at all.

    Args:
        network: any module.
        path: file to write; its folder is made.
        half: store floating-point tensors in half precision.
    """
    state = {key: value.detach().cpu() for key, value in bare_network(network).state_dict().items()}
    if half:
        state = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    with replacing(path) as temporary:
        torch.save(state, temporary)


def load_weights(network: nn.Module, path: str | os.PathLike[str]) -> nn.Module:
    """Return `network` with all its weights from `path`.

    Raises:
        FileNotFoundError: if there is no such file.
        UnusableFileError: if the file does not fit the network, naming what is missing or has another shape.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected trained weights, found no file; run `training` of this bundle first")
    state, own = load_state(path), bare_network(network).state_dict()
    wrong = [key for key, value in own.items() if key not in state or state[key].shape != value.shape]
    if wrong:
        raise UnusableFileError(
            f"{path}: expected the {len(own)} tensors of this network, found {len(wrong)} missing or of another "
            f"shape (first: {wrong[0]}); pass the network_def settings that the weights were trained with, which "
            f"stand in {Path(path).with_suffix('.json').name} beside them if this package trained them"
        )
    bare_network(network).load_state_dict({key: state[key] for key in own})
    return network


def start_from_pretrained(network: nn.Module, path: str | os.PathLike[str], command: str = "pretraining") -> nn.Module:
    """Return `network`, its matching tensors taken from the first stage's weights in `path`, and log n of m tensors.

    Without the file the network stays as it is, and the log says "from scratch" and names the run id that makes it; an
    empty `path` means that no start is wanted.

    Args:
        network: second-stage network.
        path: state dict of the first stage.
        command: run id that writes `path`.

    Raises:
        UnusableFileError: if the file is there and not one tensor fits.
    """
    if not Path(path).name:
        return network
    if not Path(path).is_file():
        logger.info(f"from scratch: {path} is not there (run `{command}` of this bundle to make it)")
        return network
    state, own = load_state(path), bare_network(network).state_dict()
    fitting = {key: state[key] for key, value in own.items() if key in state and state[key].shape == value.shape}
    if not fitting:
        raise UnusableFileError(
            f"{path}: expected tensors of this network, found none that fits; remove the file or pass --pretrained none"
        )
    bare_network(network).load_state_dict(fitting, strict=False)
    logger.info(f"started from {path}: {len(fitting)} of {len(own)} tensors")
    return network
