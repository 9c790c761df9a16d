"""The federated rounds that docs/federated.md of hie_ladp_seg shows, run as they stand there."""

import hashlib
import json
import re
import warnings
import zipfile

import pytest
import torch

from common.commands.pack import pack
from tests.bundles.harness import REPOSITORY, overrides, root, simulate, smallest, workflow

BUNDLE = "hie_ladp_seg"


def recipe():
    """The page's code below its first three lines, which say where the data are."""
    page = (root(BUNDLE) / "docs" / "federated.md").read_text()
    code = re.search(r"<!-- federated rounds -->\n```python\n(.*?)```", page, re.DOTALL).group(1)
    first, rest = code.split("\n\n", 1)
    assert [line.split(" = ")[0] for line in first.splitlines()] == ["bundle, work", "cohorts", "rounds, settings"]
    return compile(rest, "docs/federated.md of hie_ladp_seg", "exec")


@pytest.fixture
def run(tmp_path, monkeypatch, python_path):
    """Run the recipe on cohorts by name and return its names."""
    monkeypatch.chdir(REPOSITORY)
    settings = {key: value for key, value in smallest(BUNDLE)["settings"].items() if key != "max_epochs"}

    def rounds(cohorts, bundle=None):
        names = {
            "bundle": str(bundle or root(BUNDLE)),
            "work": str(tmp_path / "work"),
            "rounds": 2,
            "settings": settings,
        }
        names["cohorts"] = {name: str(path) for name, path in cohorts.items()}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="executing the bundle config", category=UserWarning)
            exec(recipe(), names)
        return names

    return rounds


def test_the_averaged_model_scores_on_both_cohorts_and_is_used_like_any_other(run, tmp_path):
    cohorts = {name: simulate(BUNDLE, tmp_path / name, seed=seed) for seed, name in enumerate(("north", "south"))}
    names = run(cohorts)
    assert names["scores"].keys() == cohorts.keys()
    assert all(0 <= score["volume_dice"] <= 1 for score in names["scores"].values())
    checksum = hashlib.sha256((tmp_path / "work" / "model.pt").read_bytes()).hexdigest()
    for file, key in {"model.json": "sha256", "threshold.json": "model_sha256"}.items():
        assert json.loads((tmp_path / "work" / file).read_text())[key] == checksum
    for name, cohort in cohorts.items():
        assert len((tmp_path / "work" / name / "log" / "history.csv").read_text().splitlines()) == 1 + names["rounds"]
        settings = overrides(BUNDLE, cohort, tmp_path, model_dir=str(tmp_path / "work"), output_dir=str(tmp_path / "e"))
        flow = workflow(BUNDLE, ["train.json", "evaluate.json"], "evaluating", **settings)
        flow.initialize()
        flow.run()
        rows = json.loads((tmp_path / "e" / "evaluation.json").read_text())
        assert any(row["method"] == "model" and row["metric"] == "Dice" for row in rows)


def test_rounds_between_equal_hospitals_from_a_zip_are_the_training_of_one(run, tmp_path):
    cohort = simulate(BUNDLE, tmp_path / "data")
    pack([BUNDLE], tmp_path, without_weights=True)
    with zipfile.ZipFile(tmp_path / f"{BUNDLE}.zip") as archive:
        archive.extractall(tmp_path)
    names = run({"one": cohort, "other": cohort}, tmp_path / BUNDLE)
    assert type(names["clients"]["one"].trainer.network).__module__.startswith(f"{BUNDLE}_common.")
    settings = overrides(BUNDLE, cohort, tmp_path, max_epochs=names["rounds"])
    alone = workflow(BUNDLE, ["train.json"], "training", **settings)
    alone.initialize()
    alone.run()
    state = alone.trainer.network.state_dict()
    assert state.keys() == names["weights"].keys()
    for key, value in state.items():
        torch.testing.assert_close(names["weights"][key], value, rtol=1e-5, atol=1e-6)
