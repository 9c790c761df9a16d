"""Every study from the cases of a public layout to its table, at the smallest size; and studies that are killed."""

import json
import signal
import subprocess
import sys
import time

import pytest

from common.__main__ import main
from common.commands.study import study
from common.commands.study_file import read_study
from common.commands.study_plan import Limits
from common.files import as_given, read_csv
from tests.bundles.harness import BUNDLES, REPOSITORY, environment, root, simulate, smallest

SLOW = [pytest.mark.slow, pytest.mark.timeout(1500)]
# Study -> cases beside the smallest phantom's, limits beside the smallest settings.
STUDIES = {
    ("cmr_hf_classify", "table1"): ({}, ["--folds", "0", "1"]),
    ("cmr_hf_classify", "table2"): ({}, ["--folds", "0"]),
    ("cmr_hf_classify", "table3"): ({"cases": 6}, ["--folds", "0", "--frames", "32"]),  # DenseNet121 halves five times
    ("hie_ladp_seg", "table1"): ({"cases": 6}, ["--folds", "0", "1"]),
    ("hie_ladp_seg", "table2"): ({"cases": 10}, []),
    ("doppler_keypoint", "table1"): ({}, ["--learning_rate", "0.00001"]),  # ResNet50 diverges on so few screens
    ("echo_coreecho", "table1"): ({}, []),
    ("echo_coreecho", "table2"): ({}, ["--seeds", "0"]),
    ("echo_coreecho", "table3"): ({}, ["--seeds", "0", "1"]),
    ("echo_coreecho", "table4"): ({"layout": "camus", "cases": 20}, ["--folds", "0", "1"]),
    ("echo_coreecho", "table5"): ({"layout": "hmc_qu", "cases": 20}, ["--folds", "0", "1"]),
    ("elasto_flow", "figure5"): ({}, []),
}
OWN = {"folds", "crop_size"}  # smallest settings that a table has its own of, or that not every study has
DEFAULT_RUN = ("hie_ladp_seg", "table1")


def words(bundle, name, data, output, limits, drop=()):
    """The command line of a study with the smallest settings, as a person would type them."""
    typed = []
    for key, value in smallest(bundle)["settings"].items():
        if key not in OWN | set(drop):
            typed += [f"--{key}", value if isinstance(value, str) else repr(value)]
    return ["study", bundle, name, "--dataset_dir", str(data), "--output", str(output), *typed, *limits]


def rows(path):
    return [as_given(row) for row in read_csv(path)]


def inputs(bundle, name, trained, tmp_path):
    """Every input but elasto_flow's start: weights of the smallest network, windows."""
    windows = tmp_path / "windows.json"
    windows.write_text(json.dumps({"target": [80, 110, 12, 20], "background": [115, 145, 12, 20]}))
    models = trained(bundle) / "models"
    files = dict.fromkeys(("kinetics", "coreecho", "echocotr"), models / "model.pt")
    files |= {"encoder": models / "pretrained.pt", "windows": windows}
    known = read_study(bundle, name).get("inputs", {})
    return [word for key in known if key in files for word in ("--input", f"{key}={files[key]}")]


