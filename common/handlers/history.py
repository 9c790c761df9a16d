"""The course of a training as a table, a picture and TensorBoard scalars."""

import os
import time
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from torch.optim import Optimizer

from common.files import replacing, write_csv
from common.handlers.distributed import is_main_process


class History:
    """Writes `history.csv` and `history.png`: one row an epoch with loss, metrics, learning rate and seconds.

    The same scalars, and every new picture (PNG) in `output_dir`, go to TensorBoard in `output_dir/tensorboard`.
    Attached to the trainer, in its handlers after `ValidationHandler`.

    Args:
        output_dir: folder to write to.
        evaluator: engine whose scalar metrics are added as columns; None if there is no validation.
        optimizer: optimizer whose first group's learning rate is added; None leaves it out.
        title: heading of the picture.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        evaluator: Engine | None = None,
        optimizer: Optimizer | None = None,
        title: str = "training",
    ) -> None:
        self.folder, self.evaluator, self.optimizer, self.title = Path(output_dir), evaluator, optimizer, title
        self.rows: list[dict[str, Any]] = []
        self._total: Any = None
        self._count, self._began, self._shown = 0, 0.0, 0.0

    def attach(self, engine: Engine) -> None:
        """Collect during each epoch of the trainer `engine`, write at its end."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self._draw)

    def _begin(self, engine: Engine) -> None:
        self._total, self._count, self._began = None, 0, time.perf_counter()

    def _add(self, engine: Engine) -> None:
        output: Any = engine.state.output
        loss = (output[0] if isinstance(output, list) else output)["loss"]
        loss = loss.detach() if hasattr(loss, "detach") else loss
        self._total = loss if self._total is None else self._total + loss  # stays on the device until the epoch ends
        self._count += 1

    def __call__(self, engine: Engine) -> None:
        """Add the epoch's row and write the table."""
        row: dict[str, Any] = {"epoch": engine.state.epoch, "loss": _number(self._total) / max(self._count, 1)}
        metrics = self.evaluator.state.metrics if self.evaluator is not None else {}
        row |= {name: _number(value) for name, value in metrics.items() if _is_scalar(value)}
        if self.optimizer is not None:
            row["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        row["seconds"] = round(time.perf_counter() - self._began, 3)
        self.rows.append(row)
        if is_main_process():
            write_csv(self.folder / "history.csv", self.rows)
            self._log(row)

    def _log(self, row: dict[str, Any]) -> None:
        import numpy as np
        from PIL import Image
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(self.folder / "tensorboard")) as writer:
            for name, value in row.items():
                if name != "epoch":
                    writer.add_scalar(name, value, row["epoch"])
            for path in sorted(self.folder.glob("*.png")):
                if path.stat().st_mtime > self._shown and path.name != "history.png":
                    picture = np.asarray(Image.open(path).convert("RGB"))
                    writer.add_image(path.stem, picture, row["epoch"], dataformats="HWC")
        self._shown = time.time()

    def _draw(self, engine: Engine) -> None:
        if not self.rows or not is_main_process():
            return
        from matplotlib.figure import Figure

        names = [n for n in self.rows[-1] if n not in ("epoch", "seconds", "learning_rate")]
        figure = Figure(figsize=(3.6 * len(names), 2.8), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            axes.plot([r["epoch"] for r in self.rows], [r.get(name) for r in self.rows], marker=".")
            axes.set(xlabel="epoch", title=name.replace("_", " "))
            axes.grid(alpha=0.3)
        figure.suptitle(self.title)
        with replacing(self.folder / "history.png") as temporary:
            figure.savefig(temporary, dpi=110)

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the rows of an interrupted run."""
        self.rows = list(state["rows"])


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (int, float)) or getattr(value, "size", None) == 1 or getattr(value, "ndim", None) == 0


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
