"""Time and peak memory of a training step at the papers' sizes, each in a process of its own."""

import multiprocessing
import resource
import sys
import time

import pytest
from ignite.engine import Events

from tests.bundles.harness import simulate, workflow

# Cases as large as the paper's, and settings beside the defaults, which are the paper's where no weights lie. That of
# elasto_flow is in test_elastography_speed.
STEPS = {
    "cmr_hf_classify": ({"cases": 12, "size": 288, "frames": 40, "slices": 1}, {"batch_size": 1}),
    "doppler_keypoint": ({"cases": 24}, {"batch_size": 8}),
    "echo_coreecho": ({"cases": 12, "size": 112, "frames": [140, 200], "frame_rate_hz": 50.0}, {"batch_size": 4}),
    "hie_ladp_seg": ({"cases": 10, "size": [256, 256, 20], "spacing_mm": [0.45, 0.45, 6.0]}, {"batch_size": 16}),
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
    size, settings = STEPS[bundle]
    folders = {"dataset_dir": str(simulate(bundle, tmp_path / "data", **size)), "model_dir": str(tmp_path / "models")}
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        step = pool.apply(second_step, (bundle, {**folders, "output_dir": str(tmp_path / "output"), **settings}))
    benchmark.extra_info |= {"seconds": step[0], "gibibytes": step[1], **settings}
    benchmark.pedantic(lambda: None)
    sys.stdout.write(f"\n{benchmark.name}: {benchmark.extra_info}\n")
    assert step[0] > 0
