"""Weights from a file into a network, with a count of what arrived."""

import hashlib
import logging
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..data.integrity import other_kind
from ..errors import UnusableFileError
from ..files import read_sealed_json, replacing, write_sealed_json
from .processes import bare_network

logger = logging.getLogger(__name__)

DEFAULT_STARTS = ("pretrained.pt", "start.pt")  # of a second stage, and of a first one
PARTS_NAMED = 8


def load_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the plain state dict in `path`, read with `weights_only=True`, tensors in float32 on the CPU.

    Where the JSON of the same name beside it states a SHA-256, the file must have it.

    Raises:
        UnusableFileError: if the file is damaged, not the one that its JSON describes, or holds anything but named
            tensors.
    """
    _check_sha256(Path(path))
    state = read_checkpoint(path)
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise UnusableFileError(f"{path}: expected named tensors only, found {type(state).__name__}; save a state_dict")
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def read_checkpoint(path: str | os.PathLike[str], allowed: Sequence[type] = ()) -> dict[str, Any]:
    """Return the dictionary that a checkpoint holds, tensors on the CPU, read with `weights_only=True`.

    Args:
        path: file of torch.save.
        allowed: other plain classes that it may hold.

    Raises:
        FileNotFoundError: if there is no such file.
        UnusableFileError: if it is another kind of file, damaged, or no dictionary.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected weights to start from, found no file")
    try:
        check_archive(path)
        with torch.serialization.safe_globals(list(allowed)):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        found = other_kind(path) or "another kind of file or a damaged one"
        raise UnusableFileError(
            f"{path}: expected a state dict saved by torch.save, found {found}; download or save it again"
        ) from error
    if not isinstance(content, Mapping):
        raise UnusableFileError(
            f"{path}: expected named tensors only, found {type(content).__name__}; save a state_dict"
        )
    return dict(content)


def check_archive(path: str | os.PathLike[str]) -> None:
    """Verify the checksums of a file of torch.save, which torch.load does not look at; older forms have none.

    Raises:
        UnusableFileError: if a part is damaged.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged:
        raise UnusableFileError(f"{path}: expected the values that were saved, found others in {damaged}")


def unfilled_parts(own: Mapping[str, Tensor], found: Mapping[str, Any]) -> str:
    """Return in words which parts of a network the tensors of a checkpoint do not fill, and why; empty if none.

    Args:
        own: state of the network.
        found: the checkpoint's, under the network's names.
    """
    reasons: dict[str, list[str]] = {}
    for name, value in own.items():
        other = found.get(name)
        if other is None or other.shape != value.shape:
            why = "missing" if other is None else f"{tuple(other.shape)} instead of {tuple(value.shape)}"
            reasons.setdefault(name.rpartition(".")[0] or name, []).append(why)
    if len(reasons) > PARTS_NAMED:  # by the largest parts, where there are too many small ones
        large: dict[str, list[str]] = {}
        for part, whys in reasons.items():
            large.setdefault(part.partition(".")[0], []).extend(whys)
        reasons = large
    named = [f"{part} ({len(whys)}: {whys[0]})" for part, whys in reasons.items()]
    return ", ".join(named[:PARTS_NAMED]) + (f" and {len(named) - PARTS_NAMED} more" if named[PARTS_NAMED:] else "")


def log_start(path: str | os.PathLike[str], own: Mapping[str, Tensor], found: Mapping[str, Any]) -> None:
    """Log how many of a network's tensors a checkpoint fills, and the parts that keep their random start."""
    fitting = sum(name in found and found[name].shape == value.shape for name, value in own.items())
    left = unfilled_parts(own, found)
    note = f"; not filled: {left}" if left else ""
    logger.info(f"started from {path}: {fitting} of {len(own)} tensors{note}")


def write_checkpoint(content: Mapping[str, Any], temporary: Path, path: str | os.PathLike[str]) -> None:
    """Write a checkpoint to `temporary`, the file that becomes `path`.

    Raises:
        OSError: if it cannot be written whole; torch has other errors for that.
    """
    try:
        torch.save(content, temporary)
    except RuntimeError as error:
        raise OSError(
            f"{path}: expected to write a checkpoint, found less on disk ({error}); is the disk full?"
        ) from error


def save_state(
    network: nn.Module,
    path: str | os.PathLike[str],
    half: bool = False,
    description: Mapping[str, Any] | None = None,
) -> str:
    """Write the plain state dict of `network` (unwrapped from DDP) to `path`, and return the SHA-256 of the file.

    Args:
        network: any module.
        path: file to write, whole or not at all; its folder is made.
        half: store floating-point tensors in half precision, but for those with numbers beyond its range (65504).
        description: written as JSON of the same name, with the SHA-256 of the weights and a digest of its own.
    """
    state = {key: value.detach().cpu() for key, value in bare_network(network).state_dict().items()}
    if half:
        state = {key: _halved(value) for key, value in state.items()}
    with replacing(path) as temporary:
        write_checkpoint(state, temporary, path)
        sha256 = sha256_of(temporary)
        if description is not None:
            write_sealed_json(Path(path).with_suffix(".json"), {**description, "sha256": sha256})
    return sha256


def _halved(value: Tensor) -> Tensor:
    fits = value.is_floating_point() and not (value.half().isinf() & value.isfinite()).any()
    return value.half() if fits else value


