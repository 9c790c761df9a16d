import importlib.util

import pytest

from common.__main__ import main
from common.bundle import installed_bundles_folder
from common.doppler.reader import PICTURE_SUFFIXES
from common.label.start import SUFFIXES, environment, start
from common.rf.readers import rf_suffixes


@pytest.mark.skipif(importlib.util.find_spec("monailabel") is not None, reason="MONAI Label is installed")
def test_without_monai_label_the_message_says_how_to_install_it(tmp_path, capsys):
    assert start(tmp_path, installed_bundles_folder(), []) == 2
    assert "pip install -e '.[label]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_bundles_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["label", "--studies", str(tmp_path), "--bundles", str(tmp_path)])
    assert "expected bundles" in capsys.readouterr().err


def test_an_unknown_model_is_named_beside_the_known_ones(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["label", "--studies", str(tmp_path), "--models", "no_such_bundle"])
    message = capsys.readouterr().err
    assert "no_such_bundle" in message and "hie_ladp_seg" in message


def test_the_server_finds_this_package_and_keeps_its_files_in_one_folder(tmp_path):
    settings = environment(tmp_path)
    assert settings["PYTHONPATH"].split(":")[0] == str(installed_bundles_folder().parent)
    assert settings["MONAI_LABEL_SESSION_PATH"].startswith(str(tmp_path))


def test_the_server_offers_the_files_that_the_readers_read():
    assert set(PICTURE_SUFFIXES) | set(rf_suffixes()) - {".raw"} <= set(SUFFIXES)
