import json
from hashlib import sha256

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from torch import nn

from common.adc import (
    KeepThreshold,
    StoredThresholdd,
    best_lesion_dice,
    best_lesion_threshold,
    dice_by_threshold,
    dice_score,
    lesion_threshold_row,
    load_threshold,
)
from common.adc.threshold import thresholds
from common.errors import UnusableFileError
from common.training import KeepBest


def test_equals_the_dice_of_each_mask():
    random = np.random.RandomState(0)
    probability, reference = random.random_sample((5, 6, 7)), random.random_sample((5, 6, 7)) > 0.7
    probability[0] = thresholds()[11]  # exactly on a threshold
    expected = [dice_score(probability >= t, reference) for t in thresholds()]
    np.testing.assert_allclose(dice_by_threshold(probability, reference), expected)


def test_there_are_200_thresholds_between_0_and_1():
    assert len(thresholds()) == 200 and thresholds()[0] > 0 and thresholds()[-1] < 1


def test_empty_reference_scores_1_where_nothing_is_called():
    dice = dice_by_threshold(np.full((2, 2), 0.5), np.zeros((2, 2)))
    np.testing.assert_array_equal(dice, np.where(thresholds() > 0.5, 1.0, 0.0))


def test_best_threshold_is_best_in_the_mean_over_volumes():
    first = np.where(np.arange(200) == 30, 0.9, 0.1)
    second = np.where((np.arange(200) >= 60) & (np.arange(200) <= 62), 0.8, 0.4)
    rows = [{"dice": first}, {"dice": second}]
    assert best_lesion_dice(rows) == pytest.approx((0.9 + 0.4) / 2)
    assert best_lesion_threshold(rows) == thresholds()[30]
    assert best_lesion_threshold(rows[1:]) == thresholds()[61]


def test_row_names_its_case():
    row = lesion_threshold_row({"case": "7", "label": torch.ones(1, 2, 2, 1)}, {"pred": torch.ones(1, 2, 2, 1)})
    assert row["case"] == "7" and row["dice"].tolist() == [1.0] * 200


def test_row_of_an_item_without_a_name_is_named_by_its_file():
    image = MetaTensor(torch.ones(1, 2, 2, 1), meta={"filename_or_obj": "a/b.nii.gz"})
    row = lesion_threshold_row({"image": image, "label": torch.ones(1, 2, 2, 1)}, {"pred": torch.ones(1, 2, 2, 1)})
    assert row["case"] == "a/b.nii.gz"


def test_threshold_is_that_of_the_kept_model_and_names_it(tmp_path):
    scores, thresholds = [0.2, 0.6, 0.4], [0.1, 0.3, 0.5]
    evaluator, trainer = Engine(lambda *_: None), Engine(lambda *_: None)
    keep_threshold = KeepThreshold(evaluator, tmp_path / "threshold.json")
    keep_best = KeepBest(nn.Linear(1, 1), tmp_path / "model.pt", "dice", evaluator, beside_model=[keep_threshold])
    written = []
    for epoch in range(3):
        evaluator.state.metrics = {"dice": scores[epoch], "threshold": thresholds[epoch]}
        trainer.state.epoch = epoch + 1
        keep_best(trainer)
        written.append(json.loads((tmp_path / "threshold.json").read_text()))
    assert [entry["threshold"] for entry in written] == [0.1, 0.3, 0.3]
    assert written[-1]["model_sha256"] == json.loads((tmp_path / "model.json").read_text())["sha256"]


def test_a_changed_threshold_is_refused_until_its_digest_is_removed(tmp_path):
    evaluator = Engine(lambda *_: None)
    evaluator.state.metrics = {"threshold": 0.25}
    KeepThreshold(evaluator, tmp_path / "threshold.json")("0" * 64)
    assert load_threshold(tmp_path / "threshold.json") == 0.25
    lines = (tmp_path / "threshold.json").read_text().replace("0.25", "0.21").splitlines()
    (tmp_path / "threshold.json").write_text("\n".join(lines))
    with pytest.raises(UnusableFileError, match=r"threshold\.json: .* set the value on the command line"):
        load_threshold(tmp_path / "threshold.json")
    (tmp_path / "threshold.json").write_text("\n".join(lines[:1] + lines[2:]))
    assert load_threshold(tmp_path / "threshold.json") == 0.21


def test_probability_that_reaches_the_threshold_is_lesion():
    data = {"pred": torch.tensor([0.29, 0.3, 0.31]), "case": "a"}
    result = StoredThresholdd("pred", threshold=0.3)(data)
    assert result["pred"].tolist() == [0, 1, 1] and result["pred"].dtype == torch.uint8
    assert data["pred"].dtype == torch.float32


def test_threshold_of_the_training_is_read_when_it_is_first_needed(tmp_path):
    decide = StoredThresholdd("pred", path=tmp_path / "threshold.json")
    (tmp_path / "threshold.json").write_text('{"threshold": 0.75, "epoch": 3}')
    assert decide({"pred": torch.tensor([0.7, 0.8])})["pred"].tolist() == [0, 1]
    assert decide.threshold == 0.75


def test_refuses_missing_and_impossible_thresholds(tmp_path):
    with pytest.raises(ValueError, match="expected one of them, found none"):
        StoredThresholdd("pred")
    for value in (2, True, float("nan"), "0.4"):
        with pytest.raises(ValueError, match=rf"in \[0, 1\], found {value!r}"):
            StoredThresholdd("pred", threshold=value)
    with pytest.raises(FileNotFoundError, match=r"threshold.json: expected the threshold of a training"):
        load_threshold(tmp_path / "threshold.json")
    for content in ("{}", '{"threshold": 7}', "[1]", '{"threshold": true}', '{"threshold": NaN}'):
        (tmp_path / "threshold.json").write_text(content)
        with pytest.raises(UnusableFileError, match=r"expected a threshold in \[0, 1\]"):
            load_threshold(tmp_path / "threshold.json")
    (tmp_path / "threshold.json").write_text('{"threshold": 0.')
    with pytest.raises(UnusableFileError, match=r"threshold.json: expected a threshold as JSON, found a damaged file"):
        load_threshold(tmp_path / "threshold.json")


def test_threshold_of_another_model_is_refused(tmp_path):
    for name in ("model.pt", "other.pt"):
        (tmp_path / name).write_bytes(name.encode())
    path = tmp_path / "threshold.json"
    path.write_text(json.dumps({"threshold": 0.3, "model_sha256": sha256(b"model.pt").hexdigest()}))
    assert load_threshold(path, tmp_path / "model.pt") == load_threshold(path) == 0.3
    with pytest.raises(UnusableFileError, match=r"expected the threshold of .*other.pt, found that of another model"):
        StoredThresholdd("pred", path=path, weights=tmp_path / "other.pt")({"pred": torch.ones(1)})
