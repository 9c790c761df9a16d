"""The best model of a training, kept as a plain state dict; the end of a training that no longer improves."""

import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from torch import nn

from .processes import is_main_process
from .weights import save_state

logger = logging.getLogger(__name__)


class KeepBest:
    """Writes the network to `path` whenever the metric improves, and stops the trainer after `patience` epochs without.

    Of equal epochs the last is kept: with few validation cases a rank metric ties early, later weights are steadier.
    Its state travels in resume files, so that a resumed run does not take its first, worse epoch for the best one. A
    JSON of the same name beside the weights says what they were trained with (`common.bundle.trained_settings` reads
    it), and their SHA-256, which is checked when they are loaded. A model that an earlier training left at `path` is
    kept as `NAME.previous.pt`, with its JSON.

    Args:
        network: network whose weights are kept (unwrapped from DDP).
        path: state dict to write.
        engine: engine that has the metric in `state.metrics`; None means the trainer itself.
        metric: name of the metric.
        mode: "max" if more is better, "min" if less is.
        patience: validated epochs without improvement before the training ends; 0 never ends it.
        interval: epochs between two validations.
        settings: what the weights need to be used: structure of the network, size of its input, plain values.
        half: keep the weights in half precision, as they are shipped.
        beside_model: each called with the SHA-256 of a model that was just kept, to write what belongs to it.

    Raises:
        ValueError: for a mode other than "max" and "min".
    """

    def __init__(
        self,
        network: nn.Module,
        path: str | os.PathLike[str],
        metric: str,
        engine: Engine | None = None,
        mode: str = "max",
        patience: int = 0,
        interval: int = 1,
        settings: Mapping[str, Any] | None = None,
        half: bool = False,
        beside_model: Sequence[Callable[[str], None]] = (),
    ) -> None:
        if mode not in ("max", "min"):
            raise ValueError(f"mode: expected 'max' or 'min', found {mode!r}")
        self.network, self.path, self.metric, self.engine = network, Path(path), metric, engine
        self.sign = 1.0 if mode == "max" else -1.0
        self.patience, self.interval = patience, interval
        self.settings, self.half, self.beside_model = dict(settings or {}), half, beside_model
        self.best_score, self.best_epoch, self.waited, self._wrote = -math.inf, 0, 0, False

    @property
    def ended_early(self) -> bool:
        """Whether the metric has not improved for `patience` validations."""
        return 0 < self.patience <= self.waited

    def attach(self, engine: Engine) -> None:
        """Compare at the end of every validated epoch of the trainer `engine`."""
        engine.add_event_handler(Events.EPOCH_COMPLETED(every=self.interval), self)

    def __call__(self, engine: Engine) -> None:
        """Save if the metric improved; end the training if it has not for `patience` validations."""
        value = float((self.engine or engine).state.metrics[self.metric])
        score = self.sign * value if math.isfinite(value) else -math.inf
        better = score > self.best_score or self.best_epoch == 0
        self.waited = 0 if better else self.waited + 1
        if better or (score == self.best_score and math.isfinite(score)):
            self.best_score, self.best_epoch = score, engine.state.epoch
            if is_main_process():
                self._write(value)
            logger.info(f"epoch {engine.state.epoch}: best {self.metric} {value:.4f}, saved to {self.path}")
        if self.ended_early:
            logger.info(f"no better {self.metric} for {self.waited} validations: the training ends")
            engine.terminate()

    def _write(self, value: float) -> None:
        if not self._wrote:
            self._keep_previous()
        self._wrote = True
        content = {"epoch": self.best_epoch, self.metric: value, "settings": self.settings}
        sha256 = save_state(self.network, self.path, self.half, content)
        for write in self.beside_model:
            write(sha256)

    def _keep_previous(self) -> None:
        for file in (self.path, self.path.with_suffix(".json")):
            if file.is_file():
                previous = file.with_name(f"{file.stem}.previous{file.suffix}")
                os.replace(file, previous)
                logger.info(f"{file} of an earlier training is kept as {previous.name}")

    def state_dict(self) -> dict[str, Any]:
        """Return the best score, its epoch and the validations waited since."""
        return {"best_score": self.best_score, "best_epoch": self.best_epoch, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where :meth:`state_dict` was taken."""
        self.best_score, self.best_epoch = float(state["best_score"]), int(state["best_epoch"])
        self.waited = int(state["waited"])
        self._wrote = self.best_epoch > 0
