"""What a bundle's metadata lists beside MONAI and torch is what its zip needs: no more, no less."""

import ast
import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions

import pytest

from tests.bundles.harness import BUNDLES, REPOSITORY, config_paths, root, smallest

each_bundle = pytest.mark.parametrize("bundle", BUNDLES)

NAMED_APART = {"monai", "torch", "numpy"}  # monai_version, pytorch_version, numpy_version
OPTIONAL = {"highdicom", "umap-learn"}  # DICOM objects are the extra dicom; t-SNE stands in for UMAP
ASKED_FOR_BY_MONAI = {"fire", "nibabel", "tensorboard", "tqdm"}  # command line, orientations, log, progress bar
STAGES = [
    ("pretraining", ["pretrain.json"]),
    ("training", ["train.json"]),
    ("evaluating", ["train.json", "evaluate.json"]),
    ("inferring", ["inference.json"]),
]


def metadata(bundle):
    return json.loads((root(bundle) / "configs" / "metadata.json").read_text())


def imported(zip_path):
    """The distributions outside Python whose modules the code in a zip imports."""
    modules = set()
    with zipfile.ZipFile(zip_path) as archive:
        for name in archive.namelist():
            for node in ast.walk(ast.parse(archive.read(name))) if name.endswith(".py") else ():
                if isinstance(node, ast.Import):
                    modules |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    modules.add(node.module.split(".")[0])
    known = {**packages_distributions(), "umap": ["umap-learn"]}
    return {known[module][0].lower() for module in modules - set(sys.stdlib_module_names)}


@each_bundle
def test_the_metadata_lists_every_package_that_the_carried_code_imports(bundle, packed):
    listed = {name.lower() for name in metadata(bundle)["required_packages_version"]}
    found = imported(packed(bundle)) - OPTIONAL - NAMED_APART
    assert found <= listed
    assert listed - found <= ASKED_FOR_BY_MONAI


@pytest.fixture(scope="session")
def with_torch_and_monai(tmp_path_factory):
    """Folder of the packages of a virtual environment that has MONAI, torch and numpy as all bundles name them."""
    wanted = {tuple(metadata(b)[f"{name}_version"] for name in ("monai", "pytorch", "numpy")) for b in BUNDLES}
    assert len(wanted) == 1
    monai, torch, numpy = wanted.pop()
    folder = tmp_path_factory.mktemp("base") / "venv"
    python = new_environment(folder)
    install(python, [f"monai=={monai}", f"torch=={torch}", f"numpy=={numpy}"])
    return site_packages(python)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@each_bundle
def test_a_clean_environment_with_what_is_listed_runs_every_stage(
    bundle, unpacked_bundles, phantom, with_torch_and_monai, tmp_path
):
    python = new_environment(tmp_path / "venv")
    (site_packages(python) / "base.pth").write_text(f"{with_torch_and_monai}\n")
    install(python, [f"{name}=={version}" for name, version in metadata(bundle)["required_packages_version"].items()])
    folders = {"dataset_dir": str(phantom(bundle)), "model_dir": str(tmp_path / "models")}
    for run_id, configs in STAGES:
        words = [str(python), "-m", "monai.bundle", "run", run_id, "--config_file"]
        words.append(repr(config_paths(unpacked_bundles / bundle, configs)))
        for key, value in {**folders, "output_dir": str(tmp_path / run_id), **smallest(bundle)["settings"]}.items():
            words += [f"--{key}", value if isinstance(value, str) else repr(value)]
        run(words, tmp_path)
    script = str(REPOSITORY / "tests" / "bundles" / "unpacked.py")
    job = [str(unpacked_bundles / bundle), str(phantom(bundle)), str(tmp_path / "job"), smallest(bundle)["settings"]]
    assert run([str(python), script, json.dumps([job])], tmp_path).stdout.endswith(f"{bundle} works\n")
    assert run([str(python), "-m", "pip", "check"], tmp_path)


def new_environment(folder):
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder / "bin" / "python"


def site_packages(python):
    return next(python.parent.parent.glob("lib/python*/site-packages"))


def install(python, packages):
    run([str(python), "-m", "pip", "install", "--quiet", *packages], python.parent)


def run(words, folder):
    """Run a command without the repository on its path."""
    environment = {**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, f"{words}\n{finished.stdout[-2000:]}{finished.stderr[-3000:]}"
    return finished
