"""Weights that ship: small, plain, in half precision, described by their metadata, their figures found again."""

import json

import pytest
import torch

from common.commands.plan import MODEL, call_phantom, filled, read_plan
from common.commands.shipped_weights import evaluation_figures, interval_of_part, weights_sha256
from tests.bundles.harness import BUNDLES, root, workflow

MEGABYTE = 1e6
WITH_WEIGHTS = [bundle for bundle in BUNDLES if (root(bundle) / MODEL).is_file()]
WITH_PLAN = [bundle for bundle in BUNDLES if (root(bundle) / "studies" / "weights.json").is_file()]
FILES = [
    path
    for bundle in BUNDLES
    for path in sorted((root(bundle) / "models").glob("*.pt"))
    if not path.name.endswith(".familiarity.pt")
]
each_file = pytest.mark.parametrize("path", FILES, ids=[f"{p.parent.parent.name}-{p.stem}" for p in FILES])


def metadata(bundle):
    return json.loads((root(bundle) / "configs" / "metadata.json").read_text())


@each_file
def test_a_weights_file_is_a_plain_state_dict_in_half_precision_of_at_most_45_megabytes(path):
    state = torch.load(path, map_location="cpu", weights_only=True)
    assert state
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float16}
    assert all(value.isfinite().all() for value in state.values())
    assert path.stat().st_size <= 45 * MEGABYTE


def test_all_weights_together_have_at_most_150_megabytes():
    assert sum(path.stat().st_size for path in FILES) <= 150 * MEGABYTE


@pytest.mark.parametrize("bundle", WITH_WEIGHTS)
def test_metadata_has_the_checksums_and_held_out_figures_of_the_weights(bundle):
    described = metadata(bundle)
    assert described["weights_sha256"] == weights_sha256(root(bundle) / "models")
    figures = described["eval_metrics"]
    assert figures and all(isinstance(value, (int, float)) for value in figures.values())
    names = read_plan(bundle, "weights")["held_out"]["figures"]
    assert set(figures) == {f"{name}{end}" for name in names for end in ("", "_low", "_high", "_cases")}


@pytest.mark.parametrize("bundle", BUNDLES)
def test_figures_stand_only_beside_weights(bundle):
    assert bool(metadata(bundle)["eval_metrics"]) == (bundle in WITH_WEIGHTS)


@pytest.mark.parametrize("bundle", WITH_PLAN)
def test_the_held_out_cohort_has_a_seed_of_its_own(bundle):
    plan = read_plan(bundle, "weights")
    call = plan["held_out"]["simulate"]
    assert call["seed"] not in {other["seed"] for other in plan["simulate"]}
    first_look = read_plan(bundle, "demo")["first_look"]["simulate"]
    assert first_look["seed"] not in {call["seed"], *(other["seed"] for other in plan["simulate"])}
    evaluation = plan["held_out"]["evaluation"]
    assert evaluation["overrides"]["dataset_dir"] == call["directory"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bundle", WITH_WEIGHTS)
def test_a_part_of_the_held_out_cohort_written_anew_gives_the_figures_of_the_metadata(bundle, tmp_path):
    plan = read_plan(bundle, "weights")
    held_out = filled(plan["held_out"], tmp_path)
    call_phantom({**held_out["simulate"], **held_out["part"]})
    step = held_out["evaluation"]
    settings = {**filled(plan.get("settings", {}), tmp_path), **step["overrides"]}
    settings |= {"model_dir": str(root(bundle) / "models"), "output_dir": str(tmp_path / "output")}
    flow = workflow(bundle, step["configs"], step["run_id"], **settings)
    flow.initialize()
    flow.run()
    found = evaluation_figures(tmp_path / "output", held_out["figures"])
    stated = metadata(bundle)["eval_metrics"]
    for name in held_out["figures"]:
        low, high = interval_of_part(stated, name, found[f"{name}_cases"])
        assert low - 1e-6 <= found[name] <= high + 1e-6, f"{name}: {found[name]}, stated {stated[name]}"
