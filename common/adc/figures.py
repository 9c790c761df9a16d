"""Slices of a brain with the contours of its lesion, as a clinician looks at them."""

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..files import replacing

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
        columns, slices: pictures a row, and in all.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    box = _brain_box(adc)
    shown = _slices_to_show(adc, [mask for mask, _ in contours.values()], slices)
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(1.7 * columns, 1.95 * aspect * rows + 0.7), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, index in zip(grid, shown, strict=False):
        axes.imshow(adc[box][..., index].T, cmap="gray", vmin=ADC_WINDOW[0], vmax=ADC_WINDOW[1], aspect=aspect)
        for mask, colour in contours.values():
            if mask[..., index].any():
                axes.contour(mask[box][..., index].T.astype(float), [0.5], colors=colour, linewidths=0.9)
        axes.set_title(f"slice {index + 1}", fontsize=7)
    figure.suptitle(title, fontsize=10)
    handles = [Line2D([], [], color=colour, label=name) for name, (_, colour) in contours.items()]
    figure.legend(handles=handles, loc="lower right", fontsize=7, frameon=False, ncols=len(handles))
    figure.supxlabel("left of the picture is the patient's right; research use only", fontsize=7, color="0.4")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


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
