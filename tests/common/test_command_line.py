import json
import subprocess
import sys

import pytest

from common.command_line import check_command_line
from common.errors import OutputFolderError
from tests.bundles.harness import REPOSITORY

PROGRAM = "/anywhere/monai/bundle/__main__.py"


@pytest.fixture
def config(tmp_path):
    content = {"dataset_dir": "d", "stride_ms": None, "train": {"loader": {"_target_": "L"}, "plain": {"a": 1}}}
    (tmp_path / "train.json").write_text(json.dumps(content))
    (tmp_path / "overlay.json").write_text(json.dumps({"section": "test"}))
    return tmp_path


@pytest.fixture(autouse=True)
def _own_hook(monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)


def check(folder, *words, files="train.json"):
    paths = [str(folder / name) for name in files.split(",")]
    check_command_line(
        [PROGRAM, "run", "training", "--config_file", repr(paths) if len(paths) > 1 else paths[0], *words]
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2024", "int"),
        ("1e5", "float"),
        ("(1)", "int"),
        ("a,b", "tuple"),
        ("{x}", "set"),
        ("None", "NoneType"),
        ("True", "bool"),
        ("[a]", "list"),
        ("$__import__('os')", "expression or reference"),
        ("@x", "expression or reference"),
        ("%x", "expression or reference"),
    ],
)
@pytest.mark.parametrize("name", ["dataset_dir", "output_dir", "model_dir"])
def test_a_folder_that_monai_takes_for_something_else_is_refused_with_what_to_write(config, name, text, kind):
    with pytest.raises(ValueError) as raised:
        check(config, f"--{name}", text)
    assert str(raised.value).endswith(f"found what MONAI reads as {kind}; write ./{text}")
    check(config, f"--{name}", f"./{text}")
    with pytest.raises(ValueError, match="expected a path"):
        check(config, f"--{name}={text}")


def test_a_hash_in_a_folder_is_refused_however_it_is_written(config):
    for text in ("results#2", "./results#2"):
        with pytest.raises(ValueError, match="without #, at which MONAI cuts it"):
            check(config, "--output_dir", text)


@pytest.mark.parametrize("text", ["data/mine", "10:30", "a b", "-x", "x=1", "ä", "./2024", "1.2.3.4"])
def test_a_path_is_a_path(config, text, caplog):
    check(config, f"--dataset_dir={text}")
    assert not caplog.text


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (
            ["--stride_msx", "3"],
            "--stride_msx is no setting of this bundle and has no effect; did you mean --stride_ms?",
        ),
        (["--xyzzy=3"], "--xyzzy is no setting of this bundle and has no effect"),
        (["--train#plain#b", "3"], "--train#plain#b is no setting"),
        (["--train#loader#workers", "3", "--train#plain#a", "2", "--stride_ms", "None", "--logging_file", "x"], None),
    ],
)
def test_a_setting_that_no_config_has_is_named_with_the_nearest_one(config, caplog, words, warned):
    check(config, *words)
    assert warned in caplog.text if warned else not caplog.text


def test_settings_of_an_overlay_are_known(config, caplog):
    check(config, "--section", "all", files="train.json,overlay.json")
    assert not caplog.text
    check(config, "--section", "all")
    assert "--section is no setting" in caplog.text


def test_results_inside_the_input_are_refused_for_a_training_too(config):
    with pytest.raises(OutputFolderError, match="apart from the input"):
        check(config, "--dataset_dir", str(config), "--output_dir", str(config / "out"))


def test_another_program_is_left_alone():
    hook = sys.excepthook
    check_command_line(["/x/pytest", "--dataset_dir", "2024"])
    assert sys.excepthook is hook


SCRIPT = """
from common.command_line import check_command_line
check_command_line(["/anywhere/monai/bundle/__main__.py"])
from common.data.tables import number
try:
    {}
except Exception as error:
    raise RuntimeError("Failed to instantiate component") from error
"""


def ended(folder, line):
    (folder / "run.py").write_text(SCRIPT.format(line))
    words = [sys.executable, "-W", "ignore", str(folder / "run.py")]
    environment = {"PYTHONPATH": str(REPOSITORY)}
    finished = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert finished.returncode == 1
    return finished.stderr


def test_an_error_of_ours_ends_the_program_in_one_sentence(tmp_path):
    printed = ended(tmp_path, "number('x', 'ef', 0, 100)")
    assert printed.splitlines() == ["expected ef as a number from 0 to 100, found 'x'"]


def test_any_other_error_keeps_its_traceback(tmp_path):
    printed = ended(tmp_path, "dict()['x']")
    assert "Traceback" in printed and "KeyError" in printed and "Failed to instantiate" in printed
