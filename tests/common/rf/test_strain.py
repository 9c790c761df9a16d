import numpy as np
import pytest
import torch

from common.rf import axial_strain, least_squares_slope


@pytest.mark.parametrize("window", [3, 7, 21])
def test_is_the_slope_of_the_fitted_line(window):
    values = torch.randn(21, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    slopes = least_squares_slope(values, window)
    for at in range(21):
        rows = np.arange(max(at - window // 2, 0), min(at + window // 2 + 1, 21))
        for column in range(2):
            expected = np.polyfit(rows, values.numpy()[rows, column], 1)[0]
            assert float(slopes[at, column]) == pytest.approx(expected, abs=1e-9)


def test_straight_line_keeps_its_slope_up_to_the_ends():
    values = (0.02 * torch.arange(50.0, dtype=torch.float64) - 3).expand(2, 50)
    torch.testing.assert_close(least_squares_slope(values, 11, dim=-1), torch.full((2, 50), 0.02, dtype=torch.float64))


def test_noise_of_the_slope_falls_as_theory_says():
    noise = torch.randn(4000, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    spread = least_squares_slope(noise, 43)[60:-60].std()
    assert float(spread) == pytest.approx((12 / (43 * (43**2 - 1))) ** 0.5, rel=0.03)


def test_axial_strain_is_of_the_axial_channel():
    field = torch.zeros(2, 60, 4)
    field[0], field[1] = 5 * torch.arange(60.0)[:, None], -0.01 * torch.arange(60.0)[:, None]
    torch.testing.assert_close(axial_strain(field, window=9), torch.full((1, 60, 4), -0.01))


@pytest.mark.parametrize("window", [1, 4, 33])
def test_refuses_windows_that_do_not_fit(window):
    with pytest.raises(ValueError, match=f"found {window}"):
        least_squares_slope(torch.zeros(31, 2), window)
