import itertools
import json

import pytest
from ignite.engine import Engine

from common.data import FailureLog
from common.evaluation import NOTE, CaseResults
from common.files import read_csv


class Sums(CaseResults):
    """The sum of a case's parts; a negative one cannot be written."""

    def __init__(self, failures):
        super().__init__(failures, ["case", "value", "parts"], weights="model.pt")

    def part(self, item, result):
        return result["pred"]

    def write_case(self, case, parts):
        self.file(case, ".txt").write_text(str(sum(parts)))
        if sum(parts) < 0:
            raise ValueError("expected a value of 0 or more, found -1")
        self.write_json(case, {"value": sum(parts)})
        return {"value": sum(parts), "parts": len(parts)}


def run(handler, samples, size=2):
    """Samples are (case, value) or (case, value, parts)."""

    def step(engine, batch):
        engine.state.batch = [{"case": name, **({"parts": parts[0]} if parts else {})} for name, _, *parts in batch]
        return [{"pred": value} for _, value, *_ in batch]

    engine = Engine(step)
    handler.attach(engine)
    engine.run([samples[i : i + size] for i in range(0, len(samples), size)])
    return handler


def table(folder):
    return [(row["case"], row["value"], row["parts"]) for row in read_csv(folder / "predictions.csv")]


def test_a_case_that_fails_is_named_leaves_no_file_and_the_others_are_in_the_table(tmp_path):
    failures = FailureLog(tmp_path)
    run(Sums(failures), [("a", 1), ("b", -1), ("c", 3)])
    assert table(tmp_path) == [("a", "1", "1"), ("c", "3", "1")]
    assert failures.failures() == [{"case": "b", "reason": "expected a value of 0 or more, found -1"}]
    assert not (tmp_path / "b.txt").exists() and (tmp_path / "a.txt").is_file()
    reason = {"error": "expected a value of 0 or more, found -1"}
    assert json.loads((tmp_path / "b.json").read_text()) == {
        "case": "b",
        **reason,
        "doubts": [],
        "weights": "model.pt",
        "note": NOTE,
    }


def test_a_case_that_fails_after_its_result_keeps_the_result(tmp_path):
    failures = FailureLog(tmp_path)

    class Objects(Sums):
        def write_case(self, case, parts):
            self.failures.add(case, "no DICOM objects")
            return super().write_case(case, parts)

    run(Objects(failures), [("a", 1)])
    assert json.loads((tmp_path / "a.json").read_text())["value"] == 1 and failures.failures()


@pytest.mark.parametrize("is_anonymous", [True, False])
def test_no_path_of_the_input_stands_in_the_json_where_cases_are_anonymous(tmp_path, is_anonymous):
    source = tmp_path / "Doe_Jane"
    note = f"{source}/Doe Jane 1.dcm: expected pixels, found none"

    class Noted(Sums):
        def write_case(self, case, parts):
            self.doubt(case, [f"slice 2 of {source}: too dark"])
            self.write_json(case, {"notes": [note, {"reason": note, "slice": 2}]})
            return {"value": 0, "parts": 1}

    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    resolved = {"anonymous_names": is_anonymous, "dataset_dir": str(source), "weights": str(weights)}
    run(Noted(FailureLog(tmp_path / "out", resolved=resolved)), [("a", 1)])
    content = json.loads((tmp_path / "out" / "a.json").read_text())
    said = "a file: expected pixels, found none" if is_anonymous else note
    assert content["notes"] == [said, {"reason": said, "slice": 2}]
    assert content["doubts"] == ["slice 2 of a file: too dark" if is_anonymous else f"slice 2 of {source}: too dark"]
    assert ("Doe" in (tmp_path / "out" / "predictions.csv").read_text()) is not is_anonymous


def test_no_reason_stands_in_the_json_where_cases_are_anonymous(tmp_path):
    resolved = {"anonymous_names": True, "weights": str(tmp_path / "model.pt")}
    run(Sums(FailureLog(tmp_path / "out", resolved=resolved)), [("case_0001", -1)])
    assert json.loads((tmp_path / "out" / "case_0001.json").read_text())["error"] == "see failed.csv"