def has_start(path: str | os.PathLike[str] | None, model_dir: str | os.PathLike[str] = "") -> bool:
    """Return whether a training starts from the weights in `path`; see :func:`start_from_pretrained`."""
    if path is None or not Path(path).name or str(path).lower() == "none":
        return False
    if Path(path).is_file():
        return True
    if Path(path) not in [Path(model_dir) / name for name in DEFAULT_STARTS]:
        raise FileNotFoundError(f"{path}: expected weights to start from, found no file; --pretrained none needs none")
    logger.info(f"from scratch: {path} is not there (run `pretraining` of this bundle to make it)")
    return False


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _check_sha256(path: Path) -> None:
    beside = path.with_suffix(".json")
    if not (path.is_file() and beside.is_file()):
        return
    expected, remedy = f"the description of {path.name}", "download the bundle again, or train again"
    description = read_sealed_json(beside, expected, remedy)
    if not isinstance(description, dict):
        raise UnusableFileError(f"{beside}: expected {expected}, found {type(description).__name__}; {remedy}")
    stated = description.get("sha256")
    if stated is not None and stated != sha256_of(path):
        raise UnusableFileError(
            f"{path}: expected the file that {beside.name} describes (SHA-256 {stated[:12]}...), found another or a "
            "damaged one; download the bundle again, go on with an interrupted training (--resume auto), or put each "
            "model beside its own JSON"
        )


def load_weights(network: nn.Module, path: str | os.PathLike[str], fold: bool = False) -> nn.Module:
    """Return `network` with all its weights from `path`.

    Args:
        network: the network; its weights are replaced.
        path: state dict of the network.
        fold: the network is only to be run, so :func:`fold_batch_norm` may change its layers.

    Raises:
        FileNotFoundError: if there is no such file.
        UnusableFileError: if the file does not fit the network, naming what is missing, too much or of another shape.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected trained weights, found no file; run `training` of this bundle first")
    state, own = load_state(path), bare_network(network).state_dict()
    wrong = [key for key, value in own.items() if key not in state or state[key].shape != value.shape]
    more = sorted(set(state) - set(own))
    if wrong or more:
        found = f"{len(wrong)} missing or of another shape, in {unfilled_parts(own, state)}" if wrong else ""
        others = f"{len(more)} that it does not have, such as {more[0]}" if more else ""
        raise UnusableFileError(
            f"{path}: expected the {len(own)} tensors of this network, found "
            f"{' and '.join(filter(None, (found, others)))}; pass the network_def settings that the weights were "
            f"trained with, which stand in {Path(path).with_suffix('.json').name} beside them if this package trained "
            "them"
        )
    bare_network(network).load_state_dict({key: state[key] for key in own})
    if fold:
        fold_batch_norm(bare_network(network))
    return network


def fold_batch_norm(network: nn.Module) -> None:
    """Put each batch normalisation into the convolution that it follows, which leaves out its pass over the features.

    Only neighbours in an `nn.Sequential`, nested ones included, are folded: elsewhere a module does not say what
    follows what. The network, in evaluation mode from here on, gives the same but for rounding and cannot be trained.
    (The fusion of torch.fx cannot trace every network, and hooks of modules that hold others no longer run after it.)
    """
    network.eval()
    for sequence in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for (parent, name, layer), (next_parent, next_name, following) in pairwise(_layers(sequence)):
            if not isinstance(layer, (nn.Conv2d, nn.Conv3d)):
                continue
            if isinstance(following, (nn.BatchNorm2d, nn.BatchNorm3d)) and following.running_mean is not None:
                setattr(parent, name, fuse_conv_bn_eval(layer, following))
                setattr(next_parent, next_name, nn.Identity())


def _layers(sequence: nn.Sequential) -> Iterator[tuple[nn.Sequential, str, nn.Module]]:
    """Yield the layers in the order in which they run, each with the sequence that holds it and its name there."""
    for name, layer in sequence.named_children():
        if isinstance(layer, nn.Sequential):
            yield from _layers(layer)
        else:
            yield sequence, name, layer


def start_from_pretrained(
    network: nn.Module, path: str | os.PathLike[str] | None, model_dir: str | os.PathLike[str] = ""
) -> nn.Module:
    """Return `network`, its matching tensors taken from the first stage's weights in `path`, and log n of m tensors.

    Args:
        network: second-stage network.
        path: state dict of the first stage; empty, None or "none" where no start is wanted.
        model_dir: folder of the bundle's weights. A `pretrained.pt` or `start.pt` in it is a default: where that is
            not there, the network stays as it is, and the log says "from scratch" and names the run id that makes it.

    Raises:
        FileNotFoundError: if another `path` is not there.
        UnusableFileError: if the file is there and not one tensor fits.
    """
    if not path or not has_start(path, model_dir):
        return network
    state, own = load_state(path), bare_network(network).state_dict()
    fitting = {key: state[key] for key, value in own.items() if key in state and state[key].shape == value.shape}
    if not fitting:
        raise UnusableFileError(
            f"{path}: expected tensors of this network, found none that fits; remove the file or pass --pretrained none"
        )
    bare_network(network).load_state_dict(fitting, strict=False)
    log_start(path, own, state)
    return network
