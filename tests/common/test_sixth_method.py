"""The recipe of common/docs/sixth_method.md, built as it stands there: it trains, evaluates and infers."""

import json
import re
import sys
from pathlib import Path

import jsonschema
import pytest
from monai.bundle import ConfigWorkflow, verify_net_in_out

import common
from common.errors import FailedCasesError
from common.files import read_csv
from tests.bundles.harness import REPOSITORY

PAGE = Path(common.__file__).parent / "docs" / "sixth_method.md"
SETTINGS = {"max_epochs": 25, "precision": "float32", "device": "$torch.device('cpu')"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder in which every file of the page is written; `common.disc` is found there."""
    folder = tmp_path_factory.mktemp("sixth")
    files = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for name, content in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    common.__path__.append(str(folder / "common"))
    yield folder
    common.__path__.remove(str(folder / "common"))
    for name in [name for name in sys.modules if name.split(".")[:2] == ["common", "disc"]]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def trained(built):
    """The same folder after simulating and training."""
    from common.disc import simulate_discs

    simulate_discs(str(built / "data"))
    assert workflow(built, ["train"], "training", SETTINGS).check_properties() == []
    run(built, ["train"], "training", SETTINGS)
    return built


def workflow(folder, configs, run_id, settings):
    root = folder / "bundles" / "disc_radius"
    folders = {
        "bundle_root": str(root),
        "dataset_dir": str(folder / "data"),
        "model_dir": str(folder / "models"),
        "output_dir": str(folder / run_id),
    }
    flow = ConfigWorkflow(
        config_file=[str(root / "configs" / f"{name}.json") for name in configs],
        run_id=run_id,
        workflow_type="infer" if run_id == "inferring" else "train",
        meta_file=str(root / "configs" / "metadata.json"),
        logging_file=False,
        **{**folders, **settings},
    )
    flow.initialize()
    return flow


def run(folder, configs, run_id, settings):
    workflow(folder, configs, run_id, settings).run()
    return folder / settings.get("output_dir", run_id)


def test_the_page_holds_the_files_that_it_speaks_of(built):
    assert {path.name for path in (built / "common" / "disc").iterdir() if path.suffix == ".py"} == {
        f"{name}.py" for name in ("__init__", "phantom", "datalist", "load", "network", "loss", "evaluation", "results")
    }


def test_the_metadata_keep_to_the_schema_and_describe_the_network(built):
    configs = built / "bundles" / "disc_radius" / "configs"
    schema = json.loads((REPOSITORY / "tests" / "bundles" / "metadata_schema.json").read_text())
    jsonschema.validate(json.loads((configs / "metadata.json").read_text()), schema)
    files = {"meta_file": str(configs / "metadata.json"), "config_file": str(configs / "inference.json")}
    verify_net_in_out(net_id="network_def", device="cpu", bundle_root=str(configs.parent), **files)


def test_training_keeps_a_model_with_its_settings_and_its_history(trained):
    assert json.loads((trained / "models" / "model.json").read_text())["settings"] == {"width": 8}
    errors = [float(row["mean_error"]) for row in read_csv(trained / "training" / "history.csv")]
    assert len(errors) == SETTINGS["max_epochs"]
    assert min(errors) < 0.5 * errors[0]


def test_evaluation_puts_the_baseline_beside_the_model(trained):
    output = run(trained, ["train", "evaluate"], "evaluating", SETTINGS)
    rows = json.loads((output / "evaluation.json").read_text())
    assert [row["method"] for row in rows] == ["model", "threshold at 0.5"]
    assert all(row["low"] <= row["value"] <= row["high"] and row["cases"] == 4 for row in rows)
    # A disc's pixels are counted, so the threshold is off by what a grid and noise of a tenth allow.
    assert rows[1]["value"] < 0.2


def test_inference_writes_every_case_and_names_the_one_that_cannot_be_read(trained):
    (trained / "data" / "broken.npy").write_bytes(b"no array")
    with pytest.raises(RuntimeError) as raised:
        run(trained, ["inference"], "inferring", SETTINGS)
    cause = raised.value
    while cause is not None and not isinstance(cause, FailedCasesError):
        cause = cause.__cause__
    assert str(cause).startswith("1 case failed")
    output = trained / "inferring"
    (failed,) = read_csv(output / "failed.csv")
    assert failed["case"] == "broken" and "expected an array saved by numpy" in failed["reason"]
    assert len(read_csv(output / "predictions.csv")) == 20
    assert json.loads((output / "disc07.json").read_text())["weights"].endswith("model.pt")
    assert (output / "disc07.png").is_file()
