"""The one way in which a figure is made: with the disclaimer, and saved whole or not at all."""

import os
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from .files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTE = "Research use only; not a medical device."
DPI = 110
_MOST_INCHES = 100.0
_TITLE_FRACTION = 0.9  # of the width, because letters of one part of a line may be wider than those of the whole


@contextmanager
def figure(
    path: str | os.PathLike[str], width_inches: float, height_inches: float, title: str = ""
) -> Iterator["Figure"]:
    """Yield an empty figure; it is saved to `path` (PNG) when the block ends without an error.

    Text is taken as it is: a `$` in the name of a case begins no formula.

    Args:
        path: file to write; its folder is made.
        width_inches, height_inches: size, at most 100 inches each.
        title: heading of the whole figure.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"text.parse_math": False}):
        size = (min(width_inches, _MOST_INCHES), min(height_inches, _MOST_INCHES))
        made = Figure(figsize=size, layout="constrained")
        yield made
        if title:
            _write_title(made, title.encode("utf-8", "backslashreplace").decode())
        made.supxlabel(NOTE, fontsize=7, color="0.4")
        with replacing(path) as temporary:
            made.savefig(temporary, dpi=DPI)


def show_tiles(
    axes: "Axes", images: Sequence[NDArray], labels: Sequence[str], columns: int, aspect: float = 1.0, **shown: Any
) -> list[tuple[int, int]]:
    """Show images row by row in one plot, which is faster than a plot each; return their left, top edges.

    Args:
        axes: plot; its unit is a pixel, its frame is taken away.
        images: each (H, W), of one size.
        labels: what to write above each image.
        columns: images in a row.
        aspect: height of a pixel over its width.
        shown: settings of `imshow`.
    """
    height, width = images[0].shape[:2]
    lines = max(label.count("\n") for label in labels) + 1
    right, down = round(1.03 * width) + 1, height + round((0.02 + 0.09 * lines) * width / aspect) + 1
    corners = [(right * (place % columns), down * (place // columns)) for place in range(len(images))]
    for image, label, (left, top) in zip(images, labels, corners, strict=True):
        axes.imshow(image, extent=(left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5), **shown)
        axes.text(left + width / 2, top - 0.02 * width / aspect, label, ha="center", va="bottom", fontsize=7)
    axes.set(xlim=(-0.5, right * min(columns, len(images))), ylim=(corners[-1][1] + height - 0.5, height - down))
    axes.set_aspect(aspect)
    axes.set_axis_off()
    return corners


def _write_title(made: "Figure", title: str) -> None:
    """Write the heading, its lines broken where they are wider than the figure."""
    text = made.suptitle(title, fontsize=10)
    lines = []
    for line in title.split("\n"):
        text.set_text(line)
        fraction = _TITLE_FRACTION * made.bbox.width / max(text.get_window_extent().width, 1.0)
        lines += textwrap.wrap(line, max(int(fraction * len(line)), 1)) if fraction < 1 else [line]
    text.set_text("\n".join(lines))
