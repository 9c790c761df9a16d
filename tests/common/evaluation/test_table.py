import json

from common.evaluation import EvaluationRow, Interval, write_evaluation
from common.files import read_csv


def test_table_has_a_row_a_figure_as_csv_and_as_json(tmp_path):
    rows = [
        EvaluationRow("model", "AUC", Interval(0.91, 0.8, 0.97, 40), 0.85),
        EvaluationRow("rule", "AUC", Interval(0.5, float("nan"), float("nan"), 40)),
    ]
    write_evaluation(tmp_path, rows)
    assert read_csv(tmp_path / "evaluation.csv")[0] == {
        "method": "model",
        "metric": "AUC",
        "value": "0.91",
        "low": "0.8",
        "high": "0.97",
        "cases": "40",
        "published": "0.85",
    }
    second = json.loads((tmp_path / "evaluation.json").read_text())[1]
    assert (second["method"], second["low"], second["published"]) == ("rule", None, "")
