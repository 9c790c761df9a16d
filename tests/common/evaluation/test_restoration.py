import pytest
import torch

from common.evaluation import restoration_ratio, restoration_row, restored_mse


def test_errors_are_those_before_and_after():
    original = torch.zeros(1, 2, 2, 2)
    output = {"image": original + 2, "label": original, "pred": original + 0.5}
    row = restoration_row({"case": "a", "slice_number": torch.tensor(3)}, output)
    assert row == {"case": "a", "slice": 3, "corrupted_mse": 4.0, "restored_mse": 0.25}


def test_ratio_weighs_samples_by_their_corruption():
    rows = [{"corrupted_mse": 1.0, "restored_mse": 1.0}, {"corrupted_mse": 9.0, "restored_mse": 1.0}]
    assert restoration_ratio(rows) == pytest.approx(0.2)
    assert restored_mse(rows) == 1.0
