"""A noised slice beside the noise that was added and the noise that a network found in it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from numpy.typing import NDArray

from ..files import replacing
from ..training.processes import is_main_process


class NoisePicture:
    """Writes `noise.png` at the end of each epoch of an evaluator: the slice whose target varies most, ADC channel.

    Items have `case` and `section`; outputs `image` (noised), `label` (target) and `pred`.

    Args:
        output_dir: folder to write to.
    """

    def __init__(self, output_dir: str | os.PathLike[str]) -> None:
        self.folder = Path(output_dir)
        self._most = -1.0
        self._title = ""
        self._pictures: list[NDArray] = []

    def attach(self, engine: Engine) -> None:
        """Look at every sample of `engine`, draw at the end of the epoch."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._look)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._draw)

    def _start(self, engine: Engine) -> None:
        self._most = -1.0

    def _look(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        output: Any = engine.state.output
        for item, result in zip(batch, output, strict=True):
            pictures = [torch.as_tensor(result[key])[0].float().cpu().numpy() for key in ("image", "label", "pred")]
            if pictures[1].std() > self._most:
                self._most, self._pictures = float(pictures[1].std()), pictures
                self._title = f"{item['case']}, slice {int(item['slice_number']) + 1}"

    def _draw(self, engine: Engine) -> None:
        if self._most < 0 or not is_main_process():
            return
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.4, 3.2), layout="constrained")
        limit = 2 * float(np.abs(self._pictures[1]).std()) + 1e-6
        titles = ("noised ADC", "target", "found by the network")
        for axes, picture, title in zip(figure.subplots(1, 3), self._pictures, titles, strict=True):
            scale = (-4.0, 4.0, "gray") if title == titles[0] else (-limit, limit, "coolwarm")
            axes.imshow(picture.T, cmap=scale[2], vmin=scale[0], vmax=scale[1])
            axes.set(xticks=[], yticks=[], title=title)
        figure.suptitle(self._title, fontsize=9)
        with replacing(self.folder / "noise.png") as temporary:
            figure.savefig(temporary, dpi=110)
