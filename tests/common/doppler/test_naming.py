import itertools
import math

import numpy as np
import pytest

from common.doppler.naming import merged_tops, name_waves, usable_tops

SECONDS = 0.01  # a column


def named(tops, seconds_per_px=SECONDS, threshold=0.3, r_columns=()):
    """Names of tops (column, height as E, height as A), "-" where a top is no wave."""
    table = np.array(tops, float).reshape(-1, 3)
    names = ["-"] * len(tops)
    for choice in name_waves(table[:, [0, 0]], table[:, 1:], seconds_per_px, threshold, np.array(r_columns)):
        names[choice.top] = "EA"[choice.wave]
    return "".join(names)


BEATS = [(10, 0.9, 0.1), (40, 0.1, 0.9), (90, 0.9, 0.1), (120, 0.1, 0.9), (170, 0.9, 0.1), (200, 0.1, 0.9)]


def test_clear_tops_keep_their_names():
    assert named(BEATS) == "EAEAEA"
    assert named(BEATS, math.nan) == "EAEAEA"


@pytest.mark.parametrize(("top", "heights"), [(2, (0.5, 0.6)), (3, (0.6, 0.5))])
def test_a_doubtful_name_follows_from_the_beat(top, heights):
    doubtful = [*BEATS[:top], (BEATS[top][0], *heights), *BEATS[top + 1 :]]
    assert named(doubtful) == "EAEAEA"
    # By its height alone it would have the other name.
    assert named([doubtful[top]]) == "EA"[int(np.argmax(heights))]


# Two waves a beat at 54 beats a minute, halfway between each other, which may have either name: 0.51 s after an R peak,
# and 0.05 s before the next.
HALFWAY = [(51, 0.6, 0.6), (106, 0.6, 0.6), (162, 0.6, 0.6), (217, 0.6, 0.6), (273, 0.6, 0.6)]


@pytest.mark.parametrize(("r_columns", "names"), [((0, 111, 222), "EAEAE"), ((57, 167, 279), "AEAEA")])
def test_the_ecg_names_waves_halfway_between_each_other(r_columns, names):
    assert named(HALFWAY, r_columns=r_columns) == names


def test_spikes_in_the_wrong_place_leave_clear_names():
    for shift in range(0, 80, 8):
        assert named(BEATS, r_columns=[shift - 35, shift + 45, shift + 125, shift + 205]) == "EAEAEA"


def test_a_missed_r_peak_leaves_the_names_around_it():
    assert named(HALFWAY, r_columns=(0, 111, 333, 444)) == "EAEAE"
    assert named(BEATS, r_columns=(45, 205)) == named(BEATS, r_columns=(45,)) == "EAEAEA"


def test_systole_passes_before_the_next_e():
    # 0.2 s after a certain A there is no E; text over the trace may look like one.
    assert named([*BEATS[:2], (60, 0.6, 0.1), *BEATS[2:]]) == "EA-EAEA"


@pytest.mark.parametrize("beat", [40, 44, 52])
def test_one_wave_a_beat_at_115_to_150_a_minute_is_no_slow_heart(beat):
    # E and A in one; half the beats, or every other one as an A, would be a heart of half the rate.
    assert named([(10 + beat * n, 0.9, 0.2) for n in range(6)]) == "EEEEEE"


def test_a_fast_heart_has_an_e_and_an_a_in_each_beat():
    # 125 a minute: 0.18 s from E to A, 0.3 s to the next E.
    beat = [(10, 0.9, 0.2), (28, 0.2, 0.9)]
    assert named([(x + 48 * n, *heights) for n in range(4) for x, *heights in beat]) == "EA" * 4


def test_fibrillation_has_e_after_e():
    assert named([(x, 0.9, 0.2) for x in (10, 70, 150, 210)]) == "EEEE"


def test_fibrillation_has_no_a_at_all():
    # By its height alone, one doubtful top in five beats would be an A.
    beats = [(10, 0.9, 0.1), (80, 0.9, 0.1), (105, 0.1, 0.38), (165, 0.9, 0.1), (240, 0.9, 0.1), (330, 0.9, 0.1)]
    assert named([beats[2]]) == "A"
    assert named(beats) == "EE-EEE"
    assert named(beats, math.nan) == "EE-EEE"


