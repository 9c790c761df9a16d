import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from common.adc import best_lesion_dice, best_lesion_threshold, dice_by_threshold, dice_score, lesion_threshold_row
from common.adc.threshold import thresholds


def test_equals_the_dice_of_each_mask():
    random = np.random.RandomState(0)
    probability, truth = random.random_sample((5, 6, 7)), random.random_sample((5, 6, 7)) > 0.7
    probability[0] = thresholds()[11]  # exactly on a threshold
    expected = [dice_score(probability >= t, truth) for t in thresholds()]
    np.testing.assert_allclose(dice_by_threshold(probability, truth), expected)


def test_there_are_200_thresholds_between_0_and_1():
    assert len(thresholds()) == 200 and thresholds()[0] > 0 and thresholds()[-1] < 1


def test_empty_truth_scores_1_where_nothing_is_called():
    dice = dice_by_threshold(np.full((2, 2), 0.5), np.zeros((2, 2)))
    np.testing.assert_array_equal(dice, np.where(thresholds() > 0.5, 1.0, 0.0))


def test_best_threshold_is_best_in_the_mean_over_volumes():
    first = np.where(np.arange(200) == 30, 0.9, 0.1)
    second = np.where((np.arange(200) >= 60) & (np.arange(200) <= 62), 0.8, 0.4)
    rows = [{"dice": first}, {"dice": second}]
    assert best_lesion_dice(rows) == pytest.approx((0.9 + 0.4) / 2)
    assert best_lesion_threshold(rows) == thresholds()[30]
    assert best_lesion_threshold(rows[1:]) == thresholds()[61]


def test_row_names_its_case():
    row = lesion_threshold_row({"case": "7", "label": torch.ones(1, 2, 2, 1)}, {"pred": torch.ones(1, 2, 2, 1)})
    assert row["case"] == "7" and row["dice"].tolist() == [1.0] * 200


def test_row_of_an_item_without_a_name_is_named_by_its_file():
    image = MetaTensor(torch.ones(1, 2, 2, 1), meta={"filename_or_obj": "a/b.nii.gz"})
    row = lesion_threshold_row({"image": image, "label": torch.ones(1, 2, 2, 1)}, {"pred": torch.ones(1, 2, 2, 1)})
    assert row["case"] == "a/b.nii.gz"
