"""A training that a kill interrupts and the next command takes up."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn

from ..errors import UnusableFileError
from ..files import replacing
from .processes import bare_network, is_main_process
from .weights import check_archive, write_checkpoint

logger = logging.getLogger(__name__)


class ResumeSaver:
    """Writes the state of the run at the end of every epoch to one file, whole or not at all.

    Args:
        path: file to write, apart from the model's weights.
        objects: name to anything with `state_dict`; networks are unwrapped from DDP, so that one process can resume
            what two began.
        interval: epochs between two writes.
    """

    def __init__(self, path: str | os.PathLike[str], objects: Mapping[str, Any], interval: int = 1) -> None:
        self.path, self.objects, self.interval = Path(path), dict(objects), interval

    def attach(self, engine: Engine) -> None:
        """Write after every `interval` epochs of the trainer `engine`, after all handlers that came before."""
        engine.add_event_handler(Events.EPOCH_COMPLETED(every=self.interval), self)

    def __call__(self, engine: Engine) -> None:
        """Write the state of `engine` and of the objects."""
        if not is_main_process():
            return
        state = {name: _bare(item).state_dict() for name, item in self.objects.items()}
        state["progress"] = {"epoch": engine.state.epoch, "iteration": engine.state.iteration}
        scaler = getattr(engine, "scaler", None)
        if scaler is not None:
            state["scaler"] = scaler.state_dict()
        with replacing(self.path) as temporary:
            write_checkpoint(state, temporary, self.path)


class ResumeLoader:
    """Takes up the run that `path` holds when the trainer starts.

    A run that has finished goes on if `max_epochs` has been raised; otherwise no epoch runs and nothing is overwritten.

    Args:
        path: file of :class:`ResumeSaver`.
        objects: the same names as given to the saver; one with a true `ended_early` has finished before `max_epochs`.
        enabled: True needs the file; "auto" starts at epoch 0 without it; False starts at epoch 0 in any case.

    Raises:
        FileNotFoundError: if `enabled` is True and there is no file.
        ValueError: for another `enabled`.
    """

    def __init__(self, path: str | os.PathLike[str], objects: Mapping[str, Any], enabled: bool | str = False) -> None:
        self.path, self.objects = Path(path), dict(objects)
        if enabled not in (True, False, "auto"):
            raise ValueError(f"resume: expected true, false or auto, found {enabled!r}")
        if enabled is True and not self.path.is_file():
            raise FileNotFoundError(
                f"{self.path}: expected the state of a training to resume, found no file; pass the output_dir of that "
                "training, or --resume auto to start one where there is none"
            )
        self.enabled = bool(enabled)

    def attach(self, engine: Engine) -> None:
        """Load when the trainer `engine` starts."""
        if not self.path.is_file():
            return
        if self.enabled:
            engine.add_event_handler(Events.STARTED, self)
        else:
            logger.warning(f"{self.path}: replaces this earlier training; --resume true would go on with it")

    def __call__(self, engine: Engine) -> None:
        """Load the state of every object and set the epoch of `engine`.

        Raises:
            UnusableFileError: if the file is damaged, of another network, or lacks an object.
        """
        try:
            check_archive(self.path)
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            for name, item in self.objects.items():
                _bare(item).load_state_dict(state[name])
            if getattr(engine, "scaler", None) is not None and "scaler" in state:
                engine.scaler.load_state_dict(state["scaler"])  # type: ignore[attr-defined]
            epoch, iteration = int(state["progress"]["epoch"]), int(state["progress"]["iteration"])
        except Exception as error:
            raise UnusableFileError(
                f"{self.path}: expected the state of this training, found one of other settings or a damaged file "
                f"({str(error).splitlines()[0]}); pass the settings that it began with, or start without --resume"
            ) from error
        engine.state.epoch, engine.state.iteration = epoch, iteration
        ended = any(getattr(item, "ended_early", False) for item in self.objects.values())
        if ended or epoch >= (engine.state.max_epochs or 0):
            remedy = "raise patience" if ended else "raise max_epochs"
            logger.info(f"{self.path}: finished after epoch {epoch}, nothing is trained; {remedy} to go on")
            engine.state.epoch = engine.state.max_epochs or epoch
        else:
            logger.info(f"resumed from {self.path} after epoch {epoch}")


def _bare(item: Any) -> Any:
    return bare_network(item) if isinstance(item, nn.Module) else item
