import numpy as np
import pytest

from common.rf import CircularInclusion, Disturbance, RfAcquisition, level_amplitude, measure_speckle, rf_pair


def frame(**settings):
    array = RfAcquisition(**{"samples": 1000, "lines": 64, **settings})
    still = CircularInclusion(5.0, 5.0, 2.0, 1.0, 0.0)
    return rf_pair(array, still, np.random.default_rng(0), Disturbance(25.0, 0.0))[0]


@pytest.mark.parametrize(("sampling", "centre"), [(40, 5), (40, 8), (25, 6)])
def test_period_is_that_of_the_pulse(sampling, centre):
    found = measure_speckle(frame(sampling_mhz=sampling, centre_mhz=centre, bandwidth=0.5))
    assert found.period_samples == pytest.approx(sampling / centre, rel=0.05)


@pytest.mark.parametrize("beam", [0.8, 1.0, 2.0, 3.5])
def test_beam_is_that_of_the_array(beam):
    assert measure_speckle(frame(beam_lines=beam)).beam_lines == pytest.approx(beam, rel=0.15)


def test_one_line_has_no_beam_to_measure():
    assert measure_speckle(frame()[:, :1]).beam_lines == 1.0


def test_amplitude_is_one_everywhere_whatever_the_gain():
    plain = frame()
    gain = np.exp(-np.arange(1000) / 150)[:, None] * np.where(np.arange(1000) < 500, 1, 10)[:, None]
    levelled = level_amplitude(plain * gain)
    by_depth = np.sqrt((levelled.reshape(10, 100, -1) ** 2).mean((1, 2)))
    assert by_depth.min() > 0.6 and by_depth.max() < 1.2
    np.testing.assert_allclose(levelled[200:400], level_amplitude(plain)[200:400], atol=0.15)


def test_reflectors_are_brought_down_to_twice_the_amplitude():
    bright = frame()
    bright *= 1 + 100 * np.exp(-(((np.arange(1000.0) - 505) / 8) ** 2))[:, None]
    assert np.abs(level_amplitude(bright)).max() < 2 * np.sqrt(2) + 0.01
    # A box average would leave the neighbours within half its window in the dark.
    assert np.sqrt((level_amplitude(bright)[540:560] ** 2).mean()) > 0.3


def test_constants_and_dead_bands_become_zero():
    plain = frame()
    np.testing.assert_allclose(level_amplitude(plain + 5000), level_amplitude(plain), atol=0.05)
    for constant in (0, 3 * plain.std()):
        plain[600:] = constant
        assert not level_amplitude(plain)[640:].any()
    assert not level_amplitude(np.full((50, 4), 7.0)).any()


def with_flat_echo(plain, row=600):
    place = (np.arange(len(plain))[:, None] - row) / 10
    return plain + 10 * plain.std() * np.cos(2 * np.pi * (place * 10) / 8) * np.exp(-(place**2))


def test_the_speckle_under_an_echo_that_is_the_same_on_all_lines_is_left():
    plain = frame()
    clean, echoed = level_amplitude(plain), level_amplitude(with_flat_echo(plain))
    here = np.s_[570:630]
    assert np.corrcoef(clean[here].ravel(), echoed[here].ravel())[0, 1] > 0.9
    np.testing.assert_allclose(echoed[:300], clean[:300], atol=0.02)


def test_layered_tissue_is_no_echo():
    layers = np.repeat(frame()[:, :1], 64, axis=1)
    assert np.sqrt((level_amplitude(layers) ** 2).mean()) > 0.5
