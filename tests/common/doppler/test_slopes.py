import math

import numpy as np
import pytest
import torch

from common.doppler import FitSpectrumd
from common.doppler.phantoms.flow import InflowWave
from common.doppler.rows import doppler_row
from common.doppler.slopes import log_rise_over_fall, wave_durations_s

SECONDS, CM_S, ZERO = 0.004, 0.5, 200.0


def trace(waves, columns=500, noise=0.0):
    """Bright below the envelope of the waves, with noise; and the positions of their peaks."""
    times = np.arange(columns) * SECONDS
    envelope = np.max([wave.envelope_cm_s(times) for wave in waves], axis=0)
    velocity = (ZERO - np.arange(240)[:, None]) * CM_S
    image = 1 / (1 + np.exp(np.clip((velocity - envelope) / 1.0, -40, 40))) * (velocity > 0)
    image += noise * np.random.default_rng(0).normal(size=image.shape)
    return image, [(wave.time_s / SECONDS, ZERO - wave.velocity_cm_s / CM_S) for wave in waves]


def lasting(image, peaks, wave):
    return wave_durations_s(image, peaks, wave, ZERO, CM_S, SECONDS)


@pytest.mark.parametrize("fall_s", [0.12, 0.2, 0.28])
@pytest.mark.parametrize("step", [0.0, 0.4])
def test_finds_the_deceleration_time_of_the_slope_above_its_step(fall_s, step):
    waves = [InflowWave("E", time_s, 80.0, 0.08, fall_s, step) for time_s in (0.3, 1.2)]
    assert lasting(*trace(waves, noise=0.1), "E") == pytest.approx([fall_s] * 2, abs=0.01)


def test_a_trace_upside_down_has_the_same_slopes():
    image, peaks = trace([InflowWave("E", 0.5, 80.0, 0.08, 0.2)])
    flipped = [(x, 239 - y) for x, y in peaks]
    found = wave_durations_s(image[::-1], flipped, "E", 239 - ZERO, CM_S, SECONDS)
    assert found == pytest.approx(lasting(image, peaks, "E"), abs=1e-6)


def test_finds_how_long_an_a_lasts():
    # The rise is a power of a sine: its straight part meets zero at 0.93 of its length.
    image, peaks = trace([InflowWave("A", 0.5, 60.0, 0.07, 0.09)], noise=0.1)
    assert lasting(image, peaks, "A") == pytest.approx([0.93 * 0.07 + 0.09], abs=0.01)


def test_an_e_rises_faster_than_it_falls_and_backwards_slower():
    waves = [InflowWave("E", time_s, 80.0, 0.08, 0.2) for time_s in (0.3, 1.2)]
    image, peaks = trace(waves, noise=0.1)
    expected = math.log(0.93 * 0.08 / 0.2)  # a power of a sine, as in an A
    assert log_rise_over_fall(image, peaks, ZERO, CM_S, SECONDS) == pytest.approx([expected] * 2, abs=0.2)
    mirrored = [(499 - x, y) for x, y in peaks]
    assert log_rise_over_fall(image[:, ::-1], mirrored, ZERO, CM_S, SECONDS) == pytest.approx([-expected] * 2, abs=0.2)


def test_a_wave_of_which_one_side_leaves_the_trace_is_not_compared():
    image, peaks = trace([InflowWave("E", 0.5, 80.0, 0.08, 0.2), InflowWave("E", 1.9, 80.0, 0.08, 0.2)])
    assert list(np.isfinite(log_rise_over_fall(image, peaks, ZERO, CM_S, SECONDS))) == [True, False]
    assert len(log_rise_over_fall(image, [], ZERO, CM_S, SECONDS)) == 0


def test_a_slope_that_leaves_the_trace_is_not_measured():
    image, peaks = trace([InflowWave("E", 1.9, 80.0, 0.08, 0.2)])
    assert math.isnan(lasting(image, peaks, "E")[0])


def test_a_slope_that_leaves_the_trace_into_the_padding_beside_it_is_not_measured():
    image, peaks = trace([InflowWave("E", 0.5, 80.0, 0.08, 0.2), InflowWave("E", 1.96, 80.0, 0.08, 0.2)], noise=0.05)
    # The box ends with the trace, the network's input is twice as wide as it.
    item = {"image": torch.from_numpy(image)[None].float(), "box": torch.tensor([0, 0, 499, 239])}
    item = FitSpectrumd("image", spatial_size=(120, 500), trace_scale=2)(item)
    item |= {"case": "a", "calibration": torch.tensor([ZERO, CM_S, SECONDS], dtype=torch.float64)}
    points = torch.full((2, 2, 2), math.nan, dtype=torch.float64)
    points[0] = torch.tensor(peaks)
    row = doppler_row(item, {"points": points, "confidence": torch.ones(2, 2)})
    first, last = (duration_s for *_, duration_s in row["predicted"]["E"])
    assert first == pytest.approx(0.2, abs=0.01) and math.isnan(last)


def test_where_no_slope_is_seen_there_is_no_time():
    rng = np.random.default_rng(1)
    assert math.isnan(lasting(rng.uniform(size=(240, 500)), [(200.0, 60.0)], "E")[0])
    assert len(lasting(rng.uniform(size=(240, 500)), [], "A")) == 0
