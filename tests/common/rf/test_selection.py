import logging

import numpy as np
import pytest

from common.data.output import OutputFolder
from common.errors import NoDataError
from common.files import read_csv
from common.rf import Disturbance, MeasuredPair, RfAcquisition, judge_pairs, measure_pairs, rf_pair, rf_pairs

ARRAY = RfAcquisition(samples=600, lines=32)


class Uniform:
    def __init__(self, percent):
        self.strain = percent / 100

    def displacement(self, axial_mm, lateral_mm):
        both = axial_mm + 0 * lateral_mm
        return -self.strain * both, 0 * both

    def axial_strain(self, axial_mm, lateral_mm):
        return -self.strain + 0 * (axial_mm + lateral_mm)


def compressed(percents, seed=0):
    """Frames of one speckle under growing compression."""
    pairs = [rf_pair(ARRAY, Uniform(percent), np.random.default_rng(seed), Disturbance(200, 0)) for percent in percents]
    noise = np.random.default_rng(1)
    return [pair[1] + 0.03 * pair[1].std() * noise.normal(size=pair[1].shape) for pair in pairs]


@pytest.mark.parametrize("percent", [0.2, -1.0, 3.0])
def test_strain_of_a_pair_is_measured_on_the_coarse_grid(percent):
    (pair,) = measure_pairs(compressed([0, percent]))
    assert pair.strain_percent == pytest.approx(-percent, rel=0.1, abs=0.02)
    assert pair.correlation > 0.8


def test_unrelated_and_dead_frames_do_not_match():
    first, other = compressed([0]), compressed([0], seed=7)
    pairs = list(measure_pairs([*first, *other, np.zeros((600, 32), np.float32)]))
    assert [pair.correlation < 0.6 for pair in pairs] == [True] * 3
    assert all("do not match" in pair.reason for pair in judge_pairs(pairs))


def test_pairs_far_apart_are_not_looked_at():
    assert max(pair.post - pair.pre for pair in measure_pairs(compressed([0.0] * 10))) == 8


def test_reasons_by_hand():
    pairs = [
        MeasuredPair(0, 1, 0.05, 0.99),
        MeasuredPair(0, 2, -1.0, 0.9),
        MeasuredPair(0, 3, -2.0, 0.8),
        MeasuredPair(0, 4, -3.0, 0.7),
        MeasuredPair(1, 2, 6.0, 0.9),
    ]
    # Worth: 1 x .81 / .19 = 4.3; 2 x .64 / .36 = 3.6.
    reasons = [pair.reason for pair in judge_pairs(pairs)]
    assert reasons[0].startswith("too little strain: 0.050 %") and reasons[4].startswith("too much strain: 6.0 %")
    assert reasons[2].startswith("with frame 3 the strain is clearer: -1.00 %") and reasons[1] == ""
    assert reasons[3].startswith("the frames do not match: correlation 0.70")


def test_of_a_sequence_the_best_pairs_are_listed_with_the_reasons_of_the_others(tmp_path, caplog):
    (tmp_path / "data" / "s").mkdir(parents=True)
    frames = compressed([0, 0.03, 1.0]) + compressed([0], seed=7) + [np.zeros((600, 32))]
    for number, frame in enumerate(frames, 1):
        np.save(tmp_path / "data" / "s" / f"frame{number}.npy", frame)
    (tmp_path / "data" / "s" / "frame6.npy").write_bytes(b"damaged")
    output = OutputFolder(tmp_path / "out")
    output.open()
    with caplog.at_level(logging.INFO):
        items = rf_pairs(tmp_path / "data", "best", output=output)
    assert [item["case"] for item in items] == ["s_1_3", "s_2_3"]
    assert "s_1_4 left out: the frames do not match" in caplog.text
    rows = {row["case"]: row for row in read_csv(tmp_path / "out" / "selection.csv")}
    assert len(rows) == 15 and rows["s_1_3"]["chosen"] == "True" and rows["s_1_3"]["reason"] == ""
    assert float(rows["s_1_3"]["strain_percent"]) == pytest.approx(-1, abs=0.1)
    assert "too little strain" in rows["s_1_2"]["reason"]
    assert "constant" in rows["s_1_5"]["reason"] and "expected an RF file" in rows["s_2_6"]["reason"]


def test_two_frames_are_a_pair_whatever_they_show(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(2, 90, 9)))
    assert [item["case"] for item in rf_pairs(tmp_path, "best")] == ["a"]


def test_a_sequence_without_a_pair_worth_measuring_says_why(tmp_path):
    np.save(tmp_path / "still.npy", np.stack(compressed([0, 0, 0])))
    with pytest.raises(NoDataError, match=r"worth measuring, found 3 .*still_1_2: too little strain"):
        rf_pairs(tmp_path, "best")


def test_each_file_is_read_once(tmp_path, monkeypatch):
    import common.rf.selection as selection

    np.save(tmp_path / "s.npy", np.stack(compressed([0, 0.5, 1.0])))
    read, times = selection.read_rf, []
    monkeypatch.setattr(selection, "read_rf", lambda *given: times.append(given) or read(*given))
    assert len(rf_pairs(tmp_path, "best")) == 2
    assert len(times) == 1


def test_a_folder_that_is_not_there_is_said_not_to_be(tmp_path):
    for pairs in ("consecutive", "best"):
        with pytest.raises(NoDataError, match=r"lost: .*found no such folder or file"):
            rf_pairs(tmp_path / "lost", pairs)


def test_the_size_that_most_frames_have_counts_not_that_of_the_first(tmp_path):
    (tmp_path / "s").mkdir()
    for number, frame in enumerate([compressed([0])[0][:300], *compressed([0, 0.5, 1.0])], 1):
        np.save(tmp_path / "s" / f"frame{number}.npy", frame)
    output = OutputFolder(tmp_path / "out")
    output.open()
    assert [item["case"] for item in rf_pairs(tmp_path / "s", "best", output=output)] == ["s_2_4", "s_3_4"]
    rows = {row["case"]: row for row in read_csv(tmp_path / "out" / "selection.csv")}
    assert "frame1.npy: expected a frame of 600 x 32 as most" in rows["s_1_2"]["reason"]
