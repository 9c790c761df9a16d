import pytest
from ignite.engine import Engine

from common.data import FailureLog
from common.evaluation import CaseResults
from common.files import read_csv


class Values(CaseResults):
    def __init__(self, folder, failures):
        super().__init__(folder, failures, ["case", "value"])

    def write_case(self, item, result):
        if result["pred"] < 0:
            raise ValueError("expected a value of 0 or more, found -1")
        return {"case": item["case"], "value": result["pred"]}


def run(handler, cases):
    def step(engine, batch):
        engine.state.batch = [{"case": name} for name, _ in batch]
        return [{"pred": value} for _, value in batch]

    engine = Engine(step)
    handler.attach(engine)
    engine.run([cases[i : i + 2] for i in range(0, len(cases), 2)])


def test_a_case_that_fails_is_named_and_the_others_are_in_the_table(tmp_path):
    failures = FailureLog(tmp_path)
    run(Values(tmp_path, failures), [("a", 1), ("b", -1), ("c", 3)])
    assert [(row["case"], row["value"]) for row in read_csv(tmp_path / "predictions.csv")] == [("a", "1"), ("c", "3")]
    assert failures.failures() == [{"case": "b", "reason": "expected a value of 0 or more, found -1"}]


def test_a_second_run_forgets_the_rows_of_the_first(tmp_path):
    handler = Values(tmp_path, FailureLog(tmp_path))
    run(handler, [("a", 1)])
    run(handler, [("b", 2)])
    assert [row["case"] for row in read_csv(tmp_path / "predictions.csv")] == ["b"]


def test_is_of_no_use_without_a_way_to_write_a_case(tmp_path):
    with pytest.raises(TypeError, match="write_case"):
        CaseResults(tmp_path, FailureLog(tmp_path), ["case"])
