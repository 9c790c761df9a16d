import hashlib
import json
import os
import shutil
import time
import zipfile

import pytest

from common.__main__ import main
from common.bundle import installed_bundles_folder
from common.commands.carried_package import carried_name
from common.commands.pack import pack
from common.errors import NoWeightsError
from tests.full_disk import full_disk

BUNDLE = "elasto_flow"
VERSION = json.loads((installed_bundles_folder() / BUNDLE / "configs" / "metadata.json").read_text())["version"]
PACKAGE = carried_name(BUNDLE, VERSION)


@pytest.fixture
def bundles(tmp_path):
    """A folder with a copy of one bundle: weights of a few bytes, and files that belong in no zip."""
    root = tmp_path / "bundles" / BUNDLE
    for folder in ("configs", "docs"):
        shutil.copytree(installed_bundles_folder() / BUNDLE / folder, root / folder)
    shutil.copy(installed_bundles_folder() / BUNDLE / "LICENSE", root)
    (root / "models").mkdir()
    for name in ("model.pt", "model.json", "pretrained.pt", "model_before.pt", ".partial-x.pt"):
        (root / "models" / name).write_text(name)
    for name in ("eval/patient.csv", "runs/history.csv", "docs/.hidden", "notes.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("not for others")
    return root.parent


def packed(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_same_bytes_whenever_and_wherever_it_is_packed(bundles, tmp_path):
    first = pack([BUNDLE], tmp_path / "first", folder=bundles)[0].read_bytes()
    moved = tmp_path / "elsewhere" / "bundles"
    shutil.copytree(bundles, moved)
    for path in moved.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (time.time() + 9e6,) * 2)
    assert pack([BUNDLE], tmp_path / "second", folder=moved)[0].read_bytes() == first
    assert (tmp_path / "second" / f"{BUNDLE}_v{VERSION}.zip").read_bytes() == first


def test_a_zip_holds_the_bundle_and_nothing_that_others_should_not_see(bundles, tmp_path):
    names = packed(pack([BUNDLE], tmp_path, folder=bundles)[0])
    assert {name.split("/")[0] for name in names} == {BUNDLE}
    inside = {name.removeprefix(f"{BUNDLE}/") for name in names}
    plain = {name for name in inside if not name.startswith(f"{PACKAGE.replace('.', '/')}/")}
    configs = {path.name for path in (bundles / BUNDLE / "configs").iterdir()}
    docs = {f"docs/{path.name}" for path in (bundles / BUNDLE / "docs").iterdir()} - {"docs/.hidden"}
    models = {"models/model.pt", "models/model.json", "models/pretrained.pt"}
    assert plain == {"LICENSE"} | {f"configs/{name}" for name in configs} | docs | models
    assert names[f"{BUNDLE}/models/model.pt"] == b"model.pt"


def test_configs_name_the_carried_package_and_say_the_same_otherwise(bundles, tmp_path):
    names = packed(pack([BUNDLE], tmp_path, folder=bundles)[0])
    for name, data in names.items():
        if "/configs/" in name and name.endswith(".json"):
            original = (bundles / name).read_text()
            assert json.loads(data) == json.loads(original.replace('"common.', f'"{PACKAGE}.'))
            assert '"common.' not in data.decode()


def test_sums_name_every_zip_and_every_file_of_it(bundles, tmp_path):
    (tmp_path / "earlier.zip").write_bytes(b"earlier")
    path = pack([BUNDLE], tmp_path, folder=bundles)[0]
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert lines == [
        f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}"
        for name in ("earlier.zip", f"{BUNDLE}.zip", f"{BUNDLE}_v{VERSION}.zip")
    ]
    contents = (tmp_path / f"{BUNDLE}_v{VERSION}.contents.sha256").read_text().splitlines()
    assert contents == [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in packed(path).items()]


@pytest.mark.parametrize("limit", [0, 3000, 30_000])
def test_a_zip_that_does_not_fit_on_the_disk_leaves_the_old_one_with_its_sums(bundles, tmp_path, limit):
    pack([BUNDLE], tmp_path, folder=bundles)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    (bundles / BUNDLE / "models" / "model.pt").write_bytes(os.urandom(50_000))
    with (
        full_disk(limit),
        pytest.raises(OSError, match="expected to write a whole file, found no more room on the disk"),
    ):
        pack([BUNDLE], tmp_path, folder=bundles)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.*")} == before


def test_a_bundle_without_weights_is_refused_with_the_command_that_makes_them(bundles, tmp_path):
    (bundles / BUNDLE / "models" / "model.pt").unlink()
    command = f"monai.bundle run training --config_file bundles/{BUNDLE}/configs/train.json"
    with pytest.raises(NoWeightsError, match=rf"model\.pt: expected weights.*{command}.*--without-weights"):
        pack([BUNDLE], tmp_path / "zips", folder=bundles)
    assert not (tmp_path / "zips").exists()
    names = packed(pack([BUNDLE], tmp_path / "zips", without_weights=True, folder=bundles)[0])
    assert f"{BUNDLE}/models/model.pt" not in names and f"{BUNDLE}/models/pretrained.pt" in names


def test_the_command_packs_what_is_named(tmp_path, capsys):
    assert main(["pack", "hie_ladp_seg", "--output", str(tmp_path), "--without-weights"]) == 0
    assert "hie_ladp_seg.zip" in capsys.readouterr().out
    assert len(list(tmp_path.glob("hie_ladp_seg*.zip"))) == len(list(tmp_path.glob("*.zip"))) == 2
