import math

import pytest
import torch

from common.echo import camus_row, camus_table, infarction_row, infarction_table


def by_name(rows):
    return {(row.method, row.metric): row for row in rows}


def test_scores_camus_by_quality_beside_the_constant():
    quality = ["Good", "Medium", "Good", "Poor", "Poor", "Poor"]
    actual, predicted = [40, 50, 60, 30, 50, 70], [42, 50, 58, 40, 50, 60]
    cases = [
        {"case": str(i), "quality": q, "label": str(a), "predicted": str(p)}
        for i, (q, a, p) in enumerate(zip(quality, actual, predicted, strict=True))
    ]
    table = by_name(camus_table(cases))
    assert table["model", "MAE (EF points), Good and Medium"].result.value == pytest.approx(4 / 3)
    assert table["model", "MAE (EF points), Good and Medium"].result.cases == 3
    assert table["model", "correlation, Poor"].result.value == pytest.approx(1)
    assert table["constant", "MAE (EF points), Poor"].result.value == pytest.approx(40 / 3)
    assert not any("Poor" in name for _, name in by_name(camus_table(cases[:3])))


def test_scores_infarctions_beside_the_majority():
    actual, probability = [1, 1, 1, 0, 0], [0.9, 0.5, 0.2, 0.7, 0.1]
    cases = [
        {"case": str(i), "label": str(a), "predicted": str(p)}
        for i, (a, p) in enumerate(zip(actual, probability, strict=True))
    ]
    table = by_name(infarction_table(cases))
    expected = {"sensitivity": 2 / 3, "specificity": 1 / 2, "precision": 2 / 3, "F1": 2 / 3, "accuracy": 3 / 5}
    assert {name: table["model", name].result.value for name in expected} == pytest.approx(expected)
    assert table["majority class", "accuracy"].result.value == pytest.approx(3 / 5)
    assert table["majority class", "F1"].result.value == pytest.approx(6 / 8)


def test_takes_a_rows_values_from_batch_and_output():
    batch = {"case": "p", "quality": "Good", "label": torch.tensor(61.0)}
    assert camus_row(batch, {"pred": torch.tensor([60.0])})["predicted"] == 60
    row = infarction_row({"case": "v", "label": torch.tensor(1)}, {"pred": torch.tensor([math.log(3)])})
    assert row == {"case": "v", "label": 1, "predicted": pytest.approx(0.75)}
