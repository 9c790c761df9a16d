import math

import numpy as np
import pytest
import torch

from common.rf import (
    ElastographyLoss,
    ElastographyRow,
    MeanOf,
    contrast_to_noise,
    end_point_row,
    error_statistics,
    strain_ratio,
    strain_signal_to_noise,
    window_metrics,
)


def test_contrast_to_noise_by_hand():
    # means 1 and 4, variances 1 and 4: sqrt(2 * 9 / 5)
    assert contrast_to_noise([0, 2], [2, 6]) == pytest.approx((18 / 5) ** 0.5)


def test_contrast_to_noise_ignores_scale_and_sign():
    target, background = np.random.default_rng(0).normal(1, 0.1, (2, 50)) * [[1], [2]]
    assert contrast_to_noise(-3 * target, -3 * background) == pytest.approx(contrast_to_noise(target, background))


def test_contrast_to_noise_without_noise_is_infinite():
    assert contrast_to_noise([1, 1], [2, 2]) == float("inf")


def test_strain_ratio_is_target_over_background():
    assert strain_ratio([-1, -3], [-4, -6]) == pytest.approx(0.4)


def test_signal_to_noise_by_hand():
    assert strain_signal_to_noise([-1, -3]) == pytest.approx(2)


def test_error_statistics_by_hand():
    assert error_statistics([1.0, 5.0], [0.0, 2.0]) == pytest.approx({"rmse": 5**0.5, "bias": 2.0, "sd": 1.0})


def test_windows_are_rows_then_columns():
    strain = np.random.default_rng(1).normal(size=(20, 10))
    windows = {"target": [2, 6, 1, 4], "background": [10, 19, 5, 9]}
    result = window_metrics(strain, windows)
    assert result["cnr"] == pytest.approx(contrast_to_noise(strain[2:6, 1:4], strain[10:19, 5:9]))
    assert result["sr"] == pytest.approx(strain_ratio(strain[2:6, 1:4], strain[10:19, 5:9]))
    assert result["snre"] == pytest.approx(strain_signal_to_noise(strain[10:19, 5:9]))
    uniform = window_metrics(strain, {**windows, "uniform": [0, 3, 0, 10]})["snre"]
    assert uniform == pytest.approx(strain_signal_to_noise(strain[:3]))


@pytest.mark.parametrize("bounds", [[0, 5, 3, 11], [4, 4, 0, 2], [-1, 3, 0, 2]], ids=str)
def test_refuses_windows_outside_the_image(bounds):
    with pytest.raises(ValueError, match="background"):
        window_metrics(np.zeros((20, 10)), {"target": [0, 2, 0, 2], "background": bounds})


def test_refuses_missing_windows():
    with pytest.raises(ValueError, match="expected 'target' and 'background'"):
        window_metrics(np.zeros((20, 10)), {"target": [0, 2, 0, 2]})


def test_end_point_row_is_the_mean_absolute_error_by_direction():
    pred, displacement = torch.zeros(4, 4, 2), torch.zeros(2, 4, 2)
    displacement[0], displacement[1, 0, 0] = -3, 8
    row = end_point_row({"case": "a", "displacement": displacement}, {"pred": pred})
    assert (row["case"], row["lateral_error"], row["axial_error"]) == ("a", 3.0, 1.0)


@pytest.mark.parametrize("rows", [6, 7, 120])
def test_strain_error_ignores_an_offset_and_is_the_slopes_in_percent(rows):
    displacement = torch.zeros(2, rows, 3)
    displacement[1] = 0.02 * torch.arange(rows)[:, None]
    for offset, slope, expected in ((5.0, 0.02, 0.0), (0.0, 0.03, 1.0), (-1.0, 0.005, 1.5)):
        pred = torch.zeros(4, rows, 3)
        pred[1] = offset + slope * torch.arange(rows)[:, None]
        row = end_point_row({"case": "a", "displacement": displacement}, {"pred": pred})
        assert row["strain_error"] == pytest.approx(expected, abs=1e-4)


def test_elastography_row_holds_the_terms_of_the_loss():
    generator = torch.Generator().manual_seed(0)
    image, pred = torch.rand(6, 8, 8, generator=generator), 0.3 * torch.randn(4, 8, 8, generator=generator)
    loss = ElastographyLoss(axial_weight=0.9)
    terms = loss.terms(pred[None], image[None])
    row = ElastographyRow(loss)({"case": "a", "image": image}, {"pred": pred})
    assert row["data_term"] == pytest.approx(float(terms.data))
    assert row["loss"] == pytest.approx(float(terms.data + terms.first_order + terms.second_order))
    assert row["reliable_fraction"] == pytest.approx(float(terms.reliable_fraction))


def test_mean_of_a_column():
    assert MeanOf("a")([{"a": 1.0}, {"a": 4.0}]) == 2.5
    assert math.isnan(MeanOf("a")([]))
