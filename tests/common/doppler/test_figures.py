import math

import numpy as np
import pytest
from PIL import Image

from common.doppler import Beat, Peak
from common.doppler.figures import _round_ticks, draw_trace

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


@pytest.mark.parametrize("case", ["a$b$c", r"$\frac$", "=1+1", "$$", "50% {x} a_b^c", "\\"])
def test_a_name_is_text_and_no_formula(tmp_path, case):
    drawn(tmp_path / "a.png", (90.0, 1.0, 0.004), caption=f"{case}: E 80 cm/s")
