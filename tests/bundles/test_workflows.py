"""Real processes: the command line, a kill in the middle of an epoch, two processes that train together."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from common.files import read_csv
from tests.bundles.harness import BUNDLES, command, environment, overrides, root, run_command, same_but_for_rounding

TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "monai.bundle")
FIRST = "cmr_hf_classify"
first_by_default = pytest.mark.parametrize(
    "bundle", [pytest.param(name, marks=() if name == FIRST else pytest.mark.slow) for name in BUNDLES]
)


def weights(path):
    return torch.load(path, weights_only=True)


def assert_same_weights(first, second):
    assert first.keys() == second.keys()
    for key, value in first.items():
        torch.testing.assert_close(value, second[key], rtol=0, atol=0)


@first_by_default
def test_a_killed_training_resumes_to_the_same_weights(bundle, phantom, tmp_path):
    settings = {"max_epochs": 4, "patience": 0}
    whole = overrides(bundle, phantom(bundle), tmp_path / "whole", **settings)
    run_command(command(bundle, "training", ["train.json"], whole), tmp_path)
    cut = overrides(bundle, phantom(bundle), tmp_path / "cut", **settings)
    _run_and_kill_in_second_epoch(bundle, cut, tmp_path)
    resumed = run_command(command(bundle, "training", ["train.json"], {**cut, "resume": True}), tmp_path)
    assert "resumed from" in resumed.stdout + resumed.stderr
    assert_same_weights(weights(f"{whole['model_dir']}/model.pt"), weights(f"{cut['model_dir']}/model.pt"))
    assert _losses(whole) == _losses(cut)


@first_by_default
def test_two_processes_train_together(bundle, phantom, tmp_path):
    settings = overrides(bundle, phantom(bundle), tmp_path)
    run_command(command(bundle, "training", ["train.json", "multi_gpu_train.json"], settings, TWO), tmp_path)
    assert weights(tmp_path / "models" / "model.pt")
    assert len(_losses(settings)) == settings["max_epochs"], "one process writes the history"


ONE_OF_ONE = """
import glob, os, sys, time
from pathlib import Path
from tests.bundles.harness import overrides, workflow
bundle, data, work = sys.argv[1:]
os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
flow = workflow(bundle, ["train.json", "multi_gpu_train.json"], "training", **overrides(bundle, data, Path(work)))
def threads():
    return [name for name in (open(path).read() for path in glob.glob("/proc/self/task/*/comm")) if "gloo" in name]
flow.initialize()
deadline = time.monotonic() + 60
while not threads():  # a thread gives itself its name once it runs
    assert time.monotonic() < deadline
    time.sleep(0.01)
flow.run()
flow.finalize()
assert not threads(), threads()
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="reads the names of threads where Linux keeps them")
@first_by_default
def test_a_process_that_leaves_the_others_has_none_of_their_threads_left(bundle, phantom, tmp_path):
    # One that still ran while the interpreter ended aborted the process in one of a hundred trainings.
    run_command([sys.executable, "-c", ONE_OF_ONE, bundle, str(phantom(bundle)), str(tmp_path)], tmp_path)


def test_runs_from_the_repository_root_by_the_documented_words(phantom, tmp_path):
    settings = overrides(FIRST, phantom(FIRST), tmp_path)
    words = command(FIRST, "training", ["train.json"], settings)
    place = words.index("--bundle_root")
    run_command(words[:place] + words[place + 2 :], root(FIRST).parent.parent)
    assert (tmp_path / "models" / "model.pt").is_file()


def _losses(settings):
    with open(f"{settings['output_dir']}/history.csv", newline="") as stream:
        return [row["loss"] for row in csv.DictReader(stream)]


def _run_and_kill_in_second_epoch(bundle, settings, folder):
    words = command(bundle, "training", ["train.json"], {**settings, "max_epochs": 400})
    with open(folder / "killed.log", "w") as log:
        process = subprocess.Popen(words, cwd=folder, env=environment(), stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while not os.path.exists(f"{settings['output_dir']}/resume.pt"):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "killed.log").read_text()[-3000:]
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bundle", ["cmr_hf_classify", "hie_ladp_seg"])
def test_evaluation_in_two_processes_gives_the_tables_of_one(bundle, trained, phantom, tmp_path):
    models, tables = trained(bundle) / "models", {}
    for name, overlay, launcher in (("one", [], ("-m", "monai.bundle")), ("two", ["multi_gpu_train.json"], TWO)):
        settings = overrides(bundle, phantom(bundle), tmp_path / name, model_dir=str(models), split="all")
        configs = ["train.json", *overlay, "evaluate.json"]
        run_command(command(bundle, "evaluating", configs, settings, launcher), tmp_path)
        tables[name] = [read_csv(tmp_path / name / "output" / f"{table}.csv") for table in ("evaluation", "cases")]
    # A process has cases in other batches than one alone, which are summed otherwise.
    assert same_but_for_rounding(tables["one"], tables["two"])
