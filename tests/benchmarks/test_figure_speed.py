"""Tiles in one plot against a plot for each tile."""

import sys

import numpy as np
import pytest

from common.figure import figure, show_tiles
from tests.benchmarks.clock import side_by_side


@pytest.mark.benchmark
def test_tiles_are_drawn_faster_than_plots(tmp_path, benchmark):
    images = list(np.random.default_rng(0).random((6, 112, 112)))
    labels = [f"frame {number}" for number in range(6)]

    def plots():
        with figure(tmp_path / "plots.png", 9, 2.1, "a case") as made:
            for axes, image, label in zip(made.subplots(1, 6), images, labels, strict=True):
                axes.imshow(image, cmap="gray", vmin=0, vmax=1)
                axes.set(xticks=[], yticks=[])
                axes.set_title(label, fontsize=7)

    def tiles():
        with figure(tmp_path / "tiles.png", 9, 2.1, "a case") as made:
            show_tiles(made.subplots(), images, labels, 6, cmap="gray", vmin=0, vmax=1)

    benchmark.extra_info |= side_by_side(plots, tiles)
    benchmark.pedantic(tiles)
    sys.stdout.write(f"\n{benchmark.name}: {benchmark.extra_info}\n")