def test_nothing_of_a_finished_case_is_kept_but_its_row(tmp_path):
    handler = Sums(FailureLog(tmp_path))
    run(handler, [(f"{case}", case) for case in range(5)])
    assert len(handler.rows) == 5
    assert not any((handler._parts, handler._scores, handler._expected, handler._files))


def test_a_json_says_what_made_it_and_what_it_is_not_for(tmp_path):
    run(Sums(FailureLog(tmp_path)), [("a", 1)])
    content = json.loads((tmp_path / "a.json").read_text())
    assert content == {"case": "a", "value": 1, "doubts": [], "weights": "model.pt", "note": NOTE}


PARTS = [("a", 1, 0), ("a", 2, 0), ("a", 4, 3), ("b", 8, 0), ("b", 16, 2), ("c", 32, 1)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(6)))[::37])
def test_parts_of_cases_in_any_order_give_the_same_files(tmp_path, order):
    run(Sums(FailureLog(tmp_path)), [PARTS[i] for i in order])
    assert table(tmp_path) == [("a", "7", "3"), ("b", "24", "2"), ("c", "32", "1")]
    assert (tmp_path / "b.txt").read_text() == "24"


def test_a_case_is_written_and_in_the_table_as_soon_as_it_is_complete(tmp_path):
    seen = []

    class Watching(Sums):
        def part(self, item, result):
            seen.append(table(tmp_path))
            return super().part(item, result)

    run(Watching(FailureLog(tmp_path)), [("b", 1, 0), ("b", 1, 2), ("a", 5)], size=1)
    assert seen == [[], [], [("b", "2", "2")]]
    assert table(tmp_path) == [("a", "5", "1"), ("b", "2", "2")]


def test_a_case_that_lacks_a_part_is_a_failure(tmp_path):
    failures = FailureLog(tmp_path)
    run(Sums(failures), [("a", 1, 0), ("b", 2), ("a", 3, 3)])
    assert [row["case"] for row in failures.failures()] == ["a"] and table(tmp_path) == [("b", "2", "1")]


def test_a_file_of_someone_else_is_not_replaced(tmp_path):
    (tmp_path / "a.json").write_text("mine")
    failures = FailureLog(tmp_path)
    run(Sums(failures), [("a", 1), ("b", 2)])
    assert (tmp_path / "a.json").read_text() == "mine" and table(tmp_path) == [("b", "2", "1")]
    assert "found one of yours" in failures.failures()[0]["reason"]


@pytest.mark.parametrize("case", ["../up", "/etc/x", "a b", "=1+1", "$x$", "p\udce9", "x" * 300, "..", ".hidden"])
def test_any_name_of_a_case_gives_a_file_in_the_folder_and_stands_in_the_table(tmp_path, case):
    output = tmp_path / "out"
    run(Sums(FailureLog(output)), [(case, 1), ("plain", 2)])
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert len(list(output.glob("[!.]*.json"))) == 2
    assert [json.loads(path.read_text())["case"] for path in output.glob("*.json") if path.stem != "plain"] == [case]
    assert len(table(output)) == 2


def test_a_second_run_forgets_the_rows_of_the_first(tmp_path):
    handler = Sums(FailureLog(tmp_path))
    run(handler, [("a", 1)])
    run(handler, [("b", 2)])
    assert table(tmp_path) == [("b", "2", "1")]


def test_is_of_no_use_without_a_way_to_write_a_case(tmp_path):
    with pytest.raises(TypeError, match="write_case"):
        CaseResults(FailureLog(tmp_path), ["case"])


def test_an_error_of_the_engine_ends_the_run(tmp_path):
    def step(engine, batch):
        raise FileNotFoundError("expected weights, found none")

    engine = Engine(step)
    Sums(FailureLog(tmp_path)).attach(engine)
    with pytest.raises(FileNotFoundError):
        engine.run([[("a", 1)]])
