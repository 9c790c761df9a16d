"""What the first stage's evaluation writes: errors before and after restoration, and a figure."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ignite.engine import Engine, Events
from numpy.typing import NDArray

from ..evaluation.intervals import bootstrap_interval
from ..evaluation.rows import Row
from ..evaluation.table import EvaluationRow
from ..figure import figure
from ..training.processes import is_main_process


def restoration_table(rows: list[Row], method: str = "model") -> list[EvaluationRow]:
    """Return the errors of the restored slices beside those of the corrupted ones; intervals are over slices.

    Args:
        rows: from :func:`restoration_row`.
        method: the model's name.
    """
    corrupted, restored = (np.array([row[f"{kind}_mse"] for row in rows]) for kind in ("corrupted", "restored"))
    return [
        EvaluationRow(method, "MSE (z-scored)", bootstrap_interval(_mean, restored)),
        EvaluationRow(method, "MSE, restored / corrupted", bootstrap_interval(_ratio, restored, corrupted)),
        EvaluationRow("no restoration", "MSE (z-scored)", bootstrap_interval(_mean, corrupted)),
    ]


def _mean(values: NDArray) -> float:
    return float(values.mean())


def _ratio(restored: NDArray, corrupted: NDArray) -> float:
    return float(restored.sum() / corrupted.sum())


_WHOLE_FRAME = 0.98


class _Shown(NamedTuple):
    title: str
    changed: float
    frames: tuple[NDArray, NDArray, NDArray]


class RestorationPicture:
    """Writes `restoration.png` at the end of each epoch of an evaluator.

    The first row is the frame of the epoch with most, but not all, of its pixels changed (shuffling, patch covering),
    the second a frame that was covered as a whole; a row that no sample offers is left out.

    Args:
        output_dir: folder to write to.
    """

    def __init__(self, output_dir: str | os.PathLike[str]) -> None:
        self.folder = Path(output_dir)
        self._spatial: _Shown | None = None
        self._temporal: _Shown | None = None

    def attach(self, engine: Engine) -> None:
        """Look at every sample of `engine`, draw at the end of the epoch."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._look)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._draw)

    def _start(self, engine: Engine) -> None:
        self._spatial = self._temporal = None

    def _look(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        output: Any = engine.state.output
        for item, result in zip(batch, output, strict=True):
            image, original, restored = (_array(result[key]) for key in ("image", "label", "pred"))
            changed = (image != original).mean(axis=(0, 1))
            for frame in np.argsort(-changed).tolist():
                shown = _Shown(
                    f"{item['case']}, slice {int(item['slice_number'])}, frame {frame + 1}",
                    float(changed[frame]),
                    (original[..., frame], image[..., frame], restored[..., frame]),
                )
                if shown.changed >= _WHOLE_FRAME:
                    self._temporal = self._temporal or shown
                    continue
                if self._spatial is None or shown.changed > self._spatial.changed:
                    self._spatial = shown
                break

    def _draw(self, engine: Engine) -> None:
        rows = [
            (kind, row)
            for kind, row in (("in space", self._spatial), ("in time", self._temporal))
            if row is not None and row.changed > 0
        ]
        if not rows or not is_main_process():
            return
        with figure(self.folder / "restoration.png", 8, 2.9 * len(rows)) as made:
            for (kind, row), line in zip(rows, made.subplots(len(rows), 3, squeeze=False), strict=True):
                low, high = np.quantile(row.frames[0], [0.01, 0.995])
                for axes, picture, title in zip(line, row.frames, ("original", "corrupted", "restored"), strict=True):
                    axes.imshow(picture, cmap="gray", vmin=low, vmax=high)
                    axes.set(xticks=[], yticks=[], title=title)
                line[0].set_ylabel(f"{kind}\n{row.title}", fontsize=8)


def _array(value: Any) -> NDArray:
    return torch.as_tensor(value[0]).detach().float().cpu().numpy()
