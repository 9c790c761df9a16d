"""The one way in which a figure is made: with the disclaimer, and saved whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTE = "Research use only; not a medical device."
DPI = 110
_MOST_INCHES = 100.0


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
            made.suptitle(title.encode("utf-8", "backslashreplace").decode(), fontsize=10)
        made.supxlabel(NOTE, fontsize=7, color="0.4")
        with replacing(path) as temporary:
            made.savefig(temporary, dpi=DPI)
