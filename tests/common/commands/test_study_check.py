"""A study's file whose names are misspelt is refused, with the names there are, before anything is run."""

import copy
import json

import pytest

from common.bundle import installed_bundles_folder
from common.commands.study_check import check_known
from common.commands.study_file import read_study
from common.commands.study_plan import Limits, StudyPlan
from common.errors import StudyError
from tests.common.commands.toy import STUDY, write_bundle

SPEC = {"run_id": "training", "configs": ["train.json"]}
WRONG = [
    ({"setings": {"seed": 1}}, r"table.json: expected title, .*settings, .* found setings"),
    ({"seeds": None}, r"table.json: seeds: expected a list, found None"),
    ({"seeds": []}, r"table.json: expected seeds, found none in it"),
    ({"seeds": ["0"]}, r"table.json: seeds: expected numbers, found 0"),
    ({"folds": [-1]}, r"table.json: folds: expected numbers, found -1"),
    ({"average": "fold"}, r"average: expected folds, found fold"),
    ({"metrics": "MAE"}, r"metrics: expected an object or a list, found 'MAE'"),
    ({"arms": {"good": ["training"]}}, r"arms: good: expected an object in braces"),
    ({"arms": {"good": {"stages": ["training"], "seting": {}}}}, r"arms: good: expected .*settings.* found seting"),
    ({"arms": {"good": {"stages": ["trainig"]}}}, r"arms: good: stages: expected .*training.* found trainig"),
    ({"arms": {"good": {"method": "model"}}}, r"arms: good: expected stages, or of with another arm, found neither"),
    ({"arms": {"good": {"of": "good"}}}, r"arms: good: of: expected .* found good"),
    ({"arms": {"good": {"stages": ["training"], "needs": ["x"]}}}, r"arms: good: needs: expected none.* found x"),
    ({"arms": {"good": {"stages": ["training"], "settings": {"max_epocs": 1}}}}, r"good: settings: .* found max_epocs"),
    ({"settings": {"max_epocs": 1}}, r"table: settings: expected .*max_epochs.* found max_epocs"),
    ({"stages": {"training": {**SPEC, "overides": {}}}}, r"training: expected .*overrides.* found overides"),
    ({"stages": {"training": {"run_id": "training"}}}, r"stages: training: expected configs, found none"),
    ({"stages": {"training": {**SPEC, "configs": ["trian.json"]}}}, r"configs: expected .*train.json.* found trian"),
    ({"stages": {"training": {**SPEC, "run_id": "trainig"}}}, r"run_id and overrides: expected .* found trainig"),
    ({"stages": {"training": {**SPEC, "overrides": {"a#b": 1}}}}, r"run_id and overrides: expected .* found a$"),
    ({"data": {"data": {"cases": 3}}}, r"data: data: expected _target_, or like: \[STUDY, DATA\], found"),
    ({"data": {"data": {"like": "table"}}}, r"data: data: expected _target_, or like"),
    ({"data": {"data": {"like": ["table", "data"]}}}, r"data: data: expected like to end at data .* found a circle"),
    ({"leading": ["MSE"]}, r"leading: expected MAE, found MSE"),
    ({"own": ["best"]}, r"own: expected good, bad, found best"),
    ({"own": "good"}, r"own: expected a list, found 'good'"),
    ({"published": {"others": {"MSE": 1}}}, r"published: others: expected MAE, found MSE"),
]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    (tmp_path / "cohort").mkdir()
    monkeypatch.setattr("common.commands.study_file.installed_bundles_folder", lambda: tmp_path / "bundles")
    return write_bundle(tmp_path / "bundles" / "toy")


def write(toy, changes):
    content = copy.deepcopy(STUDY)
    if "stages" in changes:  # of the three, the one that is changed is left
        content["arms"] = {"good": {"stages": ["training"]}}
    content["published"] = {}
    (toy / "studies" / "table.json").write_text(json.dumps({**content, **changes}))


@pytest.mark.parametrize(("changes", "reason"), WRONG, ids=lambda value: value[:40] if isinstance(value, str) else "")
def test_what_would_be_ignored_or_end_in_a_traceback_is_named(toy, tmp_path, changes, reason):
    write(toy, changes)
    with pytest.raises(StudyError, match=reason):
        StudyPlan("toy", "table", tmp_path / "jobs", tmp_path / "cohort", Limits())
    write(toy, {})
    assert StudyPlan("toy", "table", tmp_path / "jobs", tmp_path / "cohort", Limits()).jobs()


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_a_file_that_is_no_study_is_named(toy, text):
    (toy / "studies" / "table.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StudyError, match=r"table.json: expected (JSON|an object in braces), found"):
        read_study("toy", "table")


def test_every_name_that_a_study_is_said_to_have_may_be_there():
    studies = [
        read_study(bundle.name, path.stem)
        for bundle in sorted(installed_bundles_folder().iterdir())
        for path in sorted(bundle.glob("studies/*.json"))
    ]
    used = {name for content in studies for name in content}
    assert {"data", "inputs", "settings", "folds", "average", "cases", "differences", "published", "held_out"} <= used
    assert {"leading", "own"} <= used


def test_names_that_may_hold_a_comma_are_quoted_one_by_one():
    with pytest.raises(StudyError, match=r'^--arms: expected "LADP", "LADP, decoder only", found x$'):
        check_known("--arms", ["x"], ["LADP", "LADP, decoder only"])
    with pytest.raises(StudyError, match=r"^--folds: expected 0, 1, found 2$"):
        check_known("--folds", [2], [0, 1])
