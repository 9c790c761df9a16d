import numpy as np
import pytest

from common.rf import (
    LoadRfPaird,
    RfAcquisition,
    draw_acquisition,
    measure_speckle,
    rf_pairs,
    simulate_rf_ultrasound,
    spoil_frames,
)


def test_drawn_arrays_keep_the_frame_and_vary_within_what_scanners_have():
    start = RfAcquisition(samples=300, lines=20)
    arrays = [draw_acquisition(start, np.random.default_rng(seed)) for seed in range(200)]
    assert {(a.samples, a.lines) for a in arrays} == {(300, 20)}
    periods = [a.sampling_mhz / a.centre_mhz for a in arrays]
    assert 4 <= min(periods) < 5 and 9 < max(periods) <= 10
    assert min(a.centre_mhz for a in arrays) >= 2 and 12 < max(a.centre_mhz for a in arrays) <= 15
    assert 0.08 <= min(a.pitch_mm for a in arrays) < 0.12 and 0.4 < max(a.pitch_mm for a in arrays) <= 0.6
    beams = [a.beam_lines * a.pitch_mm for a in arrays]
    assert min(beams) >= 0.15 and max(beams) <= 0.8


def test_spoilt_frames_have_sixteen_bits_and_the_motion_is_left():
    frames = tuple(np.random.default_rng(0).normal(size=(2, 400, 40)))
    changed = []
    for seed in range(30):
        spoilt = spoil_frames(frames, np.random.default_rng(seed))
        for before, after in zip(frames, spoilt, strict=True):
            assert np.abs(after).max() <= 1
            np.testing.assert_allclose(np.rint(after * 32767), after * 32767, atol=0.02)
            changed.append(np.corrcoef(before.ravel(), after.ravel())[0, 1])
    assert min(changed) > 0.3 and max(changed) > 0.999  # now little is left of them, now all


def test_mixed_pairs_say_their_own_array(tmp_path):
    simulate_rf_ultrasound(tmp_path, cases=3, content="inclusion", arrays="mixed", samples=600, lines=32)
    pairs = [LoadRfPaird(needs_answer=True, needs_spacing=True)(item) for item in rf_pairs(tmp_path)]
    assert len({pair["pitch_mm"] for pair in pairs}) == 3
    periods = [measure_speckle(pair["pre"][0].numpy()).period_samples for pair in pairs]
    assert min(periods) > 3.5 and max(periods) < 11


def test_refuses_other_arrays(tmp_path):
    with pytest.raises(ValueError, match="'one' or 'mixed', found 'two'"):
        simulate_rf_ultrasound(tmp_path, arrays="two")
