"""The plans of every bundle hang together: names that are used are there, cohorts that must differ do."""

import pytest

from common.commands.plan import read_plan
from tests.bundles.harness import BUNDLES, root


def with_plan(name):
    return [bundle for bundle in BUNDLES if (root(bundle) / "studies" / f"{name}.json").is_file()]


def test_every_bundle_has_the_commands_that_make_its_weights_and_test_its_claim():
    assert with_plan("weights") == with_plan("ablation") == BUNDLES


@pytest.mark.parametrize("bundle", BUNDLES)
def test_arms_of_an_ablation_end_with_one_evaluation_on_a_cohort_of_its_own(bundle):
    plan = read_plan(bundle, "ablation")
    seeds = {call["directory"]: call["seed"] for call in plan["simulate"]}
    assert len(set(seeds.values())) == len(seeds)
    assert len(plan["arms"]) >= 2 and len(plan["seeds"]) >= 3
    for names in plan["arms"].values():
        *before, last = [plan["steps"][name] for name in names]
        assert last["run_id"] == "evaluating"
        trained_on = {step["overrides"].get("dataset_dir", "{work}/data") for step in before}
        held_out = {value for value in last["overrides"].values() if value in seeds}
        assert len(held_out) == 1 and not held_out & trained_on


@pytest.mark.parametrize("bundle", BUNDLES)
def test_models_beside_the_shipped_one_take_steps_of_its_plan(bundle):
    plan = read_plan(bundle, "weights")
    names = {step["name"] for step in plan["steps"]}
    assert {"pretraining", "training"} <= names
    for other in plan.get("comparisons", {}).values():
        assert set(other["steps"]) <= names
        assert other["steps"] or other["evaluation"], "the shipped model beside itself"
