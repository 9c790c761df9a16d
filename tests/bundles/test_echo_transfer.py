"""The two transfers of echo_coreecho and its second stage, each a fold or an epoch on phantoms."""

import json

import pytest
import torch

from common.echo import simulate_echo
from common.files import read_csv
from tests.bundles.harness import overrides, smallest, workflow

BUNDLE = "echo_coreecho"


@pytest.mark.parametrize(
    ("name", "layout", "metrics"),
    [
        ("camus", "camus", {"correlation, Good and Medium", "MAE (EF points), Good and Medium"}),
        ("hmcqu", "hmc_qu", {"sensitivity", "specificity", "precision", "F1", "accuracy"}),
    ],
)
def test_transfers_score_the_cases_of_a_fold(name, layout, metrics, trained, tmp_path):
    simulate_echo(tmp_path / "data", cases=20, seed=3, layout=layout, size=32)
    settings = overrides(BUNDLE, tmp_path / "data", tmp_path, model_dir=str(trained(BUNDLE) / "models"))
    flow = workflow(BUNDLE, ["train.json", f"transfer_{name}.json"], "transferring", fold=1, **settings)
    flow.initialize()
    flow.run()
    cases = [row["case"] for row in read_csv(tmp_path / "output" / "cases.csv")]
    assert len(cases) == len(set(cases)) == (2 if name == "camus" else 4)
    rows = json.loads((tmp_path / "output" / "evaluation.json").read_text())
    assert metrics <= {row["metric"] for row in rows}
    assert len({row["method"] for row in rows}) == 2
    if name == "hmcqu":
        assert {row["cases"] for row in rows} == {4}


def test_second_stage_changes_the_head_and_not_the_encoder(trained, phantom, tmp_path):
    work = trained(BUNDLE)
    before = torch.load(work / "models" / "model.pt", weights_only=True)
    models = tmp_path / "models"
    models.mkdir()
    torch.save(before, models / "model.pt")
    settings = overrides(BUNDLE, phantom(BUNDLE), tmp_path)
    flow = workflow(BUNDLE, ["train.json", "train_head.json"], "training", **settings)
    flow.initialize()
    flow.run()
    after = torch.load(models / "model.pt", weights_only=True)
    changed = {key for key, value in before.items() if not torch.equal(value, after[key])}
    assert changed and all(key.startswith("regressor.") for key in changed)


def test_l1_only_baseline_is_a_setting(phantom, tmp_path):
    settings = overrides(BUNDLE, phantom(BUNDLE), tmp_path, contrast_weight=0.0, stop_gradient=False, views=1)
    flow = workflow(BUNDLE, ["train.json"], "training", **settings)
    flow.initialize()
    flow.run()
    assert smallest(BUNDLE)["settings"]["max_epochs"] == len(read_csv(tmp_path / "output" / "history.csv"))


def test_trains_on_fewer_videos_than_a_batch(phantom, tmp_path):
    settings = overrides(BUNDLE, phantom(BUNDLE), tmp_path, batch_size=64)
    flow = workflow(BUNDLE, ["train.json"], "training", **settings)
    flow.initialize()
    flow.run()
    assert len(read_csv(tmp_path / "output" / "history.csv")) == 1