def test_two_doubtful_a_around_an_e_are_no_fibrillation():
    # One odd of 2 to 1 for each narrow wave being an E weighs less than how rare fibrillation is.
    assert named([(10, 0.6, 0.45), (70, 0.95, 0.05), (130, 0.6, 0.45)]) == "AEA"


def test_sinus_rhythm_keeps_its_a_where_one_is_missing():
    assert named([*BEATS[:3], *BEATS[4:]]) == "EAEEA"


def test_a_top_below_the_threshold_is_no_wave():
    assert named([(10, 0.29, 0.1)]) == "-" and named([(10, 0.31, 0.1)]) == "E" and named([]) == ""


def test_the_margin_is_what_the_best_other_reading_loses():
    tops = np.array([[0.9, 0.2], [0.3, 0.7]])
    x = np.array([[10.0, 10.0], [50.0, 50.0]])
    first, second = name_waves(x, tops, SECONDS, 0.25)

    def gain(height):
        return math.log(height / (1 - height)) - math.log(0.25 / 0.75)

    # 0.4 s from E to A cost nothing. Without the E, its top is best no wave: below the threshold as an A.
    assert first.margin == pytest.approx(gain(0.9))
    # Without the A, its top is best no wave: as an E it would come 0.4 s after the other.
    assert second.margin == pytest.approx(gain(0.7))


def reading(odds, names):
    """Sum of a reading: with A, each E after an E costs 1 and each A after an A 1.5; with E alone nothing costs."""
    used = [name for name in names if name is not None]
    total = sum(odds[i, name] for i, name in enumerate(names) if name is not None)
    if 1 not in used:
        return total - min(1.8, len(used) - 1 if used else 0.0)  # fibrillation, or a sinus rhythm without its A
    pairs = list(itertools.pairwise(used))
    return total - 1.0 * pairs.count((0, 0)) - 1.5 * pairs.count((1, 1))


@pytest.mark.parametrize("seed", range(5))
def test_finds_the_best_of_all_readings(seed):
    rng = np.random.default_rng(seed)
    heights = rng.uniform(0.05, 0.95, (6, 2))
    x = np.repeat(np.arange(6.0)[:, None] * 500, 2, axis=1)
    choices = name_waves(x, heights, math.nan, 0.4)
    odds = np.log(heights / (1 - heights)) - math.log(0.4 / 0.6)
    found = {one.top: one.wave for one in choices}
    best = max(reading(odds, names) for names in itertools.product((None, 0, 1), repeat=6))
    assert reading(odds, [found.get(i) for i in range(6)]) == pytest.approx(best)


def test_tops_of_both_maps_in_one_place_are_one():
    points = np.array([[[10, 5], [50, 5]], [[52, 6], [90, 4]]], float)
    tops = merged_tops(points, np.array([[0.9, 0.4], [0.8, 0.7]]), 3)
    assert tops.heights.tolist() == [[0.9, 0], [0.4, 0.8], [0, 0.7]]
    assert tops.points[1].tolist() == [[50, 5], [52, 6]] and tops.points[2].tolist() == [[90, 4]] * 2
    assert len(merged_tops(points, np.array([[0.9, 0.4], [0.8, 0.7]]), 1).points) == 4
    assert merged_tops(np.full((2, 3, 2), np.nan), np.zeros((2, 3)), 3).points.shape == (0, 2, 2)


def test_usable_tops_are_inside_and_on_the_side_of_the_flow():
    places = [(4, 50), (6, 50), (60, 50), (95, 50), (60, 110), (60, 95), (60, 5)]
    points = np.repeat(np.array(places, float)[:, None], 2, axis=1)
    heights = np.tile([0.5, 0.1], (len(places), 1))
    # 25 ms are 5 columns; the baseline is row 100, a row has 2 cm/s; the trace begins at row 10.
    usable = usable_tops(points, heights, (0, 10, 99, 139), (100.0, 2.0, 0.005))
    assert usable.tolist() == [False, True, True, False, False, False, False]
    unknown = usable_tops(points, heights, (0, 10, 99, 139), (math.nan,) * 3)
    assert unknown.tolist() == [True, True, True, True, True, True, False]
