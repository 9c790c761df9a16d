"""Slices of a brain with the contours of its lesion, as a clinician looks at them; and what stage 1 predicts."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from numpy.typing import NDArray

from ..figure import figure, show_tiles
from ..training.processes import is_main_process

Volume = NDArray[np.floating]
Mask = NDArray[np.bool_]

ADC_WINDOW = (0.0, 2500.0)


def draw_lesion_montage(
    path: str | os.PathLike[str],
    adc: Volume,
    contours: Mapping[str, tuple[Mask, str]],
    title: str,
    aspect: float = 1.0,
    columns: int = 6,
    slices: int = 12,
) -> None:
    """Write a PNG of axial ADC slices with contours; those with most lesion are among them.

    Args:
        path: file to write.
        adc: (X, Y, Z) in 1e-6 mm2/s, axes to the patient's left, back and head; shown as seen from the feet.
        contours: name to mask (X, Y, Z) and colour.
        title: heading.
        aspect: size of a pixel along y over that along x.
        columns, slices: images in a row, and in all.
    """
    from matplotlib.lines import Line2D

    box = _brain_box(adc)
    shown = _slices_to_show(adc, [mask for mask, _ in contours.values()], slices)
    images = [adc[box][..., index].T for index in shown]
    tall = 1.7 * aspect * images[0].shape[0] / images[0].shape[1] + 0.2
    with figure(path, 1.7 * columns, tall * -(-len(shown) // columns) + 0.8, title) as drawn:
        axes = drawn.subplots()
        window = {"vmin": ADC_WINDOW[0], "vmax": ADC_WINDOW[1]}
        labels = [f"slice {index + 1}" for index in shown]
        corners = show_tiles(axes, images, labels, columns, aspect, cmap="gray", **window)
        for index, (left, top) in zip(shown, corners, strict=True):
            for mask, colour in contours.values():
                if mask[..., index].any():
                    lesion = mask[box][..., index].T.astype(float)
                    x, y = left + np.arange(lesion.shape[1]), top + np.arange(lesion.shape[0])
                    axes.contour(x, y, lesion, [0.5], colors=colour, linewidths=0.9)
        handles = [Line2D([], [], color=colour, label=name) for name, (_, colour) in contours.items()]
        side = {"title": "left of the image is the patient's right", "title_fontsize": 7}
        drawn.legend(handles=handles, loc="outside lower right", fontsize=7, frameon=False, **side)


class NoisePicture:
    """Writes `noise.png` at the end of each epoch of an evaluator: the slice whose target varies most, ADC channel.

    Items have `case` and `slice_number`; outputs `image` (noised), `label` (target) and `pred`.

    Args:
        output_dir: folder to write to.
    """

    def __init__(self, output_dir: str | os.PathLike[str]) -> None:
        self.folder = Path(output_dir)
        self._most = -1.0
        self._title = ""
        self._images: dict[str, NDArray] = {}

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
            shown = (torch.as_tensor(result[key])[0].float().cpu().numpy() for key in ("image", "label", "pred"))
            images = dict(zip(("noised ADC", "target", "predicted"), shown, strict=True))
            if images["target"].std() > self._most:
                self._most, self._images = float(images["target"].std()), images
                self._title = f"{item['case']}, slice {int(item['slice_number']) + 1}"

    def _draw(self, engine: Engine) -> None:
        if self._most < 0 or not is_main_process():
            return
        images = self._images
        limit = 2 * float(np.abs(images["target"]).std()) + 1e-6
        with figure(self.folder / "noise.png", 8.4, 3.2, self._title) as drawn:
            for axes, (title, image) in zip(drawn.subplots(1, 3), images.items(), strict=True):
                low, high, colours = (-4.0, 4.0, "gray") if title == "noised ADC" else (-limit, limit, "coolwarm")
                axes.imshow(image.T, cmap=colours, vmin=low, vmax=high)
                axes.set(xticks=[], yticks=[], title=title)


def _brain_box(adc: Volume) -> tuple[slice, slice]:
    """Return the box (x, y) around the brain, two pixels wider; everything if there is none."""
    box = []
    for axis in range(2):
        (filled,) = np.nonzero((adc > 0).any(axis=(1 - axis, 2)))
        box.append(slice(max(int(filled[0]) - 2, 0), int(filled[-1]) + 3) if filled.size else slice(None))
    return box[0], box[1]


def _slices_to_show(adc: Volume, masks: list[Mask], count: int) -> list[int]:
    """Return up to `count` slices with brain in order: half by the lesion's area, the others evenly spread."""
    (brain,) = np.nonzero((adc > 0).any(axis=(0, 1)))
    if len(brain) <= count:
        return brain.tolist() or [0]
    area = sum((mask.sum(axis=(0, 1)) for mask in masks), np.zeros(adc.shape[2]))
    most = [index for index in np.argsort(-area).tolist() if area[index] > 0][: count // 2]
    spread = brain[np.linspace(0, len(brain) - 1, count - len(most)).round().astype(int)]
    return sorted({*most, *spread.tolist()})
