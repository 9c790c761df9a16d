import pytest

from tests.bundles import harness


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
