import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from common.doppler import Beat, Peak
from common.doppler.figures import _plot_trace, _round_ticks, draw_trace

BEATS = [Beat(Peak(30, 40, 0.9, 80.0), Peak(70, 60, 0.8, 50.0))]


def drawn(path, calibration, caption="a"):
    row = {"box": (0, 0, 199, 99), "calibration": calibration}
    draw_trace(path, np.zeros((50, 100)), BEATS, row, caption)
    with Image.open(path) as picture:
        return picture.size


@pytest.mark.timeout(20)
@pytest.mark.parametrize("calibration", [(90.0, 1e7, 0.004), (90.0, 1e-9, 1e4), (90.0, 1.0, 1e-9), (math.nan,) * 3])
def test_a_picture_has_one_size_whatever_the_scale_claims(tmp_path, calibration):
    assert drawn(tmp_path / "a.png", calibration) == drawn(tmp_path / "b.png", (90.0, 1.0, 0.004))


@pytest.mark.parametrize(("low", "high"), [(-60, 120), (0, 2.4), (-20, 1e9), (-1e-9, 1e-9)])
def test_ticks_are_few_round_and_inside(low, high):
    ticks = _round_ticks(low, high, most=12)
    assert 2 <= len(ticks) <= 13 and min(ticks) >= low and max(ticks) <= high
    step = ticks[1] - ticks[0]
    assert np.diff(ticks) == pytest.approx(step)
    assert float(f"{step:.0e}".split("e")[0]) in (1, 2, 5)


def plotted(row, beats=BEATS):
    axes = Figure().add_subplot()
    _plot_trace(axes, np.zeros((50, 100)), beats, row)
    return axes


def test_the_axes_have_the_ticks_of_the_screen_with_their_numbers():
    # Ticks of 15 cm/s are 30 rows apart, those of 0.25 s 50 columns; velocity 0 is row 70 of 0 to 99.
    axes = plotted({"box": (0, 0, 199, 99), "calibration": (70.0, 0.5, 0.005), "ticks": (15.0, 0.25)})
    labels = [tick.label1.get_text() for tick in axes.yaxis.get_major_ticks()]
    assert dict(zip(axes.get_yticks(), labels, strict=True)) == {70: "0", 40: "15", 10: "30"}
    assert axes.get_xticks().tolist() == [0, 50, 100, 150]
    tick = axes.yaxis.get_major_ticks()[0]
    assert tick.tick2line.get_visible() and tick.label2.get_visible()


def test_a_wave_that_counts_in_no_mean_has_a_question_mark():
    axes = plotted(
        {"box": (0, 0, 199, 99), "calibration": (90.0, 1.0, 0.004)},
        [Beat(Peak(30, 40, 0.49, 80.0), Peak(70, 60, 0.5, 50.0))],
    )
    assert [text.get_text() for text in axes.texts] == ["E 80?", "A 50"]


@pytest.mark.parametrize("case", ["a$b$c", r"$\frac$", "=1+1", "$$", "50% {x} a_b^c", "\\"])
def test_a_name_is_text_and_no_formula(tmp_path, case):
    drawn(tmp_path / "a.png", (90.0, 1.0, 0.004), caption=f"{case}: E 80 cm/s")
