import numpy as np
import pytest

from common.adc import dice_score, lesion_size, lesion_size_class


def test_dice_by_hand_and_for_empty_masks():
    first, second = np.array([1, 1, 1, 0, 0]), np.array([0, 1, 1, 1, 0])
    assert dice_score(first, second) == pytest.approx(2 * 2 / 6)
    assert dice_score(np.zeros(4), np.zeros(4)) == 1.0
    assert dice_score(np.zeros(4), np.ones(4)) == 0.0


def test_dice_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"one shape, found \(2,\) and \(3,\)"):
        dice_score(np.zeros(2), np.zeros(3))


def test_size_is_in_ml_and_percent_of_the_brain():
    brain = np.zeros((10, 10, 10))
    brain[:8] = 1200.0
    mask = np.zeros_like(brain)
    mask[0, 0, :4] = 1
    assert lesion_size(mask, brain, voxel_mm3=2.5) == pytest.approx((0.01, 0.5))
    with pytest.raises(ValueError, match="some voxels above 0, found none"):
        lesion_size(mask, np.zeros_like(brain), 2.5)


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, "none"), (0.99, "<1%"), (1.0, "1-5%"), (5.0, "1-5%"), (5.01, ">5%")]
)
def test_size_classes_are_those_of_the_paper(percent, expected):
    assert lesion_size_class(percent) == expected
