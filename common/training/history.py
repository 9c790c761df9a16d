"""The course of a training as a table, a picture and TensorBoard scalars."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from torch.optim import Optimizer

from ..figure import figure
from ..files import write_csv
from .processes import is_main_process

_WIDE_RATIO = 20
_NOT_DRAWN = ("epoch", "seconds", "learning_rate")


class History:
    """Writes `history.csv` and `history.png`: one row an epoch with loss, metrics, learning rate and seconds.

    The same scalars, and every new picture (PNG) in `output_dir`, go to TensorBoard in `output_dir/tensorboard`.
    Attached to the trainer, in its handlers after `ValidationHandler`.

    Args:
        output_dir: folder to write to.
        evaluator: engine whose scalar metrics are added as columns, blank in epochs without validation; None if there
            is none.
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
        self._count, self._began, self._shown, self._evaluated = 0, 0.0, 0.0, False

    def attach(self, engine: Engine) -> None:
        """Collect during each epoch of the trainer `engine`, write at its end."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self._draw)
        if self.evaluator is not None:
            self.evaluator.add_event_handler(Events.COMPLETED, self._note_evaluation)

    def _note_evaluation(self) -> None:
        self._evaluated = True

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
        metrics = self.evaluator.state.metrics if self.evaluator is not None and self._evaluated else {}
        self._evaluated = False
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
        if self.rows and is_main_process():
            draw_history(self.folder / "history.png", {self.title: self.rows})

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the rows of an interrupted run."""
        self.rows = list(state["rows"])


def draw_history(path: str | os.PathLike[str], parts: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Draw loss and metrics by epoch as a picture (PNG), one panel each, logarithmic where values differ widely.

    Args:
        path: file to write.
        parts: title -> rows as :class:`History` keeps them; None and missing values are left out. Of several parts each
            begins, in a colour of its own, at the epoch at which the one before ends.
    """
    names = dict.fromkeys(n for rows in parts.values() for row in rows for n in row if n not in _NOT_DRAWN)
    title = next(iter(parts)) if len(parts) == 1 else ""
    with figure(path, 3.6 * len(names), 2.8, title) as made:
        for axes, name in zip(made.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            _draw_metric(axes, name, parts)
        if len(parts) > 1:
            made.legend(*made.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(parts))


def _draw_metric(axes: Any, name: str, parts: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    from matplotlib.ticker import LogFormatter

    before = 0
    values: list[float] = []
    for title, rows in parts.items():
        known = {before + row["epoch"]: row[name] for row in rows if row.get(name) is not None}
        axes.plot(list(known), list(known.values()), marker=".", label=title)
        before += len(rows)
        values += known.values()
    wide = 0 < _WIDE_RATIO * min(values, default=0) < max(values, default=0)
    axes.set(xlabel="epoch", title=name.replace("_", " "), yscale="log" if wide else "linear")
    if wide:  # the scale's own numbers are formulas, which figures do not set
        axes.yaxis.set(major_formatter=LogFormatter(), minor_formatter=LogFormatter(minor_thresholds=(2, 0.5)))
    axes.grid(alpha=0.3)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (int, float)) or getattr(value, "size", None) == 1 or getattr(value, "ndim", None) == 0


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
