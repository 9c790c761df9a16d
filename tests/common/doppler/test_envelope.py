import numpy as np
import pytest

from common.doppler import envelope_peaks


def spectrum(peaks, baseline=80, upward=True, size=(100, 200)):
    """Filled triangles of given (column, height) on a dark ground."""
    columns = np.arange(size[1])
    height = np.zeros(size[1])
    for column, tall in peaks:
        height = np.maximum(height, tall * np.clip(1 - np.abs(columns - column) / 9, 0, 1))
    rows = np.arange(size[0])[:, None]
    distance = (baseline - rows) if upward else (rows - baseline)
    return ((distance > 0) & (distance <= height)).astype(float)


WAVES = [(30, 60), (60, 40), (110, 60), (140, 40)]


@pytest.mark.parametrize("upward", [True, False])
def test_finds_the_tops_and_tells_e_from_a_by_the_gaps(upward):
    baseline = 80 if upward else 20
    found = envelope_peaks(spectrum(WAVES, baseline, upward), baseline)
    for wave, expected in (("E", [30, 110]), ("A", [60, 140])):
        assert found[wave][:, 0] == pytest.approx(expected, abs=1)
    sign = -1 if upward else 1
    assert found["E"][:, 1] == pytest.approx([baseline + sign * 60] * 2, abs=12)


def test_even_gaps_are_fibrillation_with_e_waves_only():
    found = envelope_peaks(spectrum([(30, 60), (80, 55), (130, 60), (170, 58)]), 80)
    assert len(found["E"]) == 4 and len(found["A"]) == 0


@pytest.mark.parametrize("image", [np.zeros((40, 60)), np.full((40, 60), 0.5)])
def test_an_empty_spectrum_has_no_tops(image):
    found = envelope_peaks(image, 30)
    assert found["E"].shape == (0, 2) and found["A"].shape == (0, 2)


@pytest.mark.parametrize("baseline", [-5.0, 300.0])
def test_a_baseline_outside_the_image_is_no_error(baseline):
    envelope_peaks(spectrum(WAVES), baseline)
