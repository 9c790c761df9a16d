import math

import pytest

from common.doppler import Beat, Peak, pair_beats, summarise_beats
from common.doppler.beats import heart_rate_bpm


def at(*columns, velocity=80.0):
    return [Peak(x, 5.0, 0.9, velocity) for x in columns]


def columns(beats):
    return [(beat.e.x if beat.e else None, beat.a.x if beat.a else None) for beat in beats]


def test_each_e_takes_the_a_that_follows_it():
    assert columns(pair_beats(at(210, 10, 110), at(60, 160))) == [(10, 60), (110, 160), (210, None)]


def test_an_a_before_the_first_e_stays_alone():
    assert columns(pair_beats(at(50, 150), at(10, 100))) == [(None, 10), (50, 100), (150, None)]


def test_of_two_a_waves_the_nearer_one_counts_and_the_other_stays_alone():
    assert columns(pair_beats(at(10, 110, 210), at(60, 80))) == [(10, 60), (None, 80), (110, None), (210, None)]


def test_an_a_beyond_a_missed_e_is_not_paired_over_it():
    # The E at 210 was missed: the A at 260 is 150 columns, one and a half beats, behind the E at 110.
    assert columns(pair_beats(at(10, 110, 310, 410), at(260))) == [
        (10, None), (110, None), (None, 260), (310, None), (410, None),
    ]  # fmt: skip


def test_a_single_e_is_limited_by_time_where_it_is_known():
    assert columns(pair_beats(at(10), at(330), seconds_per_px=0.005)) == [(10, None), (None, 330)]
    assert columns(pair_beats(at(10), at(330))) == [(10, 330)]


def test_fibrillation_has_beats_without_a():
    assert columns(pair_beats(at(10, 90, 200), [])) == [(10, None), (90, None), (200, None)]


def test_means_count_each_wave_and_the_ratio_counts_whole_beats():
    beats = [Beat(*at(10, velocity=90), *at(60, velocity=60)), Beat(*at(110, velocity=60), None)]
    expected = {
        "e_mean_cm_s": 75.0, "a_mean_cm_s": 60.0, "e_to_a": 1.5, "e_waves": 2, "a_waves": 1, "beats_with_both": 1,
        "e_sd_cm_s": round(15 * 2**0.5, 4), "a_sd_cm_s": None,
    }  # fmt: skip
    assert summarise_beats(beats).items() >= expected.items()
    assert beats[0].e_to_a == pytest.approx(1.5) and math.isnan(beats[1].e_to_a)


def test_a_wave_that_is_likelier_wrong_than_right_counts_in_no_mean():
    beats = [Beat(Peak(x, 5, sure, velocity, 0.2), Peak(x + 40, 5, 0.9, 50))
             for x, sure, velocity in ((10, 0.9, 80), (110, 0.5, 90), (210, 0.49, 200))]  # fmt: skip
    summary = summarise_beats([*beats, Beat(None, Peak(310, 5, 0.2, 400))], 0.01)
    assert summary["e_mean_cm_s"] == 85 and summary["a_mean_cm_s"] == 50 and summary["e_to_a"] == 1.7
    assert (summary["e_waves"], summary["a_waves"], summary["beats_with_both"]) == (2, 3, 2)
    assert summary["doubtful_waves"] == 2 and summary["heart_rate_bpm"] == pytest.approx(60)


def test_without_calibration_there_is_no_velocity():
    summary = summarise_beats(pair_beats([Peak(1, 2, 0.5)], [Peak(3, 2, 0.5)]))
    assert summary["e_mean_cm_s"] is None and summary["e_to_a"] is None and summary["e_waves"] == 1


def test_durations_are_means_over_the_beats_that_show_them():
    peaks = [Peak(10, 5, 0.9, 80, 0.18), Peak(110, 5, 0.9, 80, 0.22), Peak(210, 5, 0.9, 80)]
    summary = summarise_beats([Beat(e, Peak(e.x + 40, 5, 0.9, 50, 0.12)) for e in peaks], 0.01)
    assert summary["deceleration_ms"] == pytest.approx(200) and summary["a_duration_ms"] == pytest.approx(120)
    assert summary["deceleration_sd_ms"] == pytest.approx(20 * 2**0.5, abs=1e-3) and summary["a_duration_sd_ms"] == 0
    assert summary["heart_rate_bpm"] == pytest.approx(60)


def test_a_missed_beat_does_not_halve_the_heart_rate():
    # Intervals of 0.8, 0.8 and 1.6 s.
    assert heart_rate_bpm([10, 90, 170, 330], 0.01) == pytest.approx(75)
    assert math.isnan(heart_rate_bpm([10], 0.01)) and math.isnan(heart_rate_bpm([10, 90], math.nan))


def test_nothing_found_gives_no_beat():
    assert pair_beats([], []) == [] and summarise_beats([])["e_mean_cm_s"] is None
