import json

import pytest

from common.shipped_weights import evaluation_figures, interval_of_part, weights_sha256


def test_figures_are_plain_numbers_with_interval_and_case_count(tmp_path):
    rows = [
        {"method": "rule", "metric": "Dice", "value": 0.4, "low": 0.3, "high": 0.5, "cases": 8, "published": ""},
        {"method": "model", "metric": "Dice", "value": 0.6, "low": 0.55, "high": 0.7, "cases": 9, "published": 0.6},
    ]
    (tmp_path / "evaluation.json").write_text(json.dumps(rows))
    figures = evaluation_figures(tmp_path, {"dice": ("model", "Dice")})
    assert figures == {"dice": 0.6, "dice_low": 0.55, "dice_high": 0.7, "dice_cases": 9}
    with pytest.raises(KeyError, match="NSD"):
        evaluation_figures(tmp_path, {"nsd": ("model", "NSD")})


def test_the_interval_of_a_quarter_of_the_cases_is_twice_as_wide_on_each_side():
    figures = {"dice": 0.6, "dice_low": 0.5, "dice_high": 0.65, "dice_cases": 80}
    assert interval_of_part(figures, "dice", 20) == pytest.approx((0.4, 0.7))
    assert interval_of_part(figures, "dice", 80) == pytest.approx((0.5, 0.65))


def test_sha256_is_that_of_the_published_example(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"abc")
    (tmp_path / "model.json").write_text("{}")
    # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert weights_sha256(tmp_path) == {"model.pt": expected}
