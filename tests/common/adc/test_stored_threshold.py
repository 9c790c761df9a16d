import pytest
import torch

from common.adc import StoredThresholdd, load_threshold
from common.errors import UnusableFileError


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
    with pytest.raises(ValueError, match=r"in \[0, 1\], found 2"):
        StoredThresholdd("pred", threshold=2)
    with pytest.raises(FileNotFoundError, match=r"threshold.json: expected the threshold of a training"):
        load_threshold(tmp_path / "threshold.json")
    for content in ("{}", '{"threshold": 7}', "[1]"):
        (tmp_path / "threshold.json").write_text(content)
        with pytest.raises(UnusableFileError, match=r"expected a threshold in \[0, 1\]"):
            load_threshold(tmp_path / "threshold.json")
