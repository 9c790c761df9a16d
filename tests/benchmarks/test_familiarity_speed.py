"""What the familiarity costs an inference with the shipped weights, in parts of its time without."""

import sys

import pytest

from tests.benchmarks.clock import side_by_side
from tests.bundles.harness import BUNDLES, root, simulate, workflow

# Cases of the size that the shipped weights were trained on.
SIZES = {
    "cmr_hf_classify": {"cases": 4, "size": 128, "frames": 16, "slices": 6, "field_of_view_mm": 192.0},
    "doppler_keypoint": {"cases": 8},
    "echo_coreecho": {"cases": 8, "size": 48, "frames": [30, 70], "frame_rate_hz": 25.0},
    "elasto_flow": {"cases": 2, "samples": 1024, "lines": 64},
    "hie_ladp_seg": {"cases": 2, "size": [128, 128, 20], "spacing_mm": [0.94, 0.94, 4.0]},
}


@pytest.mark.benchmark
@pytest.mark.parametrize("bundle", BUNDLES)
def test_inference_with_and_without(bundle, benchmark, tmp_path):
    data = simulate(bundle, tmp_path / "data", seed=900, **SIZES[bundle])

    def inference(**settings):
        flow = workflow(
            bundle,
            ["inference.json"],
            "inferring",
            "infer",
            dataset_dir=str(data),
            output_dir=str(tmp_path / "out"),
            model_dir=str(root(bundle) / "models"),
            **settings,
        )
        flow.initialize()
        return flow.run

    without, with_it = (lambda: inference(**{"results#familiarity": None})()), (lambda: inference()())
    measured = side_by_side(without, with_it, rounds=5)
    benchmark.pedantic(with_it, rounds=1)
    benchmark.extra_info |= {"cost": 1 / measured["times_faster"] - 1, **measured}
    sys.stdout.write(f"\n{benchmark.name}: {benchmark.extra_info}\n")
