"""Folders are what was typed, through MONAI's own command line, in every bundle."""

import csv
import sys
from pathlib import Path

import fire
import monai.bundle
import pytest

from common.errors import NoDataError
from tests.bundles.harness import BUNDLES, command, root, run_command, simulate

# MONAI warns of every config that its `run` reads.
pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")
each_bundle = pytest.mark.parametrize("bundle", BUNDLES)
PROGRAM = str(Path(monai.bundle.__file__).parent / "__main__.py")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the words of a command line in this process as `python -m monai.bundle run` does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])

    def words(bundle, run_id, config, *settings):
        typed = [
            "run",
            run_id,
            "--config_file",
            str(root(bundle) / "configs" / config),
            *settings,
            "--logging_file",
            "False",
        ]
        monkeypatch.setattr(sys, "argv", [PROGRAM, *typed])
        monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
        fire.Fire({"run": monai.bundle.run}, command=typed)

    return words


def cause(raised):
    error = raised.value
    while error.__cause__ is not None:
        error = error.__cause__
    return error


@each_bundle
@pytest.mark.parametrize("data", ["2024", "1e5", "(1)", "a,b", "{x}", "None"])
def test_inference_looks_into_the_folder_that_was_typed_and_writes_to_the_other(run, tmp_path, bundle, data):
    (tmp_path / data).mkdir()
    with pytest.raises(Exception, match="Failed to evaluate") as raised:
        run(bundle, "inferring", "inference.json", f"--dataset_dir={data}", "--output_dir", "2025")
    assert isinstance(cause(raised), NoDataError) and str(cause(raised)).startswith(f"{data}: ")
    assert (tmp_path / "2025").is_dir()


@each_bundle
@pytest.mark.parametrize(("config", "run_id"), [("train.json", "training"), ("pretrain.json", "pretraining")])
def test_training_looks_into_the_folder_that_was_typed(run, tmp_path, bundle, config, run_id):
    (tmp_path / "2024").mkdir()
    words = ["--dataset_dir", "2024", "--output_dir", "2025", "--model_dir", "1e5", "--bundle_root", str(root(bundle))]
    with pytest.raises(Exception, match="Failed to") as raised:
        run(bundle, run_id, config, *words)
    assert isinstance(cause(raised), NoDataError) and str(cause(raised)).startswith("2024: ")


def test_the_command_line_itself(tmp_path):
    simulate("cmr_hf_classify", tmp_path / "a,b")
    words = command("cmr_hf_classify", "inferring", ["inference.json"], {"dataset_dir": "a,b", "output_dir": "None"})
    run_command(words, tmp_path)
    with (tmp_path / "None" / "predictions.csv").open(encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 10