@pytest.mark.parametrize(
    ("bundle", "name"), [pytest.param(*key, marks=[] if key == DEFAULT_RUN else SLOW) for key in STUDIES]
)
def test_a_table_of_the_paper_on_a_cohort_in_a_public_layout(bundle, name, trained, tmp_path, capsys):
    phantom, limits = STUDIES[bundle, name]
    data = simulate(bundle, tmp_path / "data", **phantom)
    drop = {"backbone"} if bundle == "doppler_keypoint" else {"features"} if name == "table3" else set()
    limits = [*limits, *inputs(bundle, name, trained, tmp_path)]
    status = main(words(bundle, name, data, tmp_path / "out", limits, drop))
    assert status == 0, capsys.readouterr().out
    study, folder = read_study(bundle, name), tmp_path / "out" / bundle / name
    table = {row["arm"]: row for row in rows(folder / "table.csv")}
    assert table.keys() >= study["arms"].keys()
    headings = study["metrics"]
    for arm in study["arms"]:
        assert any(table[arm][heading] != "" for heading in headings), arm
        for heading, figure in study.get("published", {}).get(arm, {}).items():
            assert float(table[arm][f"{heading} published"]) == figure
    assert {row["arm"] for row in rows(folder / "cases.csv")} <= study["arms"].keys()
    assert all(job["finished"] == "True" for job in rows(folder / "jobs.csv"))


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", ["demo", "weights"])
@pytest.mark.parametrize("bundle", BUNDLES)
def test_demo_and_weights_end_with_their_table_and_report(bundle, name, monkeypatch, tmp_path, capsys):
    content, small = read_study(bundle, name), smallest(bundle)
    if "inputs" in content:
        pytest.skip("needs real images")
    for call in content["data"].values():
        call |= {**small["simulate"], "cases": 40 if name == "weights" else 12}  # 25 at least describe a training
    for arm in content["arms"].values():  # a network of one epoch has nothing to calibrate
        arm["stages"] = [stage for stage in arm["stages"] if stage != "calibrating"]
    monkeypatch.setattr("common.commands.study_plan.read_study", lambda *_: content)
    configs = {config for stage in content["stages"].values() for config in stage["configs"]}
    names = {key for config in configs for key in json.loads((root(bundle) / "configs" / config).read_text())}
    settings = {key: value for key, value in small["settings"].items() if key.split("#")[0] in names}
    outcome = study(bundle, name, tmp_path, limits=Limits(max_epochs=1, settings=settings))
    shown = capsys.readouterr().out
    assert outcome.status == 0, shown
    evaluated = {arm for arm, spec in content["arms"].items() if "evaluation" in " ".join(spec["stages"])}
    assert outcome.rows.keys() == evaluated
    assert all(any(row.values()) for row in outcome.rows.values()), outcome.rows
    assert shown.count("\n[") == len(outcome.plan.jobs()), "one line a step"
    assert "data:image/png" in (outcome.folder / "report.html").read_text()


CLAIM = ["-m", "common", "study", "hie_ladp_seg", "claim", "--arms", "LADP", "none", "--seeds", "0", "1"]


def finished(output):
    """Record of each finished job -> when it was written."""
    return {path: path.stat().st_mtime_ns for path in output.glob("*/jobs/*/job.json")}


def run_claim(output, workers, jobs=None):
    """Run the claim to its end, or kill it once so many jobs have finished and the next one is under way."""
    words = [sys.executable, *CLAIM, "--max_epochs", "3", "--output", str(output), "--workers", str(workers)]
    process = subprocess.Popen(words, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True)
    if jobs is None:
        shown, _ = process.communicate()
        assert process.returncode == 0, shown
        return shown
    while len(finished(output)) < jobs:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return ""


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_study_that_is_killed_ends_with_the_same_table_and_repeats_no_finished_job(tmp_path):
    shown = run_claim(tmp_path / "undisturbed", 1)
    assert "12 jobs, 0 done already" in shown
    killed = tmp_path / "killed"
    records = {}
    for workers, jobs in ((1, 1), (2, 3), (1, 5), (2, 7), (2, 9)):
        run_claim(killed, workers, jobs)
        time.sleep(1.5)  # workers see within half a second that they are alone
        now = finished(killed)
        assert {path: now[path] for path in records} == records
        assert jobs <= len(now) < 12
        time.sleep(1)
        assert finished(killed) == now, "a worker outlived the study"
        records = now
    run_claim(killed, 2)
    now = finished(killed)
    assert len(now) == 12 and {path: now[path] for path in records} == records
    for name in ("table.csv", "table.md", "cases.csv"):
        tables = [folder / "hie_ladp_seg" / "claim" / name for folder in (killed, tmp_path / "undisturbed")]
        assert tables[0].read_text() == tables[1].read_text(), name
    assert {row["arm"] for row in rows(tables[0].parent / "table.csv")} >= {"LADP", "none", "LADP - none"}
