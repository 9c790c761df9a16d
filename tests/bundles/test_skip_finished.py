"""A batch that was stopped goes on: finished cases stay as they are, and it ends as one that was not stopped."""

import json
import logging
import operator
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from common.cine import simulate_cine_mr
from common.files import read_csv
from tests.bundles.harness import (
    BUNDLES,
    command,
    environment,
    overrides,
    run_command,
    same_but_for_rounding,
    simulate,
    workflow,
)

TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "monai.bundle")
FAST = {"cmr_hf_classify", "hie_ladp_seg"}
each_bundle = pytest.mark.parametrize(
    "bundle", [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in BUNDLES]
)


def infer(bundle, data, work, models, **settings):
    chosen = overrides(bundle, data, work, model_dir=str(models), **settings)
    flow = workflow(bundle, ["inference.json"], "inferring", "infer", **chosen)
    flow.initialize()
    flow.run()
    return work / "output"


def written(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")}


def tables(folder):
    return {path.name: path.read_text() for path in folder.glob("*.csv")}


@each_bundle
def test_a_stopped_batch_goes_on_and_ends_as_one_that_was_not(bundle, trained, phantom, tmp_path):
    models = trained(bundle) / "models"
    output = infer(bundle, phantom(bundle), tmp_path, models, batch_size=1)  # batches of other cases round otherwise
    whole = tables(output)
    # As after a kill: no row of the last case, half a JSON of the one before; the file of a third names other weights.
    rows = whole["predictions.csv"].splitlines(keepends=True)
    (output / "predictions.csv").write_text("".join(rows[:-1]))
    before = written(output)
    names = sorted(before)
    broken, other = output / names[-2], output / names[0]
    broken.write_text(broken.read_text()[:40])
    content = json.loads(other.read_text())
    assert len(content["weights_sha256"]) == 64
    other.write_text(json.dumps({**content, "weights_sha256": "0" * 64}))
    before = written(output)
    infer(bundle, phantom(bundle), tmp_path, models, skip_finished=True, batch_size=1)
    assert tables(output) == whole
    after = written(output)
    assert {name for name in after if after[name] != before.get(name)} == {names[-1], names[-2], names[0]}
    assert json.loads(other.read_text()) == content
    infer(bundle, phantom(bundle), tmp_path, models, skip_finished=True)  # nothing is left to do
    assert written(output) == after and tables(output) == whole


def test_other_settings_are_done_again_and_a_case_keeps_its_anonymous_name(trained, phantom, tmp_path):
    bundle = "cmr_hf_classify"
    models = trained(bundle) / "models"
    output = infer(bundle, phantom(bundle), tmp_path, models, anonymous_names=True)
    first = written(output)
    infer(bundle, phantom(bundle), tmp_path, models, anonymous_names=True, skip_finished=True, batch_size=2)
    assert written(output) == first
    infer(bundle, phantom(bundle), tmp_path, models, anonymous_names=True, skip_finished=True, threshold=0.4)
    second = written(output)
    assert all(second[name] != first[name] for name in first)
    cohort = tmp_path / "cohort"
    shutil.copytree(phantom(bundle), cohort)
    keys = read_csv(output / "key.csv")
    shutil.rmtree(sorted((cohort / "database" / "training").iterdir())[0])
    infer(bundle, cohort, tmp_path, models, anonymous_names=True, skip_finished=True, threshold=0.4)
    assert written(output) == second and sorted(map(str, read_csv(output / "key.csv"))) == sorted(map(str, keys))


def test_cases_that_are_called_by_numbers_go_on_and_are_as_like_the_training_as_before(tmp_path, caplog):
    simulate_cine_mr(tmp_path / "data", cases=2, seed=5, layout="dicom", size=64, frames=8, slices=4)
    for folder, name in zip(sorted((tmp_path / "data").glob("patient*")), ("101", "-7"), strict=True):
        folder.rename(folder.with_name(name))
    output = tmp_path / "output"

    def infer_as_shipped(**settings):
        chosen = {"dataset_dir": str(tmp_path / "data"), "output_dir": str(output), **settings}
        flow = workflow("cmr_hf_classify", ["inference.json"], "inferring", "infer", **chosen)
        flow.initialize()
        flow.run()

    infer_as_shipped()
    before, whole = written(output), tables(output)
    assert {row["unlike_training"] for row in read_csv(output / "predictions.csv")} == {"False"}
    caplog.clear()
    with caplog.at_level(logging.INFO):
        infer_as_shipped(skip_finished=True)
    assert written(output) == before and tables(output) == whole
    assert "2 cases are finished" in caplog.text and "unlike the training data" not in caplog.text


@each_bundle
def test_workers_read_the_cases_and_the_files_are_the_same(bundle, trained, phantom, tmp_path):
    models = trained(bundle) / "models"
    alone = infer(bundle, phantom(bundle), tmp_path / "alone", models, batch_size=1)
    helped = infer(bundle, phantom(bundle), tmp_path / "helped", models, batch_size=1, num_workers=2)
    assert_same_results(alone, helped)


@pytest.mark.slow
def test_two_processes_share_the_cases_and_write_what_one_does(trained, phantom, tmp_path):
    bundle = "hie_ladp_seg"
    cohort, models = tmp_path / "cohort", trained(bundle) / "models"
    shutil.copytree(phantom(bundle), cohort)
    bad = sorted((cohort / "1ADC_ss").iterdir())[2]
    bad.write_bytes(bad.read_bytes()[:300])
    with pytest.raises(RuntimeError, match="failures"):  # MONAI's, around FailedCasesError
        infer(bundle, cohort, tmp_path / "one", models)
    settings = overrides(bundle, cohort, tmp_path / "two", model_dir=str(models), skip_finished=True)
    words = command(bundle, "inferring", ["inference.json", "multi_gpu_inference.json"], settings, TWO)
    ended = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and "1 case failed" in ended.stdout + ended.stderr, ended.stderr[-3000:]
    one, two = tmp_path / "one" / "output", tmp_path / "two" / "output"
    assert_same_results(one, two)
    assert (two / "failed.csv").read_text() == (one / "failed.csv").read_text().replace(str(one), str(two))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bundle", [name for name in BUNDLES if name != "hie_ladp_seg"])
def test_two_processes_write_the_files_of_one_if_each_case_is_a_batch_of_its_own(bundle, trained, phantom, tmp_path):
    settings = overrides(bundle, phantom(bundle), tmp_path, model_dir=str(trained(bundle) / "models"), batch_size=1)
    assert_same_results(*by_one_and_by_two(bundle, tmp_path, settings))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bundle", ["cmr_hf_classify", "doppler_keypoint"])
def test_two_processes_differ_from_one_by_the_rounding_in_batches_of_other_cases(bundle, phantom, tmp_path):
    """Of the shipped weights: after one step of training, maps are flat and rounding decides which peak is found."""
    assert_same_results(
        *by_one_and_by_two(bundle, tmp_path, {"dataset_dir": str(phantom(bundle))}), same_but_for_rounding
    )


def by_one_and_by_two(bundle, folder, settings):
    """Folders of what one process and two processes write, on one thread each."""
    one, two = ({**settings, "output_dir": str(folder / name)} for name in ("one", "two"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    flow = workflow(bundle, ["inference.json"], "inferring", "infer", **one)
    flow.initialize()
    flow.run()
    torch.set_num_threads(threads)
    run_command(command(bundle, "inferring", ["inference.json", "multi_gpu_inference.json"], two, TWO), folder)
    return folder / "one", folder / "two"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_process_that_is_killed_takes_no_finished_case_with_it_and_the_batch_goes_on(trained, tmp_path):
    bundle = "hie_ladp_seg"
    cohort, models = simulate(bundle, tmp_path / "cohort", cases=24), trained(bundle) / "models"
    one = infer(bundle, cohort, tmp_path / "one", models)
    settings = overrides(bundle, cohort, tmp_path / "two", model_dir=str(models), skip_finished=True)
    words = command(bundle, "inferring", ["inference.json", "multi_gpu_inference.json"], settings, TWO)
    two, table = tmp_path / "two" / "output", tmp_path / "two" / "output" / "predictions.csv"
    process = subprocess.Popen(words, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while not (table.is_file() and len(read_csv(table)) >= 3):
        assert process.poll() is None, process.stdout.read().decode()[-3000:]
        time.sleep(0.01)
    os.kill(second_of(process.pid), signal.SIGKILL)
    process.communicate()
    assert process.returncode != 0
    finished = {row["case"] for row in read_csv(table)}
    assert 3 <= len(finished) < 24
    before = {name: moment for name, moment in written(two).items() if name.removesuffix(".json") in finished}
    assert len(before) == len(finished), "each row has its JSON"
    run_command(words, tmp_path)
    assert_same_results(one, two)
    assert before.items() <= written(two).items(), "finished cases stay as they are"


def second_of(launcher):
    """Process of rank 1 among the children of torchrun."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == launcher and b"\0RANK=1\0" in (folder / "environ").read_bytes():
                return int(folder.name)
        except OSError:  # ended meanwhile
            continue
    raise AssertionError("no process of rank 1")


def assert_same_results(one, two, same=operator.eq):
    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
    for path in one.glob("*.csv"):
        assert same(read_csv(path), read_csv(two / path.name)), path.name
    for path in one.glob("*.json"):
        assert same(json.loads(path.read_text()), json.loads((two / path.name).read_text())), path.name
