"""The one way in which a figure is made: with the disclaimer, and saved whole or not at all."""

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .files import replacing

if TYPE_CHECKING:
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


def _write_title(made: "Figure", title: str) -> None:
    """Write the heading, its lines broken where they are wider than the figure."""
    text = made.suptitle(title, fontsize=10)
    lines = []
    for line in title.split("\n"):
        text.set_text(line)
        fraction = _TITLE_FRACTION * made.bbox.width / max(text.get_window_extent().width, 1.0)
        lines += textwrap.wrap(line, max(int(fraction * len(line)), 1)) if fraction < 1 else [line]
    text.set_text("\n".join(lines))
