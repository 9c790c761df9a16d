import math

import numpy as np
import pytest

from common.doppler import DecodePeaksd, FitSpectrumd, draw_heat_maps
from common.doppler.ecg import find_r_peaks

SECONDS = 0.004  # a column
R_S = (0.35, 1.2, 2.0, 2.9)


# Corners in s after R and mV. Lead II: P, QRS of 90 ms, T of 160 ms; a tall T without an R; the pulse of an artery.
LEAD_2 = ((-0.2, 0), (-0.15, 0.15), (-0.1, 0), (-0.04, 0), (-0.02, -0.1), (0, 1), (0.03, -0.2), (0.05, 0), (0.18, 0),
          (0.27, 0.3), (0.34, 0))  # fmt: skip
T_ALONE = ((-0.04, 0), (0, 0.2), (0.04, 0), (0.18, 0), (0.27, 1), (0.36, 0))
PULSE = ((0.1, 0), (0.16, 1), (0.4, 0.5), (0.45, 0.6), (0.7, 0))


def ecg_mv(times_s, r_s=R_S, corners=LEAD_2):
    points = [(r + delay, height) for r in r_s for delay, height in corners]
    return np.interp(times_s, *zip(*points, strict=True))


def screen(level=30, gain=-25, width=800, height=260, brightness=0.9, r_s=R_S, gap=(), corners=LEAD_2):
    """A trace of faint noise and one bright wave, with an ECG of one pixel at this row, this high."""
    trace = np.random.default_rng(3).uniform(0, 0.15, (height, width))
    trace[120:200, 100:140] = np.random.default_rng(4).uniform(0.4, 1, (80, 40))
    rows = np.rint(level + gain * ecg_mv(np.arange(width) * SECONDS, r_s, corners)).astype(int)
    for column in range(1, width):
        low, high = sorted(rows[column - 1 : column + 1])
        if column not in gap:
            trace[low : high + 1, column] = brightness
    return trace


@pytest.mark.parametrize(
    "drawn",
    [{}, {"gain": -40, "level": 45}, {"gain": 30, "level": 20}, {"level": 240}, {"brightness": 0.5}],
    ids=["upright", "high", "inverted", "below", "dim"],
)
def test_r_peaks_are_found_within_two_columns(drawn):
    assert find_r_peaks(screen(**drawn), SECONDS) * SECONDS == pytest.approx(R_S, abs=0.008)


def test_a_line_of_two_pixels_and_a_fine_sweep():
    trace = np.repeat(screen(width=800), 2, axis=1)
    trace[1:] = np.maximum(trace[1:], trace[:-1])
    assert find_r_peaks(trace, SECONDS / 2) * SECONDS / 2 == pytest.approx(R_S, abs=0.008)


@pytest.mark.parametrize(
    "trace",
    [
        screen(brightness=0.1),
        screen(gap=range(300, 420)),
        screen(gain=-3),
        screen(r_s=(1.2,)),
        np.zeros((260, 800)),
        np.ones((260, 800)),
        np.zeros((5, 3)),
        np.full((260, 800), np.nan),
        screen(r_s=(0.35, 1.2, 2.9)),
        screen(corners=T_ALONE),
        screen(corners=PULSE),
    ],
    ids=["hidden", "broken", "flat", "one beat", "black", "white", "tiny", "NaN", "a beat missing", "T wave", "pulse"],
)
def test_an_ecg_that_is_not_clear_gives_none(trace):
    assert len(find_r_peaks(trace, SECONDS)) == 0


def test_text_in_place_of_the_line_gives_none():
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(np.zeros((260, 800), np.uint8))
    font = ImageFont.load_default(22)
    ImageDraw.Draw(picture).text((0, 20), "MV E Vel 107 cm/s   MV A Vel 51.5 cm/s   MV Dec Time 154 ms  ", 255, font)
    assert len(find_r_peaks(np.asarray(picture) / 255, SECONDS)) == 0


def test_clicks_give_none():
    trace = screen(brightness=0.1)
    trace[:, [90, 300, 510, 720]] = 1
    trace[30] = 1
    assert len(find_r_peaks(trace, SECONDS)) == 0


def test_without_a_time_scale_nothing_is_looked_for():
    assert len(find_r_peaks(screen(), math.nan)) == 0


def test_a_wide_trace_gives_its_r_peaks_in_image_pixels_and_names_follow_them():
    # 55 beats a minute: 0.545 s from each wave to the next, all as likely E as A by their heights.
    import torch

    r_s = (0.2, 1.29, 2.38)
    trace = screen(r_s=r_s)
    image = np.zeros((300, 900))
    image[20:280, 50:850] = trace
    at_s = (0.72, 1.25, 1.81, 2.34)
    points = torch.tensor([[50 + time_s / SECONDS, 160.0] for time_s in at_s])
    item = {
        "image": torch.from_numpy(image).float()[None],
        "box": torch.tensor([50, 20, 849, 279]),
        "peaks": points.expand(2, 4, 2),
        "calibration": torch.tensor([250.0, 0.8, SECONDS], dtype=torch.float64),
    }
    fitted = FitSpectrumd("image", (96, 320), trace_scale=3)(item)
    fitted["pred"] = 0.8 * draw_heat_maps(fitted["peaks"], (96, 320), 2.0)
    found = DecodePeaksd("pred", max_peaks=4, min_distance_px=5)(fitted)
    assert (found["r_peaks"].numpy() - 50) * SECONDS == pytest.approx(r_s, abs=0.01)
    e, a = ((np.sort(wave[~wave.isnan()]) - 50) * SECONDS for wave in found["points"][..., 0])
    assert e == pytest.approx([0.72, 1.81], abs=0.01) and a == pytest.approx([1.25, 2.34], abs=0.01)
