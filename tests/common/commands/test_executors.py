"""Studies whose jobs run on a cluster: submitit's local executor, and a real Slurm of one node."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from filelock import FileLock

from common.commands.executors import Cluster
from common.commands.study import study
from common.commands.study_plan import Limits
from common.data.output import LOCK
from common.errors import StudyError
from tests.bundles.harness import REPOSITORY
from tests.common.commands.slurm import missing, run, slurm, wait_for
from tests.common.commands.toy import write_bundle

submitit = pytest.importorskip("submitit", reason="submitit is not installed (the extra `cluster`)")
TABLES = ("table.csv", "table.md", "cases.csv")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort" / "labels.csv").write_text("case,ef\n101,45\n")
    monkeypatch.setattr("common.commands.study_file.installed_bundles_folder", lambda: tmp_path / "bundles")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return write_bundle(tmp_path / "bundles" / "toy")


def end(tmp_path, name, cluster=None, workers=1, **limits):
    """Run the study to `name` and return its status and tables."""
    outcome = study("toy", "table", tmp_path / name, tmp_path / "cohort", Limits(**limits), workers, cluster)
    return outcome.status, [(outcome.folder / table).read_text() for table in TABLES]


def jobs(tmp_path, name):
    with (tmp_path / name / "toy" / "table" / "jobs.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
def test_the_local_executor_gives_the_table_of_this_process_and_the_cause_of_a_failure(toy, tmp_path, capsys):
    limits = {"arms": ["good"], "folds": [0]}
    assert end(tmp_path, "cluster", Cluster("local"), **limits) == end(tmp_path, "here", **limits)
    path = toy / "configs" / "evaluate.json"
    path.write_text(path.read_text().replace('"evaluating": ["', '"evaluating": ["$[][3]", "'))
    status, _ = end(tmp_path, "cluster", Cluster("local"), **limits)
    assert status == 1
    assert "FAILED, list index out of range; see " in capsys.readouterr().out


ALONE = """
import sys
from pathlib import Path
from common.commands import executors, study, study_file, study_plan
folder = Path(sys.argv[1])
study_file.installed_bundles_folder = lambda: folder / "bundles"
limits = study_plan.Limits(arms=["good"], folds=[0], settings={"wait_s": 600})
study.study("toy", "table", folder / "killed", folder / "cohort", limits, 1, executors.Cluster("local"))
"""


@pytest.mark.slow
def test_a_local_job_ends_when_its_study_is_killed_and_the_next_run_finishes_it(toy, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ALONE, str(tmp_path)], cwd=REPOSITORY)
    while not (waiting := list(tmp_path.glob("killed/toy/jobs/training-*/output/waited"))):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with FileLock(waiting[0].parents[1] / LOCK, timeout=30):  # the job held it, for ten minutes more
        pass
    status, _ = end(tmp_path, "killed", Cluster("local"), arms=["good"], folds=[0], settings={"wait_s": 600})
    assert status == 0


def test_an_option_that_submitit_does_not_have_is_refused(toy, tmp_path):
    with pytest.raises(StudyError, match=r"--cluster local: .*gpus_per_nod"):
        end(tmp_path, "cluster", Cluster("local", {"gpus_per_nod": 1}))


def test_what_the_scheduler_says_against_a_job_is_one_sentence(toy, tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("srun", ""), ("sbatch", "echo 'sbatch: error: invalid partition specified: gpus' >&2; exit 1")):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    with pytest.raises(StudyError, match=r"expected the job to be taken, found .*invalid partition specified: gpus"):
        end(tmp_path, "slurm", Cluster("slurm", {"slurm_partition": "gpus"}))


@pytest.mark.skipif(bool(shutil.which("srun")), reason="Slurm is installed")
def test_slurm_is_asked_for_only_where_there_is_one(toy, tmp_path):
    with pytest.raises(StudyError, match=r"--cluster slurm: .*srun"):
        end(tmp_path, "cluster", Cluster("slurm"))


@pytest.fixture(scope="module")
def scheduler():
    if missing():
        pytest.skip(missing())
    with slurm() as settings:
        yield settings


def running(stage):
    """Id of the Slurm job that runs a stage, once it does."""
    lines = wait_for(
        f" {stage} RUNNING",
        lambda: run("squeue", "--noheader", "--format=%i %j %T"),
    ).splitlines()
    return next(line.split()[0] for line in lines if f" {stage} RUNNING" in line)


@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_a_job_that_the_scheduler_kills_fails_and_the_study_goes_on_to_the_same_table(
    toy, tmp_path, scheduler, monkeypatch, capsys
):
    monkeypatch.setattr(submitit.Job, "_results_timeout_s", 1)
    undisturbed = end(tmp_path, "undisturbed")
    limits = {"settings": {"wait_s": 60}}
    cluster = Cluster("slurm", {"slurm_partition": "night", "timeout_min": 10, "cpus_per_task": 1})
    killer = threading.Thread(target=lambda: run("scancel", running("training")))
    killer.start()
    status, _ = end(tmp_path, "killed", cluster, 100, folds=[0], **limits)
    killer.join()
    assert status == 1
    assert "FAILED, the scheduler ended it: CANCELLED" in capsys.readouterr().out
    assert [job["finished"] for job in jobs(tmp_path, "killed")[:2]] == ["True", "False"]
    status, tables = end(tmp_path, "killed", cluster, 100, **limits)
    said = " Limited run, unlike this description: wait_s = 60."
    assert (status, [text.replace(said, "") for text in tables]) == undisturbed


@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_a_job_that_reaches_its_time_limit_is_submitted_again_by_itself(toy, tmp_path, scheduler):
    cluster = Cluster("slurm", {"slurm_partition": "night", "timeout_min": 3, "slurm_signal_delay_s": 100})
    limits = {"arms": ["good"], "folds": [0], "settings": {"wait_s": 300}}
    status, _ = end(tmp_path, "limited", cluster, 100, **limits)
    assert status == 0
    folder = tmp_path / "limited" / "toy" / "jobs" / jobs(tmp_path, "limited")[1]["folder"]
    begun = [line for line in (folder / "log.txt").read_text().splitlines() if line.startswith("$ ")]
    assert len(begun) == 2
    assert json.loads((folder / "models" / "model.pt").read_text())["found"] == ["pretrained.pt"]
