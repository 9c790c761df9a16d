"""The threshold that belongs to the best model, kept beside it."""

import os

from ignite.engine import Engine

from ..files import write_json


class KeepThreshold:
    """Writes the threshold of the validation that a model was kept for, with the SHA-256 of that model.

    Args:
        evaluator: engine that has the threshold in `state.metrics`.
        path: JSON file beside the model.
        metric: name of the threshold among the metrics.
    """

    def __init__(self, evaluator: Engine, path: str | os.PathLike[str], metric: str = "threshold") -> None:
        self.evaluator, self.path, self.metric = evaluator, path, metric

    def __call__(self, sha256: str) -> None:
        """Write for the model with this SHA-256."""
        write_json(self.path, {"threshold": float(self.evaluator.state.metrics[self.metric]), "model_sha256": sha256})
