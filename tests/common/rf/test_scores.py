import numpy as np
import pytest

from common.rf import contrast_to_noise, error_statistics, strain_ratio, strain_signal_to_noise, window_metrics


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
