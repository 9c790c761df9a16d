import json

import pytest
import torch
from ignite.engine import Engine

from common.cine import RestorationEvaluation
from common.files import read_csv


def test_table_has_the_errors_before_and_after_and_their_ratio(tmp_path):
    # Errors before and after: 4 and 1, 16 and 4, so means of 10 and 2.5.
    original = torch.zeros(1, 2, 2, 3)
    samples = [(2.0, 1.0), (4.0, 2.0)]
    outputs = [{"image": original + a, "label": original, "pred": original + b} for a, b in samples]
    engine = Engine(lambda engine, batch: [outputs[int(item["section"])] for item in batch])
    RestorationEvaluation(tmp_path, method="stage 1").attach(engine)
    engine.run([[{"case": "a", "section": torch.tensor(k)}] for k in range(2)])
    rows = {(row["method"], row["metric"]): row for row in json.loads((tmp_path / "evaluation.json").read_text())}
    assert rows["stage 1", "MSE (z-scored)"]["value"] == pytest.approx(2.5)
    assert rows["no restoration", "MSE (z-scored)"]["value"] == pytest.approx(10)
    ratio = rows["stage 1", "MSE, restored / corrupted"]
    # Both sections have the same ratio, so any draw of them has it.
    assert (ratio["value"], ratio["low"], ratio["high"], ratio["cases"]) == pytest.approx((0.25, 0.25, 0.25, 2))
    assert [row["section"] for row in read_csv(tmp_path / "sections.csv")] == ["0", "1"]
