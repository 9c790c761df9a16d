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

logger = logging.getLogger(__name__)


class ResumeSaver:
    """Writes the state of the run at the end of every epoch to one file, whole or not at all; removes it at the end.

    Attach it in the run list, after the trainer is built (references from inside `train#handlers` would be circular).

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
        engine.add_event_handler(Events.COMPLETED, self._finish)

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
            torch.save(state, temporary)

    def _finish(self, engine: Engine) -> None:
        if is_main_process():
            self.path.unlink(missing_ok=True)


class ResumeLoader:
    """Takes up the run that `path` holds when the trainer starts; without the file the run starts at epoch 0.

    Args:
        path: file of :class:`ResumeSaver`.
        objects: the same names as given to the saver.
        enabled: False starts anew and says that an unfinished run is there.
    """

    def __init__(self, path: str | os.PathLike[str], objects: Mapping[str, Any], enabled: bool = True) -> None:
        self.path, self.objects, self.enabled = Path(path), dict(objects), enabled

    def attach(self, engine: Engine) -> None:
        """Load when the trainer `engine` starts."""
        if not self.path.is_file():
            return
        if self.enabled:
            engine.add_event_handler(Events.STARTED, self)
        else:
            logger.warning(f"{self.path} holds an unfinished run, which this one replaces; --resume true takes it up")

    def __call__(self, engine: Engine) -> None:
        """Load the state of every object and set the epoch of `engine`.

        Raises:
            UnusableFileError: if the file lacks an object.
        """
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        for name, item in self.objects.items():
            if name not in state:
                raise UnusableFileError(f"{self.path}: expected the state of {name}, found {sorted(state)}")
            _bare(item).load_state_dict(state[name])
        if getattr(engine, "scaler", None) is not None and "scaler" in state:
            engine.scaler.load_state_dict(state["scaler"])  # type: ignore[attr-defined]
        engine.state.epoch = state["progress"]["epoch"]
        engine.state.iteration = state["progress"]["iteration"]
        logger.info(f"resumed from {self.path} after epoch {engine.state.epoch}")


def _bare(item: Any) -> Any:
    return bare_network(item) if isinstance(item, nn.Module) else item
