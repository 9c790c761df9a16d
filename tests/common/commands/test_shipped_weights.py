import json

import pytest

from common.commands.shipped_weights import evaluation_figures, make_weights, weights_sha256
from common.errors import NoDataError, StudyError
from common.evaluation.intervals import Interval
from tests.common.commands.toy import STUDY, write_bundle


def test_figures_are_plain_numbers_with_interval_and_case_count():
    rows = {"rule": {"Dice": Interval(0.4, 0.3, 0.5, 8), "NSD": None}, "model": {"Dice": Interval(0.6, 0.55, 0.7, 9)}}
    figures = evaluation_figures(rows, {"dice": ("model", "Dice")})
    assert figures == {"dice": 0.6, "dice_low": 0.55, "dice_high": 0.7, "dice_cases": 9}
    with pytest.raises(KeyError, match="NSD"):
        evaluation_figures(rows, {"nsd": ("rule", "NSD")})


WEIGHTS = {
    **{name: STUDY[name] for name in ("title", "intro", "seeds", "stages", "metrics")},
    "data": {
        "data": {
            "_target_": "common.adc.simulate_neonatal_adc",
            "cases": 1,
            "size": [32, 36, 4],
            "spacing_mm": [3.2, 3.2, 20.0],
            "progress": False,
        }
    },
    "inputs": {"real_data": {"what": "two patients"}},
    "settings": {"start": "{real_data}/a"},
    "arms": {
        "model": {"stages": ["pretraining", "training", "evaluation"], "needs": ["real_data"]},
        "no start": {"stages": ["training", "evaluation"], "settings": {"kind": "bad"}, "needs": ["real_data"]},
    },
    "held_out": {"figures": {"mae": ["model", "MAE"]}},
}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setattr("common.commands.study_file.installed_bundles_folder", lambda: tmp_path / "bundles")
    bundle = write_bundle(tmp_path / "bundles" / "toy")
    (bundle / "studies" / "weights.json").write_text(json.dumps(WEIGHTS))
    return bundle


def test_the_weights_of_the_first_arm_are_copied_and_described(toy, tmp_path):
    (tmp_path / "real").mkdir()
    assert make_weights("toy", tmp_path / "out", tmp_path / "real") == 0
    folder = tmp_path / "out" / "toy" / "weights"
    made = json.loads((folder / "models" / "model.pt").read_text())
    assert made["found"] == ["pretrained.pt"] and made["start"] == f"{tmp_path}/real/a"
    card = json.loads((folder / "card.json").read_text())
    assert card["eval_metrics"]["mae"] == 2.0 and card["eval_metrics"]["mae_cases"] == 2  # errors of 1 and 3 points
    assert card["weights_sha256"] == weights_sha256(folder / "models")
    assert set(card["weights_sha256"]) == {"model.pt", "pretrained.pt"}
    assert all({"seconds", "cpu_seconds"} == set(clocks) for clocks in card["took"].values())


def test_weights_made_of_real_images_are_told_their_folder_or_say_what_is_missing(toy, tmp_path):
    with pytest.raises(StudyError, match="--real_data PATH \\(two patients\\)"):
        make_weights("toy", tmp_path / "out")
    with pytest.raises(NoDataError, match=r"^--real_data .*nowhere: expected two patients"):
        make_weights("toy", tmp_path / "out", tmp_path / "nowhere")


def test_sha256_is_that_of_the_published_example(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"abc")
    (tmp_path / "model.json").write_text("{}")
    # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert weights_sha256(tmp_path) == {"model.pt": expected}
