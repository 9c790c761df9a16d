"""Training steps with the deterministic preprocessing cached, against preparing every slice again."""

import time

import pytest
from monai.utils import set_determinism

from common.cine import simulate_cine_mr
from tests.bundles.harness import workflow

pytestmark = pytest.mark.benchmark
SETTINGS = {"patch_size": [96, 96], "frames": 16, "features": [8, 8, 8, 8, 8], "batch_size": 4, "max_epochs": 2}


def seconds_of_second_epoch(data, work, cache):
    settings = {"dataset_dir": str(data), "model_dir": str(work / "models"), "output_dir": str(work / cache)}
    flow = workflow("cmr_hf_classify", ["train.json"], "training", **SETTINGS, **settings, cache=cache)
    flow.initialize()
    began = time.perf_counter()
    for _ in range(2):
        began = time.perf_counter()
        for batch in flow.trainer.data_loader:
            loss = flow.parser.get_parsed_content("loss")(flow.network_def(batch["image"]), batch["label"])
            loss.backward()
    return time.perf_counter() - began


def test_cached_preprocessing_against_none(benchmark, tmp_path):
    data = tmp_path / "data"
    simulate_cine_mr(data, cases=12, size=128, frames=24, slices=6, layout="dicom", reduced_fraction=0.5)
    set_determinism(0)
    plain = seconds_of_second_epoch(data, tmp_path, "none")
    disk = seconds_of_second_epoch(data, tmp_path, "disk")
    memory = benchmark.pedantic(seconds_of_second_epoch, (data, tmp_path, "memory"), rounds=1)
    benchmark.extra_info["times faster in memory"] = round(plain / memory, 2)
    benchmark.extra_info["times faster from disk"] = round(plain / disk, 2)
    print({**benchmark.extra_info})  # noqa: T201
