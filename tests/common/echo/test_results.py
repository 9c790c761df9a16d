import json

import pytest
import torch

from common.data import FailureLog
from common.echo import EjectionFractionResults, figures

INPUT = {"frames": 60, "frame_rate_from": "FrameTime", "done": ["cut to the sector"]}


def written(tmp_path, percents, doubts=(), case="a"):
    failures = FailureLog(tmp_path / "out")
    failures.start()
    results = EjectionFractionResults(failures, weights="model.pt")
    results._start(None)
    item = {
        "case": case,
        "image": torch.rand(3, 3, 4, 16, 16),
        "input": json.dumps({**INPUT, "doubts": list(doubts)}),
    }
    row = results.write_case(case, [(item, {"pred": torch.tensor(percents)})])
    (path,) = (tmp_path / "out").glob("*.json")
    return row, json.loads(path.read_text())


def test_says_what_was_done_to_the_recording(tmp_path):
    row, content = written(tmp_path, [50.0, 52.0, 54.0])
    assert content["input"] == INPUT
    assert content["doubts"] == []
    assert (row["ef_percent"], row["lowest"], row["highest"]) == (52, 50, 54)


def test_gives_every_doubt_in_json_and_picture(tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr("common.echo.results.draw_clip", lambda path, clip, title: titles.append(title))
    _, content = written(tmp_path, [3.0, 3.0, 3.0], ["it stands still", "it is black"])
    reasons = ["it stands still", "it is black", "an EF of 3.0 % is outside 5 to 90 %"]
    assert content["doubts"] == reasons
    assert titles[0].endswith("\nDOUBTFUL: " + "; ".join(reasons))


@pytest.mark.parametrize("case", ["a", "$x$ and $y", "\udcff"])
def test_draws_long_titles_names_with_dollars_and_those_that_are_not_utf_8(tmp_path, case):
    written(tmp_path, [50.0, 80.0], ["a reason of many words " * 12], case)
    assert next((tmp_path / "out").glob("*.png")).stat().st_size > 1000
    figures.draw_clip(tmp_path / "b.png", torch.rand(3, 4, 16, 16), case)
