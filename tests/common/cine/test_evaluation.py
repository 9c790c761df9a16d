import json
import random
from functools import partial

import pytest
import torch
from ignite.engine import Engine

from common.cine import HeartFailureResults, draw_heart_failure, heart_failure_table, slice_row
from common.data import FailureLog
from common.evaluation import Evaluation
from common.files import read_csv


def sample(case, number, probability, label=None, **more):
    item = {"case": case, "slice_number": torch.tensor(number), "image": torch.rand(1, 16, 16, 6), **more}
    if label is not None:
        item["label"] = torch.tensor(label)
    return item, {"pred": torch.tensor([probability])}


def run(handler, samples, batch_size=2):
    batches = [samples[i : i + batch_size] for i in range(0, len(samples), batch_size)]

    def step(engine, batch):
        engine.state.batch = [item for item, _ in batch]
        return [result for _, result in batch]

    engine = Engine(step)
    handler.attach(engine)
    engine.run(batches)


def test_a_row_without_label_says_none():
    item, result = sample("a", 2, 0.25)
    assert slice_row(item, result) == {"case": "a", "slice": 2, "label": None, "probability": 0.25}


SKIPPED = json.dumps([{"slice": 1, "reason": "a frame is missing"}])
SLICES = [
    sample("a", 0, 0.25, parts=0, skipped=SKIPPED, notes='["took series 5"]', doubts='["it is frozen"]'),
    sample("a", 2, 0.5, parts=0, skipped=SKIPPED, notes='["took series 5"]', doubts='["it is frozen"]'),
    sample("a", 3, 0.75, parts=3, skipped=SKIPPED, notes='["took series 5"]', doubts='["it is frozen"]'),
    sample("b", 0, 0.125, parts=1),
]


@pytest.mark.parametrize("seed", range(4))
def test_each_patient_gets_the_mean_of_its_slices_in_whatever_order_they_arrive(tmp_path, seed):
    samples = random.Random(seed).sample(SLICES, len(SLICES))
    run(HeartFailureResults(FailureLog(tmp_path), weights="w.pt"), samples)
    rows = {row["case"]: row for row in read_csv(tmp_path / "predictions.csv")}
    assert float(rows["a"]["probability_HFrEF"]) == 0.5 and rows["a"]["call"] == "HFrEF"
    assert (rows["a"]["slices"], rows["a"]["skipped_slices"]) == ("3", "1") and rows["b"]["call"] == "HFpEF"
    result = json.loads((tmp_path / "a.json").read_text())
    assert [(s["slice"], s["probability"]) for s in result["slices"]] == [(0, 0.25), (2, 0.5), (3, 0.75)]
    assert result["skipped_slices"] == [{"slice": 1, "reason": "a frame is missing"}]
    assert result["notes"] == ["took series 5"] and result["probabilities"] == {"HFrEF": 0.5, "HFpEF": 0.5}
    assert json.loads((tmp_path / "b.json").read_text())["probabilities"] == {"HFrEF": 0.125, "HFpEF": 0.875}
    assert result["doubts"] == ["it is frozen"] and rows["a"]["doubts"] == "it is frozen" and rows["b"]["doubts"] == ""
    assert result["weights"] == "w.pt" and "not a medical device" in result["note"]
    assert (tmp_path / "a.png").stat().st_size > 1000 and (tmp_path / "b.png").is_file()


def test_a_patient_that_cannot_be_written_does_not_stop_the_next(tmp_path):
    (tmp_path / "a.json").mkdir()
    failures = FailureLog(tmp_path)
    run(HeartFailureResults(failures), [sample("a", 0, 0.5), sample("b", 0, 0.5)])
    assert [row["case"] for row in failures.failures()] == ["a"]
    assert [row["case"] for row in read_csv(tmp_path / "predictions.csv")] == ["b"]


def test_evaluation_writes_tables_by_patient_and_a_figure(tmp_path):
    samples = [
        sample(f"p{k}", number, 0.6 + 0.02 * k if k % 2 else 0.2 + 0.01 * k, label=k % 2)
        for k in range(8)
        for number in range(2)
    ]
    table = partial(heart_failure_table, resamples=50)
    run(Evaluation(tmp_path, slice_row, table, draw_heart_failure), samples)
    table = {(row["method"], row["metric"]): row for row in read_csv(tmp_path / "evaluation.csv")}
    assert float(table["model", "patient AUC"]["value"]) == 1.0
    assert float(table["model", "patient accuracy"]["value"]) == 1.0
    assert float(table["majority class", "patient accuracy"]["value"]) == 0.5
    assert table["model", "patient AUC"]["cases"] == "8"
    assert len(read_csv(tmp_path / "patients.csv")) == 8 and len(read_csv(tmp_path / "cases.csv")) == 16
    assert (tmp_path / "roc.png").is_file()
