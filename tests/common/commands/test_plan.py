import json

import pytest

from common.commands.demo import read_demo
from common.commands.plan import PlanRun, read_plan

PHANTOM = {
    "_target_": "common.adc.simulate_neonatal_adc",
    "cases": 1,
    "size": [32, 36, 4],
    "spacing_mm": [3.2, 3.2, 20.0],
    "progress": False,
}
CONFIG = {
    "imports": ["$from pathlib import Path", "$from common.files import write_json"],
    "word": "default",
    "resume": False,
    "dataset_dir": "",
    "model_dir": "the bundle's",
    "output_dir": "",
    "seen": "$[p.name for p in Path(@dataset_dir).parent.iterdir()]",
    "initialize": [],
    "training": [
        "$write_json(@output_dir + '/resume.json', @resume)",
        "$write_json(@output_dir + '/seen.json', [@word, @model_dir, @seen])",
    ],
}
STEP = {"title": "a step", "run_id": "training", "configs": ["train.json"]}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A bundle whose training writes down the word and the folders that it was given."""
    configs = tmp_path / "bundles" / "toy" / "configs"
    configs.mkdir(parents=True)
    (configs.parent / "studies").mkdir()
    (configs / "train.json").write_text(json.dumps(CONFIG))
    for module in ("common.commands.plan", "common.commands.demo"):
        monkeypatch.setattr(f"{module}.installed_bundles_folder", lambda: tmp_path / "bundles")
    return configs.parent


def run_steps(work, specs):
    calls = [{**PHANTOM, "directory": f"{{work}}/{name}"} for name in ("data", "new")]
    run = PlanRun("toy", work, calls, {"word": "for all steps"})
    steps = [run.step({**STEP, **spec}) for spec in specs]
    return [json.loads((step.folder / "seen.json").read_text()) for step in steps]


def test_data_are_simulated_when_the_first_step_asks_for_them(toy, tmp_path):
    specs = [{"name": "first", "overrides": {"dataset_dir": "{work}/new"}}, {"name": "second"}]
    first, second = run_steps(tmp_path / "work", specs)
    assert "new" in first[2] and "data" not in first[2]
    assert {"new", "data"} <= set(second[2])


def test_a_step_has_the_plans_settings_its_own_first_and_one_by_shipped_weights_none(toy, tmp_path):
    specs = [{"name": "plain"}, {"name": "own", "overrides": {"word": "own"}}, {"name": "first", "shipped": True}]
    plain, own, shipped = run_steps(tmp_path / "work", specs)
    assert plain[:2] == ["for all steps", str(tmp_path / "work" / "models")]
    assert own[0] == "own"
    assert shipped[:2] == ["default", "the bundle's"]


def test_what_has_run_is_not_run_again_until_its_settings_change(toy, tmp_path, capsys):
    run_steps(tmp_path / "work", [{"name": "one"}, {"name": "two"}])
    assert "done already" not in capsys.readouterr().out
    run_steps(tmp_path / "work", [{"name": "one"}, {"name": "two", "overrides": {"word": "new"}}])
    assert capsys.readouterr().out.count("done already") == 1


def test_a_training_that_was_interrupted_is_resumed_and_one_with_other_settings_begins_anew(toy, tmp_path, capsys):
    work, blocked = tmp_path / "work", tmp_path / "work" / "one" / "seen.json"

    def resumed(word):
        run_steps(work, [{"name": "one", "overrides": {"word": word}}])
        return json.loads((work / "one" / "resume.json").read_text())

    blocked.mkdir(parents=True)
    with pytest.raises(RuntimeError):  # the second of its two files cannot be written
        resumed("a")
    with pytest.raises(RuntimeError):
        resumed("b")
    assert "goes on" not in capsys.readouterr().out
    blocked.rmdir()
    assert resumed("b") == "auto"
    assert "goes on after its last finished epoch" in capsys.readouterr().out
    (work / "one" / "resume.pt").touch()  # as a training of other settings leaves it
    assert resumed("c") is False
    assert not (work / "one" / "resume.pt").exists()


def test_a_demo_begins_with_the_shipped_weights_only_where_there_are_some(toy):
    demo = {"simulate": [{**PHANTOM, "directory": "{work}/data"}], "steps": [{**STEP, "name": "training"}]}
    demo["first_look"] = {"simulate": {"cases": 2, "seed": 5}, "overrides": {"word": "w"}}
    (toy / "studies" / "demo.json").write_text(json.dumps(demo))
    weights = {"held_out": {"simulate": {**PHANTOM, "cases": 40, "seed": 9, "directory": "{work}/held_out"}}}
    (toy / "studies" / "weights.json").write_text(json.dumps(weights))
    assert [step["name"] for step in read_demo("toy")["steps"]] == ["training"]
    (toy / "models").mkdir()
    (toy / "models" / "model.pt").write_bytes(b"")
    plan = read_demo("toy")
    assert [step["name"] for step in plan["steps"]] == ["first_look", "training"]
    assert plan["simulate"][0]["directory"] == "{work}/data"
    assert plan["simulate"][1] == {**PHANTOM, "cases": 2, "seed": 5, "directory": "{work}/first_cases"}
    assert plan["steps"][0]["overrides"] == {"word": "w", "dataset_dir": "{work}/first_cases"}


def test_plans_are_read_by_name(toy):
    (toy / "studies" / "weights.json").write_text('{"title": "t"}')
    assert read_plan("toy", "weights") == {"title": "t"}
