"""Pairs of several arrays train together on the grid that all arrays share, on which no two are of one size."""

import pytest

from common.files import read_csv
from tests.bundles.harness import overrides, simulate, workflow


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pairs_of_several_arrays_train_together(tmp_path):
    data = simulate("elasto_flow", tmp_path / "data", cases=10, arrays="mixed", samples=256, lines=32)
    for config, run_id, more in (
        ("pretrain.json", "pretraining", {"batch_size": 2}),
        ("train.json", "training", {}),
    ):
        settings = overrides("elasto_flow", data, tmp_path, grid_size="array", **more)
        settings["output_dir"] = str(tmp_path / run_id)
        flow = workflow("elasto_flow", [config], run_id, **settings)
        flow.initialize()
        flow.run()
        assert len(read_csv(tmp_path / run_id / "history.csv")) == 1
