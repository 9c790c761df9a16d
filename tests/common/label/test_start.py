import importlib.util

import pytest

from common.__main__ import main
from common.bundle import installed_bundles_folder
from common.doppler.reader import PICTURE_SUFFIXES
from common.label.checks import SUFFIXES
from common.label.settings import ServerSettings
from common.label.start import default_state, environment, start
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


@pytest.fixture
def studies(tmp_path):
    folder = tmp_path / "studies"
    folder.mkdir()
    return folder


def test_the_server_keeps_what_it_writes_beside_the_studies(studies, tmp_path):
    assert default_state(studies) == tmp_path / "studies_label_server"


@pytest.mark.parametrize("state", ["studies", "studies/state", "studies/../studies/x", "."])
def test_a_state_folder_in_the_studies_or_around_them_is_refused(studies, tmp_path, state, capsys):
    assert start(studies, installed_bundles_folder(), [], state=tmp_path / state) == 2
    assert "--state" in capsys.readouterr().err
    assert list(studies.iterdir()) == []


def test_a_state_folder_that_a_link_puts_into_the_studies_is_refused(studies, tmp_path, capsys):
    (tmp_path / "link").symlink_to(studies)
    assert start(studies, installed_bundles_folder(), [], state=tmp_path / "link" / "state") == 2
    assert "--state" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "label.hospital"])
def test_the_network_is_refused_unless_users_log_in(studies, host, monkeypatch, capsys):
    monkeypatch.delenv("MONAI_LABEL_AUTH_ENABLE", raising=False)
    assert start(studies, installed_bundles_folder(), [], host=host) == 2
    assert "MONAI_LABEL_AUTH_ENABLE" in capsys.readouterr().err
    monkeypatch.setenv("MONAI_LABEL_AUTH_ENABLE", "false")
    assert start(studies, installed_bundles_folder(), [], host=host) == 2


def test_each_server_has_a_token_of_its_own_unless_one_is_given(monkeypatch):
    monkeypatch.delenv("MONAI_LABEL_AUTH_ENABLE", raising=False)
    monkeypatch.delenv("LABEL_TOKEN", raising=False)
    tokens = {environment(ServerSettings())["LABEL_TOKEN"] for _ in range(3)}
    assert len(tokens) == 3 and all(len(token) >= 40 for token in tokens)
    monkeypatch.setenv("LABEL_TOKEN", "mine")
    assert environment(ServerSettings())["LABEL_TOKEN"] == "mine"


def test_the_server_finds_this_package_and_no_session_is_kept():
    settings = environment(ServerSettings())
    assert settings["PYTHONPATH"].split(":")[0] == str(installed_bundles_folder().parent)
    assert settings["MONAI_LABEL_SESSIONS"] == "false"


@pytest.mark.parametrize("origin", ["*", "evil.example", "http://", "https://a/b", "ftp://a", "https://user@a"])
def test_an_origin_is_one_page(origin, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["label", "--studies", str(tmp_path), "--allow-origin", origin])
    assert "expected an origin" in capsys.readouterr().err


def test_the_server_offers_the_files_that_the_readers_read():
    assert set(PICTURE_SUFFIXES) | set(rf_suffixes()) - {".raw"} <= set(SUFFIXES)


def test_studies_in_an_archive_need_a_folder_for_the_server(capsys):
    assert start("http://127.0.0.1:8042/dicom-web", installed_bundles_folder(), []) == 2
    assert "--state: expected a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["http://user:secret@pacs/dicom-web", "https://", "http://pacs/dicom-web?token=secret"]
)
def test_an_address_with_a_login_is_refused_and_not_repeated(address, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["label", "--studies", address, "--state", str(tmp_path)])
    message = capsys.readouterr().err
    assert "expected an address such as" in message and "secret" not in message


def test_the_viewer_needs_an_archive(studies, capsys):
    with pytest.raises(SystemExit):
        main(["label", "--studies", str(studies), "--viewer"])
    assert "--viewer: OHIF shows the series of an archive" in capsys.readouterr().err


@pytest.mark.parametrize(("realm", "reason"), [("true", "not with a realm"), ("", "expected OHIF's pages")])
def test_the_viewer_is_refused_where_it_cannot_work(realm, reason, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MONAI_LABEL_AUTH_ENABLE", realm)
    monkeypatch.setattr("common.label.start.pages_folder", lambda: tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    settings = ServerSettings(viewer="http://127.0.0.1:8042/dicom-web")
    folder = installed_bundles_folder()
    assert start("http://127.0.0.1:8042/dicom-web", folder, [], state=tmp_path / "state", settings=settings) == 2
    assert reason in capsys.readouterr().err and not (tmp_path / "state").exists()
