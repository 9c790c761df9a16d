import shutil
import sys
import zipfile

import pytest

from common.commands.pack import pack
from tests.bundles import harness
from tests.bundles.label_server import Server, label_python


@pytest.fixture
def python_path():
    """The import path; it is as before when the test ends, and what unpacked bundles carry is forgotten."""
    before = sys.path[:]
    yield sys.path
    sys.path[:] = before
    for name in [name for name in sys.modules if name.split(".")[0].endswith("_common")]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def phantom(tmp_path_factory):
    """Folder of the bundle's smallest phantom, written once a session."""
    folders = {}

    def folder(bundle):
        if bundle not in folders:
            folders[bundle] = harness.simulate(bundle, tmp_path_factory.mktemp(bundle) / "data")
        return folders[bundle]

    return folder


@pytest.fixture(scope="session")
def trained(phantom, tmp_path_factory):
    """Working folder of a bundle after one step of each stage: models, outputs and the overrides used."""
    finished = {}

    def work(bundle):
        if bundle not in finished:
            folder = tmp_path_factory.mktemp(f"{bundle}_trained")
            for config, run_id in (("pretrain.json", "pretraining"), ("train.json", "training")):
                settings = harness.overrides(bundle, phantom(bundle), folder)
                settings["output_dir"] = str(folder / run_id)
                flow = harness.workflow(bundle, [config], run_id, **settings)
                flow.initialize()
                flow.run()
                flow.finalize()
            finished[bundle] = folder
        return finished[bundle]

    return work


@pytest.fixture(scope="session")
def packed(trained, tmp_path_factory):
    """The zip of a bundle with weights after one step of each stage."""
    output = tmp_path_factory.mktemp("zips")
    bundles = tmp_path_factory.mktemp("packed") / "bundles"

    def path(bundle):
        if not (bundles / bundle).is_dir():
            kept_out = shutil.ignore_patterns("models", "eval", "runs", "cache")
            shutil.copytree(harness.root(bundle), bundles / bundle, ignore=kept_out)
            shutil.copytree(trained(bundle) / "models", bundles / bundle / "models")
            pack([bundle], output, folder=bundles)
        return output / f"{bundle}.zip"

    return path


@pytest.fixture(scope="session")
def unpacked_bundles(packed, tmp_path_factory):
    """Folder in which the zips of all bundles are unpacked side by side."""
    folder = tmp_path_factory.mktemp("unpacked")
    for bundle in harness.BUNDLES:
        with zipfile.ZipFile(packed(bundle)) as archive:
            archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def python(request):
    """The Python of the label servers."""
    return label_python(request.config.cache.mkdir("label"))


@pytest.fixture(scope="module")
def serve(python, tmp_path_factory):
    """Starts a label server with a folder `state` of its own, until the module ends."""
    started = []

    def start(studies, bundles, *options, **variables):
        state = tmp_path_factory.mktemp("state")
        words = ["-m", "common", "label", "--studies", str(studies), "--bundles", str(bundles), "--state", str(state)]
        words += [*options, "--port", "{port}"]
        started.append(Server(python, words, tmp_path_factory.mktemp("server"), **variables))
        started[-1].state = state
        return started[-1]

    yield start
    for server in started:
        server.stop()
