"""What the tests over all bundles share: each bundle found by being there, at a size that takes seconds."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

from monai.bundle import ConfigParser, ConfigWorkflow

from common.bundle import bundle_names, config_paths, installed_bundles_folder
from common.commands.study_file import read_study

BUNDLES = bundle_names()
REPOSITORY = Path(__file__).resolve().parents[2]


def root(bundle):
    return installed_bundles_folder() / bundle


def smallest(bundle):
    """Settings of tests/bundles/smallest/BUNDLE.json: phantom, overrides, input shape of the network."""
    return json.loads((REPOSITORY / "tests" / "bundles" / "smallest" / f"{bundle}.json").read_text())


def simulate(bundle, directory, **settings):
    """The phantom of the bundle's demo, at its smallest."""
    call = read_study(bundle, "demo")["data"]["data"]
    arguments = {**call, **smallest(bundle)["simulate"], **settings, "directory": str(directory)}
    ConfigParser({"call": arguments}).get_parsed_content("call")
    return Path(directory)


def overrides(bundle, data, work, **more):
    """Overrides that keep every output in `work`."""
    folders = {"dataset_dir": str(data), "model_dir": str(work / "models"), "output_dir": str(work / "output")}
    return {**folders, **smallest(bundle)["settings"], **more}


def workflow(bundle, configs, run_id, workflow_type="train", **settings):
    return ConfigWorkflow(
        config_file=config_paths(root(bundle), configs),
        run_id=run_id,
        workflow_type=workflow_type,
        logging_file=False,
        bundle_root=str(root(bundle)),
        **settings,
    )


def command(bundle, run_id, configs, settings, launcher=("-m", "monai.bundle"), bundle_root=None):
    """The words of the command line that runs `run_id`; `launcher` stands between python and `run`."""
    bundle_root = bundle_root or root(bundle)
    paths = config_paths(bundle_root, configs)
    words = [sys.executable, *launcher, "run", run_id, "--config_file", repr(paths)]
    for key, value in {"bundle_root": str(bundle_root), **settings}.items():
        words += [f"--{key}", value if isinstance(value, str) else repr(value)]
    return words


def environment(path=REPOSITORY):
    """The environment of a child process that finds the packages of this checkout, or of `path`, from any folder."""
    return {**os.environ, "PYTHONPATH": str(path or ""), "OMP_NUM_THREADS": "1"}


def run_command(words, folder, timeout=240, path=REPOSITORY):
    """Run a command in `folder` and return it, finished; its output is in the failure message."""
    finished = subprocess.run(
        words, cwd=folder, env=environment(path), capture_output=True, text=True, timeout=timeout, check=False
    )
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
    return finished


def same_but_for_rounding(one, two):
    """Whether all but decimal numbers is equal, and those to 1e-5 of them, or to one unit of the last digit written."""
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same_but_for_rounding(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same_but_for_rounding, one, two))
    digits = [re.fullmatch(r"-?\d+\.(\d+)", str(value)) for value in (one, two)]
    if not all(digits):
        return one == two
    unit = 10.0 ** -min(len(found[1]) for found in digits)
    return math.isclose(float(one), float(two), rel_tol=1e-5, abs_tol=1.01 * unit)
