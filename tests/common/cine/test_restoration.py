import json

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from PIL import Image

from common.cine import RestorationPicture, restoration_table
from common.evaluation import Evaluation, restoration_row
from common.files import read_csv


def test_table_has_the_errors_before_and_after_and_their_ratio(tmp_path):
    # Errors before and after: 4 and 1, 16 and 4, so means of 10 and 2.5.
    original = torch.zeros(1, 2, 2, 3)
    samples = [(2.0, 1.0), (4.0, 2.0)]
    outputs = [{"image": original + a, "label": original, "pred": original + b} for a, b in samples]
    engine = Engine(lambda engine, batch: [outputs[int(item["slice_number"])] for item in batch])
    Evaluation(tmp_path, restoration_row, restoration_table, method="stage 1").attach(engine)
    engine.run([[{"case": "a", "slice_number": torch.tensor(k)}] for k in range(2)])
    rows = {(row["method"], row["metric"]): row for row in json.loads((tmp_path / "evaluation.json").read_text())}
    assert rows["stage 1", "MSE (z-scored)"]["value"] == pytest.approx(2.5)
    assert rows["no restoration", "MSE (z-scored)"]["value"] == pytest.approx(10)
    ratio = rows["stage 1", "MSE, restored / corrupted"]
    # Both slices have the same ratio, so any draw of them has it.
    assert (ratio["value"], ratio["low"], ratio["high"], ratio["cases"]) == pytest.approx((0.25, 0.25, 0.25, 2))
    assert [row["slice"] for row in read_csv(tmp_path / "cases.csv")] == ["0", "1"]


def run(tmp_path, changes):
    """One sample whose frames differ from the original where `changes` says (T boolean masks)."""
    original = torch.rand(1, 16, 16, len(changes), generator=torch.Generator().manual_seed(0))
    image = original.clone()
    for frame, mask in enumerate(changes):
        image[0, ..., frame][mask] += 5
    engine = Engine(lambda engine, batch: [{"image": image, "label": original, "pred": original}])
    RestorationPicture(tmp_path).attach(engine)
    engine.run([[{"case": "a", "slice_number": torch.tensor(1)}]])


def half():
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[:8] = True
    return mask


def test_shows_one_row_for_space_and_one_for_time(tmp_path):
    nothing, everything = torch.zeros(16, 16, dtype=torch.bool), torch.ones(16, 16, dtype=torch.bool)
    run(tmp_path, [nothing, half(), everything])
    both = np.asarray(Image.open(tmp_path / "restoration.png")).shape
    run(tmp_path, [nothing, half(), nothing])
    one = np.asarray(Image.open(tmp_path / "restoration.png")).shape
    assert both[1] == one[1] and both[0] > 1.8 * one[0]


def test_shows_nothing_where_nothing_was_corrupted(tmp_path):
    run(tmp_path, [torch.zeros(16, 16, dtype=torch.bool)] * 2)
    assert not (tmp_path / "restoration.png").exists()
