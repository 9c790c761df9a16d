"""The studies of every bundle hang together: what is named is there, cohorts that must differ do."""

import json
import re
import shlex

import pytest
from monai.bundle import ConfigParser

from common.__main__ import _parser
from common.commands.simulate import pairs
from common.commands.study_file import read_study, study_names
from common.commands.study_plan import Limits, StudyPlan
from tests.bundles.harness import BUNDLES, REPOSITORY, root

TABLES = {
    "cmr_hf_classify": {"table1", "table2", "table3", "real_claim"},
    "doppler_keypoint": {"table1", "cart_claim", "cart_backbones"},
    "echo_coreecho": {"table1", "table2", "table3", "table4", "table5"},
    "elasto_flow": {"figure5"},
    "hie_ladp_seg": {"table1", "table2"},
}
STUDIES = [(bundle, name) for bundle in BUNDLES for name in study_names(bundle)]
EACH = {"claim", "demo", "weights"}
each_study = pytest.mark.parametrize(("bundle", "name"), STUDIES)


def config_of(bundle, stage):
    parser = ConfigParser()
    parser.read_config([root(bundle) / "configs" / config for config in stage["configs"]])
    return parser


def test_every_bundle_has_what_makes_its_weights_tests_its_claim_and_the_tables_of_its_paper():
    assert {bundle: set(study_names(bundle)) for bundle in BUNDLES} == {
        bundle: TABLES[bundle] | EACH for bundle in BUNDLES
    }


@each_study
def test_a_study_names_stages_settings_and_inputs_that_are_there(bundle, name):
    study = read_study(bundle, name)
    assert {stage for arm in study["arms"].values() for stage in arm["stages"]} == study["stages"].keys()
    for stage in study["stages"].values():
        config = config_of(bundle, stage)
        assert stage["run_id"] in config
        assert all(key in config for key in stage.get("overrides", {}))
    for arm in study["arms"].values():
        known = {key for stage in arm["stages"] for key in config_of(bundle, study["stages"][stage]).get()}
        assert {key.split("#")[0] for key in arm.get("settings", {})} <= known
    marks = set(re.findall(r"\{(\w+)\}", json.dumps([study[key] for key in ("stages", "arms")])))
    assert marks <= study.get("data", {}).keys() | study.get("inputs", {}).keys() | {"before"}


@each_study
def test_an_arm_needs_every_input_without_default_that_it_uses(bundle, name):
    study = read_study(bundle, name)
    without = {key for key, spec in study.get("inputs", {}).items() if "default" not in spec}
    for arm in study["arms"].values():
        used = set(re.findall(r"\{(\w+)\}", json.dumps([arm, *(study["stages"][stage] for stage in arm["stages"])])))
        assert used & without <= set(arm.get("needs", []))


@each_study
def test_published_figures_stand_in_columns_of_the_table(bundle, name):
    study = read_study(bundle, name)
    for row in study.get("published", {}).values():
        assert row.keys() <= set(study["metrics"])


def test_commands_of_a_first_try_name_arms_folds_and_settings_of_the_studies(tmp_path):
    text = (REPOSITORY / "common" / "docs" / "running.md").read_text()
    lines = re.findall(r"^python -m common study (\w+ \w+ --dataset_dir D/.*)$", text, re.MULTILINE)
    assert sorted(line.split()[0] for line in lines) == sorted(BUNDLES)
    for line in lines:
        options, further = _parser().parse_known_args(["study", *shlex.split(line)])
        limits = Limits(options.arms, options.folds, options.seeds, options.max_epochs, pairs(further))
        assert StudyPlan(options.bundles[0], options.name, tmp_path, tmp_path, limits).runs


def test_figures_of_the_papers_stand_in_their_place():
    def published(bundle, name, row, heading):
        return read_study(bundle, name)["published"][row][heading]

    # Read from the tables once more, one of each.
    assert published("cmr_hf_classify", "table1", "SSLHF", "patient ACC") == 0.8208
    assert published("cmr_hf_classify", "table2", "Remove local shuffling", "patch ACC") == 0.7518
    assert published("cmr_hf_classify", "table3", "3D Densenet121", "patient AUC") == 0.7822
    assert published("hie_ladp_seg", "table1", "CarveMix", "Dice 1-5%") == 0.6951
    assert published("hie_ladp_seg", "table2", "+LADP", "Dice <1%") == 0.478
    assert published("echo_coreecho", "table1", "EchoCoTr, 3 clips", "RMSE") == 5.30
    assert published("echo_coreecho", "table2", "L1 + RnC + K400 + LP", "R2") == 0.8159
    assert published("echo_coreecho", "table3", "two clips", "R2") == 0.6824
    assert published("echo_coreecho", "table4", "fine-tuning, EchoCoTr", "MAE, P") == 7.49
    assert published("echo_coreecho", "table5", "probing, CoReEcho", "F1") == 0.8955


def test_one_figure_is_published_the_same_in_study_and_evaluation():
    evaluated = json.loads((root("doppler_keypoint") / "configs" / "evaluate.json").read_text())["published"]
    assert read_study("doppler_keypoint", "table1")["published"] == evaluated
    rows = read_study("cmr_hf_classify", "table3")["published"]
    assert rows["SSLHF"] == read_study("cmr_hf_classify", "table2")["published"]["SSLHF"]


@pytest.mark.parametrize("bundle", BUNDLES)
def test_arms_of_a_claim_end_with_one_evaluation_on_a_cohort_of_its_own(bundle):
    study = read_study(bundle, "claim")
    seeds = {name: call["seed"] for name, call in study["data"].items()}
    assert len(set(seeds.values())) == len(seeds)
    assert len(study["arms"]) >= 2 and len(study["seeds"]) >= 3 and study["differences"]
    for arm in study["arms"].values():
        *before, last = [study["stages"][name] for name in arm["stages"]]
        assert last["run_id"] == "evaluating"
        trained_on = {step["overrides"].get("dataset_dir", "{data}") for step in before}
        held_out = {value for value in last["overrides"].values() if value in {f"{{{name}}}" for name in seeds}}
        assert len(held_out) == 1 and not held_out & trained_on


@pytest.mark.parametrize("bundle", BUNDLES)
def test_figures_of_the_metadata_are_rows_and_columns_of_the_table(bundle):
    study = read_study(bundle, "weights")
    assert {"pretraining", "training", "evaluation"} <= set(next(iter(study["arms"].values()))["stages"])
    for arm, heading in study["held_out"]["figures"].values():
        assert arm in study["arms"] and heading in study["metrics"]


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_demo_begins_with_an_inference_by_the_shipped_weights_on_cases_of_their_kind(bundle):
    study = read_study(bundle, "demo")
    first = study["stages"][next(iter(study["arms"].values()))["stages"][0]]
    assert first["shipped"] and first["run_id"] == "inferring"
    held_out = read_study(bundle, "weights")["data"]["held_out"]
    cases = study["data"][first["overrides"]["dataset_dir"].strip("{}")]
    assert {**cases, "cases": held_out["cases"], "seed": held_out["seed"]} == held_out


@pytest.mark.parametrize("bundle", BUNDLES)
def test_an_inference_keeps_its_own_method_and_an_evaluation_is_named_model(bundle, tmp_path):
    """The method of elasto_flow's inference is a setting of another kind."""
    jobs = StudyPlan(bundle, "demo", tmp_path, None, Limits()).jobs()
    methods = {
        run_id: {job.overrides.get("method") for job in jobs if job.run_id == run_id}
        for run_id in ("inferring", "evaluating")
    }
    assert methods == {"inferring": {None}, "evaluating": {"model"}}
