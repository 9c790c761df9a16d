import numpy as np
import pytest

from common.echo.grey_levels import eight_bit_levels
from common.errors import UnusableFileError

LEVELS = np.arange(0, 256, 5, dtype=np.uint8).reshape(2, 2, 13)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64])
def test_levels_up_to_255_stay_whatever_their_type(kind):
    found, notes, doubts = eight_bit_levels(LEVELS.astype(kind), "a.nii")
    np.testing.assert_array_equal(found, LEVELS)
    assert notes == doubts == ()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (LEVELS / 255.0, "0 to 1"),
        (LEVELS.astype(np.int16) * 4, "10 bits"),  # up to 1020
        (LEVELS.astype(np.int16) * 16, "12 bits"),
        (LEVELS.astype(np.float32) * 16, "12 bits"),
        (LEVELS.astype(np.uint16) * 257, "16 bits"),
    ],
)
def test_other_ranges_are_scaled_and_said(values, said):
    found, notes, doubts = eight_bit_levels(values, "a.nii")
    assert np.abs(found.astype(int) - LEVELS).max() <= 1
    assert notes == (f"grey levels were scaled from {said} to 8 bits",) and doubts == ()


def test_doubts_a_range_that_the_levels_do_not_fill():
    _, _, doubts = eight_bit_levels(np.array([0, 1200], np.int16), "a.nii")
    assert doubts == ("grey levels up to 1200 were taken as 12 bits",)


@pytest.mark.parametrize("wrong", [[-60.0, 0.0], [0.0, np.nan], [0.0, np.inf], [0.0, 1e6]])
def test_refuses_what_are_no_grey_levels(wrong):
    with pytest.raises(UnusableFileError, match=r"a.nii: expected grey levels from 0 to 255, found"):
        eight_bit_levels(np.array(wrong), "a.nii")
