import math

import pytest

from common.doppler import a_f1, e_f1, image_counts, mean_f1, peak_rows


def peak(x, y, velocity=80.0, confidence=0.9):
    return (x, y, confidence, velocity)


def row(found_e=(), found_a=(), reference_e=(), reference_a=(), case="a"):
    """A trace 200 high, 600 wide, 5 ms a column."""
    return {
        "case": case, "predicted": {"E": found_e, "A": found_a}, "reference": {"E": reference_e, "A": reference_a},
        "trace_size": (200, 600), "seconds_per_px": 0.005,
    }  # fmt: skip


# Beats of 200 columns: 20 columns and 20 rows are the default tolerance.
E_TRUE, A_TRUE = (peak(100, 50), peak(300, 52)), (peak(180, 90, 60.0),)


def states(peaks):
    return sorted((p.wave, p.status) for p in peaks)


def test_tolerance_is_a_tenth_of_a_beat_and_of_the_range():
    inside = row([peak(119, 69), peak(300, 52)], [], E_TRUE)
    outside = row([peak(121, 50), peak(300, 73)], [], E_TRUE)
    assert states(peak_rows(inside)) == [("E", "matched")] * 2
    assert states(peak_rows(outside)) == [("E", "false")] * 2 + [("E", "missed")] * 2
    assert states(peak_rows(outside, scale=1.1)) == [("E", "matched")] * 2


def test_an_a_found_at_an_e_is_false_and_the_e_is_missed():
    peaks = peak_rows(row([peak(100, 50)], [peak(300, 52)], E_TRUE, A_TRUE))
    assert states(peaks) == [("A", "false"), ("A", "missed"), ("E", "matched"), ("E", "missed")]


def test_difference_is_predicted_minus_reference():
    (matched,) = peak_rows(row([peak(101, 51, 78.5)], [], [peak(100, 50, 80.0)]))
    assert matched.difference_cm_s == pytest.approx(-1.5)
    assert image_counts([matched], "E") == (1, 0, 0, (-1.5,))
    assert image_counts([matched], "A") == (0, 0, 0, ())


def test_without_calibration_a_match_counts_but_has_no_difference():
    (matched,) = peak_rows(row([peak(101, 51, math.nan)], [], [peak(100, 50, math.nan)]))
    assert image_counts([matched], "E") == (1, 0, 0, ())


def test_f1_pools_images_and_averages_waves():
    rows = [
        row([peak(100, 50), peak(300, 52)], [peak(180, 90)], E_TRUE, A_TRUE),
        row([peak(100, 50)], [peak(20, 90)], E_TRUE, A_TRUE, case="b"),
    ]
    assert e_f1(rows) == pytest.approx(2 * 3 / (2 * 3 + 0 + 1))
    assert a_f1(rows) == pytest.approx(2 * 1 / (2 * 1 + 1 + 1))
    assert mean_f1(rows) == pytest.approx((6 / 7 + 0.5) / 2)


def test_a_wave_without_any_peak_scores_zero():
    assert mean_f1([row()]) == 0 and mean_f1([]) == 0
