import math

import numpy as np
import pytest

from common.doppler import ImageCounts, wave_agreement

IMAGES = [ImageCounts(3, 1, 0, (1.0, -2.0, 4.0)), ImageCounts(2, 0, 2, (0.5, 3.0)), ImageCounts(0, 0, 1)]


def test_pools_the_peaks_of_all_images():
    scores = wave_agreement(IMAGES, resamples=50)
    assert scores["precision"].value == pytest.approx(5 / 6)
    assert scores["recall"].value == pytest.approx(5 / 8)
    assert scores["f1"].value == pytest.approx(2 * (5 / 6) * (5 / 8) / (5 / 6 + 5 / 8))
    differences = [1.0, -2.0, 4.0, 0.5, 3.0]
    assert scores["bias_cm_s"].value == pytest.approx(np.mean(differences))
    assert scores["sd_cm_s"].value == pytest.approx(np.std(differences, ddof=1))
    assert scores["f1"].cases == 3


def test_interval_holds_the_value_and_narrows_with_more_images():
    few, many = (wave_agreement(IMAGES * n, resamples=300) for n in (4, 40))
    for name, score in many.items():
        assert score.low <= score.value <= score.high
        assert score.high - score.low < few[name].high - few[name].low


def test_is_perfect_when_everything_is_found():
    scores = wave_agreement([ImageCounts(4, 0, 0, (0.0,) * 4)] * 3, resamples=20)
    assert [scores[name].value for name in ("precision", "recall", "f1", "bias_cm_s", "sd_cm_s")] == [1, 1, 1, 0, 0]


def test_what_cannot_be_known_is_nan():
    scores = wave_agreement([ImageCounts(0, 0, 0)], resamples=20)
    assert all(math.isnan(score.value) for score in scores.values())
    assert math.isnan(wave_agreement([ImageCounts(1, 0, 0, (2.0,))], resamples=20)["sd_cm_s"].value)


def test_needs_an_image():
    with pytest.raises(ValueError, match="found lengths"):
        wave_agreement([])
