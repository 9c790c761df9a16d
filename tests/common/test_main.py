import re
import subprocess
import sys

import pytest

from common.__main__ import main
from common.bundle import installed_bundles_folder


def test_help_imports_no_torch():
    code = "import sys; from common.__main__ import _parser; _parser(); sys.exit('torch' in sys.modules)"
    folder = installed_bundles_folder().parent
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode == 0


def test_an_unknown_bundle_is_named_beside_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        main(["demo", "no_such_bundle"])
    message = capsys.readouterr().err
    assert "no_such_bundle" in message and "cmr_hf_classify" in message


def test_simulate_takes_the_phantoms_settings(tmp_path):
    words = ["simulate", "cmr_hf_classify", str(tmp_path), "--cases", "2", "--size", "32", "--frames", "4"]
    assert main([*words, "--slices", "2"]) == 0
    assert len(list(tmp_path.rglob("*_4d.nii.gz"))) == 2
    with pytest.raises(SystemExit, match="expected a new or empty folder, found one with files; cases would mix"):
        main(["simulate", "cmr_hf_classify", str(tmp_path), "--cases", "1"])


def test_a_number_typed_as_a_word_ends_in_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"^expected settings as --help says, found \{'cases': 'x'\}"):
        main(["simulate", "cmr_hf_classify", str(tmp_path), "--cases", "x"])


def test_a_setting_that_the_phantom_lacks_is_named_beside_those_it_has(tmp_path):
    with pytest.raises(SystemExit, match=r"expected settings among --cases, .*--slices, .*found --casses$"):
        main(["simulate", "cmr_hf_classify", str(tmp_path), "--casses", "2"])
    assert not list(tmp_path.iterdir())


def test_help_of_simulate_lists_the_settings_of_a_bundle_with_defaults(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["simulate", "elasto_flow", "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0 and "  --cases 24\n        number of pairs.\n" in shown
    assert "  --lines 64\n" in shown and '  --strain_percent "[0.5,2.0]"\n' in shown
    with pytest.raises(SystemExit, match=r"expected settings among (.*), found --x$") as refused:
        main(["simulate", "elasto_flow", "d", "--x", "1"])
    names = str(refused.value.code).split("among ")[1].split(", found")[0].split(", ")
    assert names == sorted(re.findall(r"^  (--\w+) ", shown, re.MULTILINE))


def test_a_value_that_the_phantom_refuses_ends_in_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"^expected layout acdc or dicom, found 'x'\.$"):
        main(["simulate", "cmr_hf_classify", str(tmp_path), "--layout", "x"])


def test_settings_that_are_no_pairs_are_refused(tmp_path):
    with pytest.raises(SystemExit, match="--name value"):
        main(["simulate", "cmr_hf_classify", str(tmp_path), "--cases"])


@pytest.mark.parametrize("option", ["--max_epochs", "--workers"])
@pytest.mark.parametrize("value", ["0", "-1", "two"])
def test_counts_below_one_are_refused(option, value, capsys):
    with pytest.raises(SystemExit):
        main(["study", "hie_ladp_seg", "claim", "--output", "x", f"{option}={value}"])
    assert f"expected a number from 1, found {value}" in capsys.readouterr().err


def test_an_interrupted_command_ends_with_one_line(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("common.commands.study.study", interrupted)
    assert main(["study", "hie_ladp_seg", "claim", "--output", "x"]) == 130
    assert capsys.readouterr().err == "stopped; the same command goes on\n"
    monkeypatch.setattr("common.commands.simulate.simulate", interrupted)
    assert main(["simulate", "hie_ladp_seg", "x"]) == 130
    assert capsys.readouterr().err == "stopped\n"
