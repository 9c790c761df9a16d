"""The zips, not the source tree: unpacked elsewhere, they load, train and infer with the code that they carry."""

import json
import shutil
import sys
import zipfile
from pathlib import Path

import monai.bundle
import pytest
import torch
from monai.bundle import ConfigWorkflow

from common.commands import carried_package
from common.commands.pack import pack
from common.files import read_csv
from tests.bundles import unpacked
from tests.bundles.harness import BUNDLES, REPOSITORY, command, overrides, root, run_command, smallest

FIRST = "hie_ladp_seg"
pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file:UserWarning")
each_bundle = pytest.mark.parametrize("bundle", BUNDLES)
first_by_default = pytest.mark.parametrize(
    "bundle", [pytest.param(name, marks=() if name == FIRST else pytest.mark.slow) for name in BUNDLES]
)


@pytest.fixture
def foreign_folder(tmp_path, monkeypatch):
    """The working directory: its `common` is somebody else's, and its bundles are empty shells of the same names."""
    folder = tmp_path / "foreign"
    for name in BUNDLES:
        (folder / "bundles" / name / "configs").mkdir(parents=True)
        (folder / "bundles" / name / "configs" / "metadata.json").write_text("{}")
    (folder / "common").mkdir(parents=True)
    (folder / "common" / "__init__.py").write_text("raise ImportError('this common is not ours')\n")
    monkeypatch.chdir(folder)
    return folder


@each_bundle
def test_loads_trains_and_infers_beside_the_others(
    bundle, unpacked_bundles, phantom, tmp_path, foreign_folder, python_path
):
    unpacked.check(unpacked_bundles / bundle, phantom(bundle), tmp_path / "out", smallest(bundle)["settings"])


@pytest.mark.slow
def test_all_five_work_in_one_process_that_has_no_other_common(unpacked_bundles, phantom, tmp_path, foreign_folder):
    jobs = [
        [str(unpacked_bundles / name), str(phantom(name)), str(tmp_path / name), smallest(name)["settings"]]
        for name in BUNDLES
    ]
    words = [sys.executable, str(REPOSITORY / "tests" / "bundles" / "unpacked.py"), json.dumps(jobs)]
    finished = run_command(words, foreign_folder, path=str(foreign_folder))
    assert finished.stdout.splitlines()[-5:] == [f"{name} works" for name in BUNDLES]


@first_by_default
def test_the_command_line_takes_an_unpacked_bundle_from_a_foreign_folder(
    bundle, unpacked_bundles, phantom, tmp_path, foreign_folder
):
    settings = {"dataset_dir": str(phantom(bundle)), "output_dir": str(tmp_path / "results")}
    words = command(bundle, "inferring", ["inference.json"], settings, bundle_root=unpacked_bundles / bundle)
    place = words.index("--bundle_root")
    run_command(words[:place] + words[place + 2 :], foreign_folder, path=None)
    assert read_csv(tmp_path / "results" / "predictions.csv")
    assert not (tmp_path / "results" / "failed.csv").exists()


@pytest.mark.slow
def test_two_processes_train_an_unpacked_bundle(unpacked_bundles, phantom, tmp_path, foreign_folder):
    settings = overrides(FIRST, phantom(FIRST), tmp_path)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "monai.bundle")
    configs = ["train.json", "multi_gpu_train.json"]
    words = command(FIRST, "training", configs, settings, launcher, bundle_root=unpacked_bundles / FIRST)
    run_command(words, foreign_folder, path=None)
    assert (tmp_path / "models" / "model.pt").is_file()


def test_two_versions_of_a_bundle_run_side_by_side(packed, phantom, tmp_path, python_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    with zipfile.ZipFile(packed(FIRST)) as archive:
        archive.extractall(first)
    with zipfile.ZipFile(_other_version(packed(FIRST), tmp_path, monkeypatch)) as archive:
        archive.extractall(second)
    loaded = []
    for folder in (first, second):
        sys.path.append(str(folder / FIRST))
        loaded.append(monai.bundle.load(FIRST, bundle_dir=folder, workflow_type="inference", device="cpu").eval())
    image = torch.rand(smallest(FIRST)["input_shape"], generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        one, two = (network(image) for network in loaded)
    torch.testing.assert_close(two, one + 7.0)
    for folder, network in zip((first, second), loaded, strict=True):
        flow = ConfigWorkflow(
            config_file=str(folder / FIRST / "configs" / "inference.json"),
            workflow_type="infer",
            logging_file=False,
            dataset_dir=str(phantom(FIRST)),
            output_dir=str(folder / "results"),
        )
        flow.initialize()
        flow.run()
        assert type(flow.network_def) is type(network)
        assert (folder / "results" / "predictions.csv").is_file()


def _other_version(zip_path, tmp_path, monkeypatch):
    """The zip of another version, whose network adds 7 to what this one says."""
    source = tmp_path / "other" / "common"
    shutil.copytree(carried_package.SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    module = source / "adc" / "network.py"
    module.write_text(module.read_text().replace("return self.final(", "return 7.0 + self.final("))
    assert "7.0 + self.final(" in module.read_text()
    bundle = tmp_path / "other" / "bundles" / FIRST
    with zipfile.ZipFile(zip_path) as archive:
        archive.extractall(bundle.parent)
    shutil.rmtree(bundle / "configs")
    shutil.copytree(root(FIRST) / "configs", bundle / "configs")
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    (bundle / "configs" / "metadata.json").write_text(json.dumps({**metadata, "version": "0.0.1"}))
    monkeypatch.setattr(carried_package, "SOURCE", source)
    path = pack([FIRST], tmp_path / "other" / "zips", folder=bundle.parent)[0]
    assert Path(path).with_name(f"{FIRST}_v0.0.1.zip").is_file()
    return path
