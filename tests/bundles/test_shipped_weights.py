"""Weights that ship: small, plain, in half precision, described by their metadata, their figures found again."""

import json
import math

import pytest
import torch

from common.commands.jobs import call_phantom
from common.commands.shipped_weights import weights_sha256
from common.commands.study_file import read_study
from common.evaluation.table import read_evaluation
from tests.bundles.attacks import infer
from tests.bundles.harness import BUNDLES, root, workflow

MEGABYTE = 1e6
MODEL = "models/model.pt"
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


def interval_of_part(figures, name, cases):
    """Where a figure of `cases` cases of the cohort is expected, from the figure on all of it.

    Each arm of the cohort's 95 % interval is lengthened by the square root of the ratio of case counts, as the standard
    error of a mean grows. The part is one of the cohort itself, so its figure is in there more often than 95 times in
    100.
    """
    value, low, high = (figures[f"{name}{end}"] for end in ("", "_low", "_high"))
    longer = math.sqrt(figures[f"{name}_cases"] / cases)
    return value - (value - low) * longer, value + (high - value) * longer


def test_the_interval_of_a_quarter_of_the_cases_is_twice_as_wide_on_each_side():
    figures = {"dice": 0.6, "dice_low": 0.5, "dice_high": 0.65, "dice_cases": 80}
    assert interval_of_part(figures, "dice", 20) == pytest.approx((0.4, 0.7))
    assert interval_of_part(figures, "dice", 80) == pytest.approx((0.5, 0.65))


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
    names = read_study(bundle, "weights")["held_out"]["figures"]
    assert set(figures) == {f"{name}{end}" for name in names for end in ("", "_low", "_high", "_cases")}


@pytest.mark.parametrize("bundle", BUNDLES)
def test_figures_stand_only_beside_weights(bundle):
    assert bool(metadata(bundle)["eval_metrics"]) == (bundle in WITH_WEIGHTS)


@pytest.mark.parametrize("bundle", WITH_PLAN)
def test_the_held_out_cohort_has_a_seed_of_its_own(bundle):
    data, first_cases = (read_study(bundle, name)["data"] for name in ("weights", "demo"))
    seeds = [call["seed"] for call in data.values()]
    assert seeds.count(data["held_out"]["seed"]) == 1
    assert first_cases["first_cases"]["seed"] not in seeds
    assert read_study(bundle, "weights")["stages"]["evaluation"]["overrides"]["dataset_dir"] == "{held_out}"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bundle", WITH_WEIGHTS)
def test_a_part_of_the_held_out_cohort_written_anew_gives_the_figures_of_the_metadata(bundle, tmp_path):
    study = read_study(bundle, "weights")
    data, held_out = tmp_path / "held_out", study["held_out"]
    call_phantom({**study["data"]["held_out"], **held_out["part"], "directory": str(data)})
    stage = study["stages"]["evaluation"]
    settings = {**study["settings"], **stage["overrides"], "dataset_dir": str(data), "method": "model"}
    settings |= {"model_dir": str(root(bundle) / "models"), "output_dir": str(tmp_path / "output")}
    flow = workflow(bundle, stage["configs"], stage["run_id"], **settings)
    flow.initialize()
    flow.run()
    found, stated = read_evaluation(tmp_path / "output"), metadata(bundle)["eval_metrics"]
    for name, key in held_out["figures"].items():
        figure = found[tuple(key)]
        low, high = interval_of_part(stated, name, figure["cases"])
        assert low - 1e-6 <= figure["value"] <= high + 1e-6, f"{name}: {figure}, stated {stated[name]}"


@pytest.mark.slow
@pytest.mark.parametrize("bundle", WITH_WEIGHTS)
def test_held_out_cases_look_like_the_training_data(bundle, tmp_path):
    call_phantom({**read_study(bundle, "weights")["data"]["held_out"], "cases": 8, "directory": str(tmp_path / "data")})
    rows, failed = infer(bundle, tmp_path / "data", tmp_path / "output")
    assert len(rows) >= 8 and not failed
    # One case in 1,000 is expected above 99.9 %.
    assert [name for name, row in rows.items() if row["unlike_training"] == "True"] == []
    assert min(float(row["familiarity"]) for row in rows.values()) < 90
