"""Which part of an inference at the papers' sizes is the network's: the rest is reading, checks, figures and tables."""

import sys
import time

import pytest
import torch
from monai.bundle import ConfigParser

from tests.benchmarks.clock import seconds
from tests.bundles.harness import root, simulate, workflow

# Cases as large as the paper's, and settings beside the defaults, which are the paper's where no weights lie.
CASES = {
    "cmr_hf_classify": ({"cases": 1, "size": 288, "frames": 40, "slices": 4}, {}),
    "echo_coreecho": ({"cases": 4, "size": 112, "frames": [140, 200], "frame_rate_hz": 50.0}, {}),
    "elasto_flow": ({"cases": 1, "samples": 1920, "lines": 256}, {}),
    "hie_ladp_seg": ({"cases": 1, "size": [256, 256, 20], "spacing_mm": [0.45, 0.45, 6.0]}, {"threshold": 0.99}),
}


@pytest.mark.benchmark
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("bundle", CASES)
def test_most_of_an_inference_is_the_network(bundle, benchmark, tmp_path):
    size, settings = CASES[bundle]
    data = simulate(bundle, tmp_path / "data", **size)
    folders = {"dataset_dir": str(data), "model_dir": str(tmp_path), "output_dir": str(tmp_path / "out")}
    parser = ConfigParser({**ConfigParser.load_config_file(root(bundle) / "configs" / "inference.json"), **folders})
    torch.save(parser.get_parsed_content("network_def").state_dict(), tmp_path / "model.pt")
    flow = workflow(bundle, ["inference.json"], "inferring", "infer", **folders, **settings)
    flow.initialize()
    network, began, spent = flow.parser.get_parsed_content("evaluator").network, [], []
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    network.register_forward_pre_hook(lambda *_: began.append(clock()))
    network.register_forward_hook(lambda *_: spent.append(clock() - began[-1]))
    whole = seconds(flow.run)
    benchmark.extra_info |= {"network_fraction": sum(spent) / whole, "seconds": whole, "forwards": len(spent)}
    benchmark.pedantic(lambda: None)
    sys.stdout.write(f"\n{benchmark.name}: {benchmark.extra_info}\n")
    assert spent
