import numpy as np
import pytest

from common.doppler.phantoms.flow import InflowWave, draw_beats


@pytest.mark.parametrize("step", [0.0, 0.4])
def test_the_straight_slope_meets_zero_after_the_deceleration_time(step):
    wave = InflowWave("E", 1.0, 90.0, 0.08, 0.2, step)
    times = 1.0 + np.array([0.05, 0.08])
    velocity = wave.envelope_cm_s(times)
    slope = (velocity[1] - velocity[0]) / (times[1] - times[0])
    assert times[0] - velocity[0] / slope == pytest.approx(1.0 + 0.2)


def test_the_slope_is_three_times_flatter_below_its_step():
    wave = InflowWave("E", 0.0, 100.0, 0.08, 0.2, 0.5)
    above, below = (np.diff(wave.envelope_cm_s(np.array(times)))[0] for times in ((0.05, 0.06), (0.15, 0.16)))
    assert above == pytest.approx(3 * below)


@pytest.mark.parametrize("seed", range(12))
def test_every_e_and_a_is_a_top_of_the_envelope(seed):
    beats = draw_beats(np.random.default_rng(seed), 4.0)
    for wave in beats.waves:
        if wave.name == "L":
            continue
        around = wave.time_s + np.linspace(-0.01, 0.01, 41)
        envelope = beats.inflow_cm_s(around)
        assert envelope[20] == pytest.approx(wave.velocity_cm_s)
        assert envelope.argmax() == 20


def test_velocities_rhythms_and_ratios_are_those_of_patients():
    drawn = [draw_beats(np.random.default_rng(seed), 4.0) for seed in range(120)]
    e, a = ([w.velocity_cm_s for beats in drawn for w in beats.waves if w.name == name] for name in "EA")
    assert 30 < min(e) < 55 and 130 < max(e) < 250 and min(a) > 24 and max(a) < 140
    assert {beats.rhythm for beats in drawn} == {"sinus", "fusion", "fibrillation"}
    assert not [w for beats in drawn if beats.rhythm == "fibrillation" for w in beats.waves if w.name == "A"]
    assert 0.05 < np.mean([any(w.name == "L" for w in beats.waves) for beats in drawn]) < 0.25


def test_outflow_stands_in_systole_and_inflow_in_diastole():
    beats = draw_beats(np.random.default_rng(3), 4.0)
    times = np.linspace(0.5, 3.5, 2000)
    assert (beats.outflow_envelope_cm_s(times) * beats.inflow_cm_s(times)).max() < 0.05 * beats.outflow_cm_s * 100
