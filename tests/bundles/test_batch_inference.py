"""Inference over a folder with bad patients: the good ones finish, the bad ones are named, the exit status says so."""

import json
import re
import shutil
import subprocess

import pytest

from common.files import read_csv
from tests.bundles.harness import command, environment, overrides, simulate, workflow

BUNDLE = "cmr_hf_classify"


@pytest.fixture
def cohort(tmp_path, phantom):
    """Three good patients, one with a truncated file in every section, one without any cine."""
    folder = tmp_path / "cohort"
    source = phantom(BUNDLE) / "database" / "training"
    for path in sorted(source.iterdir())[:3]:
        shutil.copytree(path, folder / "database" / "training" / path.name)
    truncated = folder / "database" / "training" / "patient901"
    shutil.copytree(sorted(source.iterdir())[3], truncated)
    image = next(truncated.glob("*_4d.nii.gz"))
    content = image.read_bytes()
    image.unlink()
    (truncated / "patient901_4d.nii.gz").write_bytes(content[: len(content) // 3])
    (folder / "database" / "training" / "patient902").mkdir()
    (folder / "database" / "training" / "patient902" / "patient902_4d.nii.gz").write_bytes(b"not a NIfTI file")
    return folder


def test_good_patients_finish_bad_ones_are_named_and_the_status_is_not_zero(cohort, trained, tmp_path):
    settings = overrides(BUNDLE, cohort, tmp_path, model_dir=str(trained(BUNDLE) / "models"))
    words = command(BUNDLE, "inferring", ["inference.json"], settings)
    finished = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert "Traceback" not in finished.stdout + finished.stderr
    assert re.match(r"2 cases failed, with the reason in .*failed\.csv: ", finished.stderr.splitlines()[-1])
    output = tmp_path / "output"
    failed = {row["case"]: row["reason"] for row in read_csv(output / "failed.csv")}
    assert set(failed) == {"patient901", "patient902"}
    assert all("4d.nii.gz" in reason for reason in failed.values()), "the reason names the file"
    assert {case: json.loads((output / f"{case}.json").read_text())["error"] for case in failed} == failed
    predictions = read_csv(output / "predictions.csv")
    assert len(predictions) == 3
    for row in predictions:
        assert (output / f"{row['case']}.json").is_file() and (output / f"{row['case']}.png").is_file()


def test_a_second_run_without_the_bad_patients_leaves_no_old_failures(cohort, trained, tmp_path):
    settings = overrides(BUNDLE, cohort, tmp_path, model_dir=str(trained(BUNDLE) / "models"))
    flow = workflow(BUNDLE, ["inference.json"], "inferring", "infer", **settings)
    flow.initialize()
    with pytest.raises(RuntimeError):
        flow.run()
    for name in ("patient901", "patient902"):
        shutil.rmtree(cohort / "database" / "training" / name)
    flow = workflow(BUNDLE, ["inference.json"], "inferring", "infer", **settings)
    flow.initialize()
    flow.run()
    assert not (tmp_path / "output" / "failed.csv").exists()


def test_a_folder_of_dicom_files_gives_results_of_the_same_form(trained, tmp_path):
    folder = simulate(BUNDLE, tmp_path / "dicom", layout="dicom", cases=3, reduced_fraction=0.34)
    settings = overrides(BUNDLE, folder, tmp_path, model_dir=str(trained(BUNDLE) / "models"))
    flow = workflow(BUNDLE, ["inference.json"], "inferring", "infer", **settings)
    flow.initialize()
    flow.run()
    rows = read_csv(tmp_path / "output" / "predictions.csv")
    columns = ["case", "probability_HFrEF", "call", "ef_percent", "slices", "skipped_slices", "spread_over_slices"]
    assert list(rows[0]) == [*columns, "familiarity", "unlike_training", "doubts"]
    assert len(rows) == 3
    assert all(0 <= float(row["probability_HFrEF"]) <= 1 for row in rows)
