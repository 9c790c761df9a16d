"""The threshold that belongs to the best model, kept beside it."""

import os
from typing import Any

from ignite.engine import Engine, Events

from ..files import write_json
from ..training.best_model import KeepBest
from ..training.processes import is_main_process


class KeepThreshold:
    """Writes `threshold`, the score and the epoch to `path` whenever `keep_best` has kept this epoch's model.

    Attached to the trainer, after `keep_best`.

    Args:
        keep_best: keeps the model.
        evaluator: engine that has the threshold in `state.metrics`.
        path: JSON file beside the model.
        metric: name of the threshold among the metrics.
    """

    def __init__(
        self, keep_best: KeepBest, evaluator: Engine, path: str | os.PathLike[str], metric: str = "threshold"
    ) -> None:
        self.keep_best, self.evaluator, self.path, self.metric = keep_best, evaluator, path, metric

    def attach(self, engine: Engine) -> None:
        """Look after every epoch of the trainer `engine`."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Write if the model of this epoch was kept."""
        if self.keep_best.best_epoch != engine.state.epoch or not is_main_process():
            return
        content: dict[str, Any] = {
            "threshold": float(self.evaluator.state.metrics[self.metric]),
            self.keep_best.metric: self.keep_best.best_score,
            "epoch": engine.state.epoch,
        }
        write_json(self.path, content)
