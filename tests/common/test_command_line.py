import json
import subprocess
import sys

import pytest
from monai.bundle import ConfigParser

from common.command_line import check_command_line
from common.errors import OutputFolderError
from tests.bundles.harness import REPOSITORY

PROGRAM = "/anywhere/monai/bundle/__main__.py"


@pytest.fixture
def config(tmp_path):
    content = {
        "dataset_dir": "d",
        "stride_ms": None,
        "epochs": 20,
        "tta": True,
        "train": {"loader": {"_target_": "L"}, "plain": {"a": 1}},
    }
    (tmp_path / "train.json").write_text(json.dumps(content))
    (tmp_path / "overlay.json").write_text(json.dumps({"section": "test"}))
    return tmp_path


@pytest.fixture(autouse=True)
def _own_hook(monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)


def check(folder, *words, files="train.json"):
    """What the first call in a process puts into the config."""
    paths = [str(folder / name) for name in files.split(",")]
    sys.excepthook, resolved = sys.__excepthook__, {}
    file = repr(paths) if len(paths) > 1 else paths[0]
    check_command_line(resolved, [PROGRAM, "run", "training", "--config_file", file, *words])
    return resolved


NAMES = [
    "2024",
    "1e5",
    "(1)",
    "a,b",
    "{x}",
    "None",
    "True",
    "[a]",
    "10:30",
    "'x'",
    "data/mine",
    "a b",
    "x=1",
    "ä",
    "0x10",
]


@pytest.mark.parametrize("text", [*NAMES, "./2024", "1.2.3.4", "1_000", "b'x'"])
@pytest.mark.parametrize("name", ["dataset_dir", "output_dir", "model_dir", "weights", "bundle_root"])
def test_a_path_is_the_word_that_was_typed(config, name, text):
    assert check(config, f"--{name}", text) == check(config, f"--{name}={text}") == {name: text}
    assert check(config, f"--{name.replace('_', '-')}", text) == {name: text}


def test_a_word_like_a_flag_is_a_path_behind_an_equals_sign_only(config):
    assert check(config, "--dataset_dir=-x") == {"dataset_dir": "-x"}
    for words in (
        ["--dataset_dir", "-x"],
        ["--dataset_dir"],
        ["--dataset_dir="],
        ["--dataset_dir", "--stride_ms", "3"],
    ):
        with pytest.raises(ValueError, match="--dataset_dir: expected a path, found nothing"):
            check(config, *words)


@pytest.mark.parametrize("text", ["$__import__('os')", "@x", "%x"])
@pytest.mark.parametrize("name", ["dataset_dir", "output_dir", "model_dir"])
def test_a_folder_that_monai_resolves_itself_is_refused_with_what_to_write(config, name, text):
    with pytest.raises(ValueError) as raised:
        check(config, f"--{name}", text)
    assert str(raised.value).endswith(f"found what MONAI reads as expression or reference; write ./{text}")
    assert check(config, f"--{name}", f"./{text}") == {name: f"./{text}"}


def test_weights_may_be_an_expression(config):
    assert check(config, "--pretrained", "$@model_dir + '/x.pt'") == {}


def test_a_hash_in_a_folder_is_refused_however_it_is_written(config):
    for text in ("results#2", "./results#2"):
        with pytest.raises(ValueError, match="without #, at which MONAI cuts it"):
            check(config, "--output_dir", text)


@pytest.mark.parametrize("words", [["--stride_ms", "None"], ["--stride_ms=None"], ["--stride-ms", "None"]])
def test_none_which_monai_drops_outranks_the_config(config, words):
    assert check(config, *words) == {"stride_ms": None}
    assert check(config, "--stride_ms", "3", "--nothing", "None") == {}


def test_null_is_none(config):
    assert check(config, "--section", "null", files="train.json,overlay.json") == {"section": None}


@pytest.mark.parametrize("text", ["null", "None"])
def test_null_inside_a_part_of_the_config_is_refused_with_what_to_write(config, text):
    with pytest.raises(ValueError, match=rf"--section#part {text}: .*write --section#part '\$None'$"):
        check(config, "--section#part", text)
    assert check(config, "--section#part", "$None") == {}
    parser = ConfigParser({"section": {"part": "@other"}, "other": 3})
    parser.update({"section#part": "$None"})
    assert parser.get_parsed_content("section") == {"part": None}, "as MONAI takes it"


