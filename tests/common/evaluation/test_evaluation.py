import json

import pytest
from ignite.engine import Engine

from common.evaluation import Evaluation, EvaluationRow, Interval
from common.files import read_csv


def mean_table(rows, method):
    mean = sum(row["value"] for row in rows) / len(rows)
    return [
        EvaluationRow(method, "mean", Interval(mean, mean, mean, len(rows))),
        EvaluationRow("baseline", "mean", Interval(0.0, 0.0, 0.0, len(rows))),
    ]


def run(handler, cases):
    def step(engine, batch):
        engine.state.batch = [{"case": case} for case, _ in batch]
        return [{"pred": value} for _, value in batch]

    engine = Engine(step)
    handler.attach(engine)
    engine.run([cases])


def row(item, result):
    return {"case": item["case"], "value": result["pred"], "features": [1, 2]}


def evaluation(folder, **arguments):
    return Evaluation(folder, row, mean_table, **arguments)


def table(folder):
    return {(r["method"], r["metric"]): r for r in json.loads((folder / "evaluation.json").read_text())}


def test_rows_of_cases_in_any_order_give_the_same_files(tmp_path):
    for name, cases in (("a", [("p2", 2.0), ("p1", 1.0)]), ("b", [("p1", 1.0), ("p2", 2.0)])):
        run(evaluation(tmp_path / name), cases)
    for file in ("cases.csv", "evaluation.csv", "evaluation.json"):
        assert (tmp_path / "a" / file).read_text() == (tmp_path / "b" / file).read_text()
    assert read_csv(tmp_path / "a" / "cases.csv") == [{"case": "p1", "value": "1.0"}, {"case": "p2", "value": "2.0"}]
    assert table(tmp_path / "a")["model", "mean"]["value"] == 1.5


@pytest.mark.parametrize(
    ("published", "beside"),
    [
        ({"model": {"mean": 0.9}, "baseline": {"mean": 0.1}}, (0.9, 0.1)),
        ({"ours": {"mean": 0.8}, "model": {"mean": 0.9}}, (0.8, "")),
        ({"another": {"mean": 0.7}}, ("", "")),
        (None, ("", "")),
    ],
)
def test_published_figures_stand_beside_those_of_the_same_method_or_of_the_model_by_its_role(
    tmp_path, published, beside
):
    run(evaluation(tmp_path, method="ours", published=published), [("a", 1.0)])
    found = table(tmp_path)
    assert (found["ours", "mean"]["published"], found["baseline", "mean"]["published"]) == beside


def test_figures_are_drawn_from_the_rows_with_all_that_no_cell_holds(tmp_path):
    drawn = []
    handler = evaluation(tmp_path, draw=lambda folder, rows, method: drawn.append((folder, rows, method)), method="m")
    run(handler, [("a", 1.0)])
    assert drawn == [(tmp_path, [{"case": "a", "value": 1.0, "features": [1, 2]}], "m")]


def test_a_row_may_watch_the_engine_itself(tmp_path):
    class Watching:
        engine = None

        def attach(self, engine):
            self.engine = engine

        def __call__(self, item, result):
            return {"case": item["case"], "value": float(self.engine is not None)}

    run(Evaluation(tmp_path, Watching(), mean_table), [("a", 0.0)])
    assert table(tmp_path)["model", "mean"]["value"] == 1
