import json
import shlex
import subprocess

import pytest

from common.bundle import bundle_names, command_line, config_paths, find_bundle_root, run_bundle, trained_settings
from common.errors import UnusableFileError


def make_bundle(folder, name="toy"):
    configs = folder / name / "configs"
    configs.mkdir(parents=True)
    (configs / "metadata.json").write_text(json.dumps({"version": "0.1.0"}))
    return folder / name


@pytest.mark.parametrize("inside", ["bundles", "."])
def test_finds_the_bundle_below_the_working_directory(tmp_path, monkeypatch, inside):
    expected = make_bundle(tmp_path / inside)
    monkeypatch.chdir(tmp_path)
    assert find_bundle_root("toy") == str(expected)


def test_finds_the_bundle_that_is_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(make_bundle(tmp_path))
    assert find_bundle_root("toy") == str(tmp_path / "toy")


def test_names_both_remedies_where_no_bundle_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="run from the repository root or pass --bundle_root"):
        find_bundle_root("toy")


def test_names_of_bundles_are_folders_with_metadata():
    names = bundle_names()
    assert names == sorted(names)


def test_config_names_are_inside_the_bundle_and_paths_stay_as_they_are():
    assert config_paths("/b", ["train.json", "/x/y.json"]) == ["/b/configs/train.json", "/x/y.json"]


def test_command_line_survives_the_shell():
    line = command_line("/my bundles/b", "training", ["train.json"], {"epochs": 3, "dataset_dir": "/my data"})
    assert shlex.split(line) == [
        *["python", "-m", "monai.bundle", "run", "training", "--config_file", "/my bundles/b/configs/train.json"],
        *["--bundle_root", "/my bundles/b", "--epochs", "3", "--dataset_dir", "/my data"],
    ]


def test_command_line_can_be_read_and_typed():
    overrides = {"start": "$@root + '/x'", "title": "it's", "loud": "it's!", "plain": "a b", "sign": "5 $'`\\\""}
    line = command_line("/b", "training", ["train.json", "x.json"], overrides)
    assert line.startswith("python -m monai.bundle run training --config_file \"['/b/configs/train.json','/b")
    found = subprocess.run(["bash", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True).stdout
    assert found.splitlines()[-9::2] == list(overrides.values())


def test_command_line_says_null_as_monai_understands_it():
    words = shlex.split(
        command_line("/b", "training", ["train.json"], {"fold": None, "validate#pairs#classical": None})
    )
    assert words[-4:] == ["--fold", "None", "--validate#pairs#classical", "$None"]


def test_command_line_gives_overlays_as_one_list():
    words = shlex.split(command_line("/b", "evaluating", ["train.json", "evaluate.json"], {}))
    assert words[6] == "['/b/configs/train.json','/b/configs/evaluate.json']"


def test_runs_the_id_of_a_config_with_overrides(tmp_path):
    root = make_bundle(tmp_path)
    config = {
        "imports": ["$from pathlib import Path"],
        "word": "default",
        "initialize": [],
        "training": ["$Path(@bundle_root, 'out.txt').write_text(@word)"],
    }
    (root / "configs" / "train.json").write_text(json.dumps(config))
    run_bundle(root, "training", ["train.json"], {"word": "given"})
    assert (root / "out.txt").read_text() == "given"


def test_settings_stand_beside_the_weights_and_are_none_where_nothing_does(tmp_path):
    (tmp_path / "model.json").write_text(json.dumps({"epoch": 3, "settings": {"size": [4, 5]}}))
    assert trained_settings(tmp_path / "model.pt") == {"size": [4, 5]}
    assert trained_settings(tmp_path / "other.pt") == trained_settings("") == trained_settings("none") == {}


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"settings": 3}'])
def test_damaged_settings_are_named(tmp_path, text):
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(UnusableFileError, match=r"model\.json: expected JSON with settings"):
        trained_settings(tmp_path / "model.pt")
