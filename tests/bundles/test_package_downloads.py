"""A zip is fetched from a web server and checked as common/docs/packages.md says; damage is found."""

import json
import subprocess
import sys
import threading
import urllib.request
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from common.commands.carried_package import carried_name
from tests.bundles.harness import root, run_command

BUNDLE = "hie_ladp_seg"
VERSION = json.loads((root(BUNDLE) / "configs" / "metadata.json").read_text())["version"]
CARRIED = carried_name(BUNDLE, VERSION).replace(".", "/")
SUMS = f"{BUNDLE}_v{VERSION}.contents.sha256"


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def address(packed):
    """Address of a web server that serves the folder of the zips."""
    handler = partial(_Silent, directory=str(packed(BUNDLE).parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def fetched(packed, tmp_path):
    """A folder with one zip of several that were published, its contents, and both files of sums."""
    zips = packed(BUNDLE).parent
    for name in (f"{BUNDLE}.zip", "SHA256SUMS", SUMS):
        (tmp_path / name).write_bytes((zips / name).read_bytes())
    with zipfile.ZipFile(tmp_path / f"{BUNDLE}.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path


def check(folder, sums):
    words = ["sha256sum", "--ignore-missing", "-c", sums]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_a_bundle_comes_from_a_web_server_by_monais_download_and_passes_the_check(address, tmp_path):
    words = ["-m", "monai.bundle", "download", "--name", BUNDLE, "--url", f"{address}/{BUNDLE}.zip"]
    run_command([sys.executable, *words, "--bundle_dir", str(tmp_path)], tmp_path)
    assert (tmp_path / BUNDLE / "models" / "model.pt").is_file()
    for sums in ("SHA256SUMS", SUMS):
        with urllib.request.urlopen(f"{address}/{sums}") as answer:
            (tmp_path / sums).write_bytes(answer.read())
        assert check(tmp_path, sums).returncode == 0, sums


def test_the_sums_of_the_whole_folder_hold_where_it_is_published(packed):
    finished = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=packed(BUNDLE).parent, check=False)
    assert finished.returncode == 0


def truncated(data):
    return data[: len(data) // 2]


def one_bit_changed(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [truncated, one_bit_changed])
def test_a_damaged_zip_fails_the_check(fetched, damage):
    path = fetched / f"{BUNDLE}.zip"
    path.write_bytes(damage(path.read_bytes()))
    finished = check(fetched, "SHA256SUMS")
    assert finished.returncode != 0 and f"{BUNDLE}.zip: FAILED" in finished.stdout


@pytest.mark.parametrize("name", ["models/model.pt", "configs/inference.json", f"{CARRIED}/bundle.py"])
def test_a_changed_file_of_an_unpacked_bundle_fails_the_check(fetched, name):
    path = fetched / BUNDLE / name
    path.write_bytes(one_bit_changed(path.read_bytes()))
    finished = check(fetched, SUMS)
    assert finished.returncode != 0
    assert [line for line in finished.stdout.splitlines() if "FAILED" in line] == [f"{BUNDLE}/{name}: FAILED"]
