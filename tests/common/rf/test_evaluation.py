import csv
import json

import numpy as np
import pytest
import torch
from ignite.engine import Engine

from common.errors import UnusableFileError
from common.evaluation import Evaluation
from common.rf import (
    ClassicalSettings,
    EvaluatedPairs,
    LiteFlowNet,
    LoadRfPaird,
    RfPairToImaged,
    axial_strain,
    case_figures,
    elastography_table,
    rf_pairs,
    simulate_rf_ultrasound,
)


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rf")
    settings = {"samples": 320, "lines": 40, "content": "inclusion", "strain_percent": (1.0, 1.0), "shift_samples": 0.5}
    simulate_rf_ultrasound(folder, cases=2, noise_db=(40, 40), decorrelation=(0, 0), **settings)
    prepare = RfPairToImaged(grid_size=(None, None))
    return [prepare(LoadRfPaird(needs_answer=True)(item)) for item in rf_pairs(folder)]


def evaluate(folder, items, predictions, **settings):
    pairs = EvaluatedPairs(LiteFlowNet(both_ways=True), window=21, edges=(20, 4), **settings)
    handler = Evaluation(folder, pairs, elastography_table, pairs.draw)

    def give(engine, batch):
        engine.state.batch = [batch[0]]
        return [{"pred": batch[1]}]

    engine = Engine(give)
    handler.attach(engine)
    engine.run(list(zip(items, predictions, strict=True)))
    rows = json.loads((folder / "evaluation.json").read_text())
    return {(row["method"], row["metric"]): row["value"] for row in rows}


def exact(item):
    return torch.cat([item["displacement"], -item["displacement"]])


def test_the_exact_displacement_has_no_error_and_the_exact_ratio(tmp_path, items):
    table = evaluate(tmp_path, items, [exact(item) for item in items])
    assert table["model", "axial RMSE (samples)"] == 0 and table["model", "lateral RMSE (lines)"] == 0
    assert table["model", "SR error against 2/(1+G)"] < 0.05
    assert table["model", "strain bias (%)"] == pytest.approx(0, abs=0.01)
    assert table["model", "fraction of reliable pixels"] == 1


def test_a_constant_error_is_a_bias(tmp_path, items):
    wrong = [exact(item) + torch.tensor([0.25, -0.5, 0, 0])[:, None, None] for item in items]
    table = evaluate(tmp_path, items, wrong)
    assert table["model", "axial bias (samples)"] == pytest.approx(-0.5, abs=1e-4)
    assert table["model", "lateral bias (lines)"] == pytest.approx(0.25, abs=1e-4)
    assert table["model", "axial SD (samples)"] == pytest.approx(0, abs=1e-4)


def test_the_reference_is_compared_on_the_grid_of_the_frames(tmp_path, items):
    on_the_networks_grid = [RfPairToImaged(grid_size=(None, 3 * item["pre"].shape[-1]))(item) for item in items]
    table = evaluate(tmp_path, on_the_networks_grid, [exact(item) for item in items])
    assert table["model", "axial RMSE (samples)"] < 0.02 and table["model", "lateral RMSE (lines)"] < 0.02


def test_figures_refuse_a_reference_of_another_size(items):
    item, displacement = items[0], exact(items[0])
    wide = {**item, "displacement": torch.cat([item["displacement"]] * 2, dim=2)}
    with pytest.raises(ValueError, match="one size"):
        case_figures(displacement, axial_strain(displacement, 21), wide, torch.zeros(6, *displacement.shape[1:]))


def test_baselines_and_the_weights_before_stand_beside_the_model(tmp_path, items):
    torch.manual_seed(0)
    torch.save(LiteFlowNet(both_ways=True).state_dict(), tmp_path / "before.pt")
    settings = {"classical": ClassicalSettings(search_samples=8), "before": tmp_path / "before.pt"}
    table = evaluate(tmp_path, items, [exact(item) for item in items], **settings)
    assert {method for method, _ in table} == {
        "NCC",
        "GLUE",
        "GLUE, published",
        "before fine-tuning",
        "model",
        "model and GLUE",
    }
    error = {method: table[method, "axial RMSE (samples)"] for method, _ in table}
    assert error["GLUE, published"] < 0.2 < error["before fine-tuning"]
    with (tmp_path / "pairs.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 2 * 6
    assert (tmp_path / "strain.png").stat().st_size > 10_000 and (tmp_path / "profile.png").is_file()


def test_windows_give_contrast_where_no_truth_is_known(tmp_path, items):
    windows = {items[0]["case"]: {"target": [100, 140, 15, 25], "background": [20, 60, 5, 35]}}
    (tmp_path / "windows.json").write_text(json.dumps(windows))
    plain = [{k: v for k, v in item.items() if k not in ("displacement", "strain", "inclusion")} for item in items]
    table = evaluate(tmp_path, plain, [exact(item) for item in items], windows=tmp_path / "windows.json")
    strain = np.gradient(items[0]["displacement"][1].numpy(), axis=0)
    expected = strain[100:140, 15:25].mean() / strain[20:60, 5:35].mean()
    assert table["model", "SR"] == pytest.approx(expected, rel=0.05)
    assert ("model", "SNRe") in table and ("model", "axial RMSE (samples)") not in table


def test_windows_that_are_no_json_are_named(tmp_path):
    with pytest.raises(UnusableFileError, match=r"none\.json"):
        EvaluatedPairs(LiteFlowNet(), windows=tmp_path / "none.json")
