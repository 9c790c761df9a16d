"""What a folder holds beside its cases is named once a run, whichever part of the data the run reads."""

import shutil

import pytest

from tests.bundles.harness import BUNDLES, overrides, workflow


@pytest.mark.parametrize("bundle", BUNDLES)
@pytest.mark.parametrize(
    ("configs", "run_id", "settings"),
    [(["train.json"], "training", {}), (["train.json", "evaluate.json"], "evaluating", {"split": "validation"})],
    ids=["training", "evaluating"],
)
def test_a_stray_file_is_named_once(phantom, trained, tmp_path, caplog, bundle, configs, run_id, settings):
    data = shutil.copytree(phantom(bundle), tmp_path / "data")
    (data / "stray.webm").write_bytes(b"no image")
    models = shutil.copytree(trained(bundle) / "models", tmp_path / "models")
    flow = workflow(bundle, configs, run_id, **overrides(bundle, data, tmp_path, model_dir=str(models), **settings))
    flow.initialize()
    flow.run()
    flow.finalize()
    (named,) = (message for message in caplog.messages if "stray.webm" in message)
    assert "not used" in named
