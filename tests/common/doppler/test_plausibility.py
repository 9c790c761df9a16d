import math

import pytest

from common.doppler import Beat, Peak, summarise_beats
from common.doppler.plausibility import reading_doubts, unlike_inflow

SECONDS = 0.01


def trace(e_cm_s, a_cm_s, fall_s=0.2, a_s=0.13, beat_px=80, rise_over_fall=0.6):
    """Beats of 0.8 s and what is said of them."""
    beats = [
        Beat(Peak(beat_px * n, 9, 0.9, e, fall_s), Peak(beat_px * n + 40, 9, 0.9, a_cm_s, a_s) if a_cm_s else None)
        for n, e in enumerate(e_cm_s)
    ]
    return unlike_inflow(summarise_beats(beats, SECONDS), beats, rise_over_fall)


@pytest.mark.parametrize(
    ("e_cm_s", "a_cm_s"),
    [((80, 82, 85), 60), ((45, 60, 66), 54), ((190, 150, 185), 95), ((60, 110, 50, 90), None), ((80,), None)],
    ids=["usual", "varies by a third", "fast", "fibrillation", "one beat"],
)
def test_nothing_is_said_of_mitral_inflow(e_cm_s, a_cm_s):
    assert trace(e_cm_s, a_cm_s) == ""


def test_tissue_doppler_is_too_slow():
    assert trace((11, 12, 13), 8) == "unlike mitral inflow: E 12 cm/s, A 8 cm/s"


def test_continuous_wave_of_3_metres_a_second_is_too_fast():
    assert trace((300, 310, 290), None) == "unlike mitral inflow: E 300 cm/s"


def test_tricuspid_inflow_changes_with_each_breath():
    found = trace((30, 62, 58, 33), 40)
    assert found == "unlike mitral inflow: E of beats with an A from 30 to 62 cm/s, as of a tricuspid valve"


def test_tricuspid_inflow_of_a_held_breath_cannot_be_told_apart():
    assert trace((48, 50, 52), 40) == ""


def test_the_diastolic_wave_of_a_pulmonary_vein_lasts_longer_than_an_a():
    assert trace((50, 52, 54), 55, a_s=0.26) == "unlike mitral inflow: duration of A 260 ms"


def test_a_wrong_time_scale_shows_in_the_heart_rate():
    # Ticks of 0.2 s taken for 1 s: beats of 4 s.
    found = trace((80, 82, 85), 60, fall_s=math.nan, a_s=math.nan, beat_px=400)
    assert found == "unlike mitral inflow: heart rate 15 a minute"


def test_waves_that_rise_slowly_and_fall_fast_run_backwards():
    backwards = "waves rise 1.6 times as long as they fall, as in a trace that runs backwards"
    assert trace((80, 82, 85), 60, rise_over_fall=1.6) == f"unlike mitral inflow: {backwards}"
    assert trace((80, 82, 85), 60, rise_over_fall=1.05) == trace((80,), None, rise_over_fall=math.nan) == ""


def test_without_calibration_nothing_can_be_said():
    assert trace((math.nan,) * 3, math.nan, math.nan, math.nan) == ""


USUAL = {
    "rainbow": False,
    "calibration": (300.0, 0.8, SECONDS),
    "box": (0, 100, 799, 350),
    "seen_px_per_s": 60.0,
    "unused_tops": 0,
    "r_peaks": [],
}


def doubts(e_to_a_px=36, beat_px=80, e=(150, 104.0), a=(200, 64.0), beats=5, jitter=(0, 0, 0, 0, 0), **row):
    """What is said of beats with these columns, and rows and velocities of their waves."""
    starts = [10 + beat_px * n + jitter[n] for n in range(beats)]
    found = [Beat(Peak(x, e[0], 0.9, e[1]), Peak(x + e_to_a_px, a[0], 0.9, a[1]) if a else None) for x in starts]
    return reading_doubts(summarise_beats(found, SECONDS), found, {**USUAL, **row})


@pytest.mark.parametrize(
    "trace",
    [
        {},
        {"a": None, "jitter": (0, 9, -12, 15, -3)},  # fibrillation
        {"a": None, "beats": 3},
        {"e_to_a_px": 40, "beat_px": 100, "a": (152, 103.0)},  # E and A alike, but systole lies between A and E
        {"unused_tops": 1},
        {"calibration": (353.0, 0.8, SECONDS)},
        {"seen_px_per_s": math.nan},
        {"e_to_a_px": 0},
        {"r_peaks": [40.0, 122.0, 200.0, 360.0]},
        {"r_peaks": [40.0]},
        {"r_peaks": [-45.0, 35.0, 115.0, 195.0]},
    ],
    ids=[
        "sinus",
        "fibrillation",
        "three E",
        "E as high as A",
        "one more top",
        "baseline below",
        "no time",
        "one column",
        "an R peak missed",
        "one R peak",
        "filling in diastole",
    ],
)
def test_a_usual_reading_is_not_doubted(trace):
    assert doubts(**trace) == []


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        ({"rainbow": True}, "colours of a rainbow"),
        ({"calibration": (380.0, 0.8, SECONDS)}, "the baseline, row 380, lies outside the trace, rows 100 to 350"),
        ({"calibration": (80.0, 0.8, SECONDS)}, "the baseline, row 80, lies outside the trace"),
        ({"seen_px_per_s": 12.0}, "8 s on one screen are more than the network can see apart"),
        ({"beat_px": 44, "e_to_a_px": 16}, "heart rate 136 a minute: trained were 45 to 120"),
        ({"e": (103, 157.6)}, "5 E at the end of the velocity scale may be cut off or wrapped"),
        ({"e": (103, 157.6), "a": (104, 156.8)}, "10 E and A at the end of the velocity scale"),
        ({"unused_tops": 4}, "tops that look like waves and fit into no beat: 4; waves may be missing"),
        ({"r_peaks": [5.0, 45.0, 85.0, 125.0]}, "heart rate 75 a minute by E, 150 by the ECG"),
        # E 0.2 s and A 0.56 s after R peaks; of the last A the next R peak is not known.
        ({"r_peaks": [-10.0, 70.0, 150.0], "beats": 3}, "5 of 6 waves do not fit the ECG: another flow"),
        ({"a": None}, "one wave in every regular beat"),
        ({"beat_px": 82, "e_to_a_px": 41, "a": (152, 103.0)}, "E and A are alike and evenly spaced"),
    ],
)
def test_a_reading_that_may_be_wrong_is_doubted(trace, said):
    (found,) = doubts(**trace)
    assert said in found


@pytest.mark.parametrize(
    ("waves", "said"),
    [
        # A screen of fibrillation, 117 beats a minute, every other E called A.
        (
            [(78, "E", 78), (121, "A", 68), (168, "E", 89), (235, "A", 105), (281, "E", 109), (385, "A", 81)],
            "A from",
        ),
        ([(10, "E", 90), (50, "A", 80), (96, "E", 92), (140, "A", 82), (200, "E", 88), (240, "A", 81)], "A at uneven"),
        ([(10, "E", 90), (50, "A", 80), (96, "E", 92), (140, "A", 66), (190, "E", 88), (230, "A", 90)], ""),
    ],
)
def test_an_e_that_was_called_a_shows_in_its_velocity_or_in_the_systole_after_it(waves, said):
    beats = [Beat(*(Peak(x, 200, 0.9, v) if name == one else None for one in "EA")) for x, name, v in waves]
    found = reading_doubts(summarise_beats(beats, SECONDS), beats, USUAL)
    assert any(doubt.startswith(said) for doubt in found) if said else not found