def test_none_is_refused_where_a_number_is_expected(config):
    with pytest.raises(ValueError, match="--epochs None: expected a value such as 20, found None"):
        check(config, "--epochs", "None")
    with pytest.raises(ValueError, match="--tta None: expected a value such as true, found None"):
        check(config, "--tta", "None")


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "false", "False", "FALSE"])
def test_true_and_false_are_no_words(config, text):
    wanted = text.lower() == "true"
    assert check(config, "--tta", text)["tta"] is wanted
    assert check(config, f"--tta={text}")["tta"] is wanted


@pytest.mark.parametrize("text", ["no", "off", "nope", "2", "yes"])
def test_a_switch_that_is_neither_true_nor_false_is_refused(config, text):
    with pytest.raises(ValueError, match=f"--tta {text}: expected true or false, found {text}"):
        check(config, "--tta", text)


@pytest.mark.parametrize("text", ["0", "1", "@other", "$False"])
def test_a_switch_may_be_a_number_or_a_reference(config, text):
    check(config, "--tta", text)


@pytest.mark.parametrize("text", ["True", "true"])
def test_a_misspelt_switch_is_named_with_the_nearest_setting(config, caplog, text):
    check(config, "--ttta", text)
    assert "--ttta is no setting of this bundle and has no effect; did you mean --tta?" in caplog.text


@pytest.mark.parametrize("text", ["true", "false"])
def test_a_switch_arrives_in_the_config_as_a_truth_value(config, text):
    words = [PROGRAM, "run", "go", "--config_file", str(config / "train.json"), "--tta", text]
    parser = ConfigParser({"tta": text, "words": words, "seen": "$@tta is " + text.capitalize()})
    parser["imports"] = ["$from common.command_line import check_command_line"]
    parser["check"] = "$check_command_line(__local_refs, @words)"
    parser.get_parsed_content("check")
    assert parser.get_parsed_content("seen")


def test_a_path_may_be_called_true(config):
    assert check(config, "--dataset_dir", "true") == {"dataset_dir": "true"}


@pytest.mark.parametrize("text", ["true", "false", "FALSE"])
def test_a_switch_inside_a_component_is_refused_where_monai_takes_it_for_a_word(config, text):
    with pytest.raises(ValueError, match=f"--train#loader#shuffle {text}: expected True or False.*{text.capitalize()}"):
        check(config, "--train#loader#shuffle", text)
    check(config, "--train#loader#shuffle", "False")


def test_a_workflow_inside_another_one_keeps_its_own_settings(config):
    check(config, "--output_dir", "2025")
    inner = {}
    check_command_line(inner, [PROGRAM, "run", "training", "--output_dir", "2025"])
    assert inner == {}


@pytest.mark.parametrize("text", ["data/mine", "10:30", "./2024"])
def test_a_setting_that_is_known_is_not_warned_of(config, text, caplog):
    check(config, f"--dataset-dir={text}")
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
    resolved = {}
    check_command_line(resolved, ["/x/pytest", "--dataset_dir", "2024"])
    assert sys.excepthook is hook and resolved == {}


SCRIPT = """
from common.command_line import check_command_line
check_command_line({}, ["/anywhere/monai/bundle/__main__.py"])
from common.data.tables import number
from common.files import write_csv
from tests.full_disk import full_disk
try:
    LINE
except Exception as error:
    raise RuntimeError("Failed to instantiate component") from error
"""


def ended(folder, line):
    (folder / "run.py").write_text(SCRIPT.replace("LINE", line))
    words = [sys.executable, "-W", "ignore", str(folder / "run.py")]
    environment = {"PYTHONPATH": str(REPOSITORY)}
    finished = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert finished.returncode == 1
    return finished.stderr


def test_an_error_of_ours_ends_the_program_in_one_sentence(tmp_path):
    printed = ended(tmp_path, "number('x', 'ef', 0, 100)")
    assert printed.splitlines() == ["expected ef as a number from 0 to 100, found 'x'"]


def test_a_full_disk_ends_the_program_in_one_sentence_that_names_the_file(tmp_path):
    printed = ended(tmp_path, "with full_disk(3): write_csv('predictions.csv', [{'case': 'anna'}])")
    assert len(printed.splitlines()) == 1 and ".partial" not in printed
    assert printed.startswith("predictions.csv: expected to write a whole file, found no more room on the disk")


def test_any_other_error_keeps_its_traceback(tmp_path):
    printed = ended(tmp_path, "dict()['x']")
    assert "Traceback" in printed and "KeyError" in printed and "Failed to instantiate" in printed
