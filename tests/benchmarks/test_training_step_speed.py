"""Time and peak memory of a training step at the papers' sizes, each in a process of its own."""

import multiprocessing
import resource
import sys
import time

import pytest
from ignite.engine import Events

from tests.bundles.harness import simulate, workflow

# Cases as large as the paper's, and settings beside the defaults, which are the paper's where no weights lie.
STEPS = {
    "cmr_hf_classify": ({"cases": 12, "size": 288, "frames": 40, "slices": 1}, [{"batch_size": 1}]),
    "doppler_keypoint": ({"cases": 24}, [{"batch_size": 8}]),
    "echo_coreecho": ({"cases": 12, "size": 112, "frames": [140, 200], "frame_rate_hz": 50.0}, [{"batch_size": 4}]),
    "elasto_flow": (
        {"cases": 6, "samples": 1920, "lines": 256},
        [{"checkpointing": False, "grid_size": [960, 384]}, {"checkpointing": True, "grid_size": [960, 384]}],
    ),
    "hie_ladp_seg": ({"cases": 10, "size": [256, 256, 20], "spacing_mm": [0.45, 0.45, 6.0]}, [{"batch_size": 16}]),
}


def second_step(bundle, settings):
    """CPU time in seconds of the second step, and what the process held at most, in GiB."""
    flow = workflow(bundle, ["train.json"], "training", pretrained="none", **settings)
    flow.initialize()
    trainer, times = flow.parser.get_parsed_content("train#trainer"), []
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda: times.append(time.process_time()))
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: times.append(time.process_time()))
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), trainer.terminate)
    trainer.run()
    return times[-1] - times[-2], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@pytest.mark.benchmark
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("bundle", STEPS)
def test_training_step_at_the_size_of_the_paper(bundle, benchmark, tmp_path):
    size, ways = STEPS[bundle]
    folders = {"dataset_dir": str(simulate(bundle, tmp_path / "data", **size)), "model_dir": str(tmp_path / "models")}
    for number, settings in enumerate(ways):
        arguments = (bundle, {**folders, "output_dir": str(tmp_path / str(number)), **settings})
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, gibibytes = pool.apply(second_step, arguments)
        benchmark.extra_info[str(settings)] = {"seconds": seconds, "gibibytes": gibibytes}
        assert seconds > 0
    benchmark.pedantic(lambda: None)
    sys.stdout.write(f"\n{benchmark.name}: {benchmark.extra_info}\n")
