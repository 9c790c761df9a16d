"""The RF of a human forearm under hand-held compression, read as it is distributed."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import maximum_filter1d

from common.rf import (
    LoadRfPaird,
    RfSettings,
    axial_strain,
    ncc_displacement,
    refined_displacement,
    rf_datalist,
    rf_pairs,
    selected_items,
    track_by_correlation,
    trusted_strain,
)

ARM = Path(__file__).resolve().parents[3] / "../shared/data/arm_rf"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not ARM.is_dir(), reason="the arm RF is not beside this checkout"),
]
SETTINGS = RfSettings(raw_shape=(2000, 128), sampling_mhz=40.0, sound_speed_m_s=1540.0, frame_interval_ms=43.0)


def test_three_sequences_of_six_frames_give_fifteen_consecutive_pairs():
    items = rf_datalist(ARM, "all", settings=SETTINGS)
    assert len(items) == 15
    assert {item["sequence"] for item in items} == {"299", "300", "304"}
    assert len(rf_datalist(ARM, "all", pairs="first", sequences="304", settings=SETTINGS)) == 5


@pytest.mark.parametrize("sequence", ["299", "300", "304"])
def test_first_two_frames_match_after_a_few_samples_of_motion(sequence):
    item = rf_datalist(ARM, "all", sequences=sequence, settings=SETTINGS)[0]
    pair = LoadRfPaird(SETTINGS, depth_samples=[100, -300])(item)
    assert pair["pre"].shape == (1, 1600, 128) and np.isnan(pair["pitch_mm"])
    track = track_by_correlation(pair["pre"][0].numpy(), pair["post"][0].numpy(), search=(30, 0))
    assert np.median(track.correlation) > 0.8
    assert 0.1 < abs(np.median(track.axial)) < 15


def bands(displacement):
    """Standard deviation over depth of the strain's mean over lines, its running mean taken out."""
    rows = axial_strain(displacement)[0, 200:1600].mean(1).numpy()
    return (rows - np.convolve(rows, np.ones(201) / 201, "same"))[100:-100].std()


@pytest.mark.parametrize("sequence", ["299", "300", "304"])
def test_refinement_takes_bands_out_and_marks_where_there_is_no_echo(sequence):
    item = rf_datalist(ARM, "all", sequences=sequence, settings=SETTINGS)[0]
    pair = LoadRfPaird(SETTINGS)(item)
    track = ncc_displacement(pair["pre"], pair["post"])
    refined = refined_displacement(pair["pre"], pair["post"], track)
    assert bands(refined) < 0.7 * bands(track)
    found = trusted_strain(pair["pre"], pair["post"], refined)
    assert found.reliable[100:1700].mean() > 0.95
    empty = maximum_filter1d(pair["pre"][0].abs().numpy(), 9, axis=0) == 0
    assert empty.mean() > 0.005 and not found.reliable[empty].any()


def test_the_best_pairs_of_each_sequence_have_more_strain_than_consecutive_ones():
    items = rf_pairs(ARM, "every", SETTINGS)
    seen = {item["case"]: item for item in selected_items(items, SETTINGS)}
    chosen = [item["case"] for item in rf_pairs(ARM, "best", SETTINGS)]
    assert 9 <= len(chosen) <= 15 and len(seen) == 45
    assert all(seen[case]["correlation"] >= 0.75 for case in chosen)
    # The hand of sequence 304 moves slowly: two frames that follow each other hardly differ.
    assert "too little strain" in seen["304_1_2"]["reason"]
    assert min(abs(seen[case]["strain_percent"]) for case in chosen if case.startswith("304")) > 0.15
