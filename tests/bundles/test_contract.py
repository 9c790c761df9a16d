"""What every bundle promises, from its configs alone; a new bundle is covered by being there."""

import hashlib
import json
import re

import jsonschema
import pytest
import torch
from monai.bundle import ConfigParser, verify_net_in_out
from monai.data import MetaTensor

from common.files import DIGEST, read_sealed_json
from common.label.served import ServedBundle
from tests.bundles import harness
from tests.bundles.harness import BUNDLES, REPOSITORY, overrides, root, smallest, workflow

CONFIGS = [path for bundle in BUNDLES for path in sorted((root(bundle) / "configs").glob("*.json"))]
each_bundle = pytest.mark.parametrize("bundle", BUNDLES)
each_config = pytest.mark.parametrize("path", CONFIGS, ids=[f"{p.parent.parent.name}-{p.stem}" for p in CONFIGS])


@each_bundle
def test_has_the_files_of_a_bundle(bundle):
    names = ["metadata", "train", "pretrain", "evaluate", "inference", "multi_gpu_train", "multi_gpu_inference"]
    files = [f"configs/{name}.json" for name in names] + ["studies/demo.json", "studies/weights.json"]
    files += ["LICENSE", "configs/logging.conf", "docs/README.md", "docs/data_license.txt"]
    assert [file for file in files if not (root(bundle) / file).is_file()] == []


@each_bundle
def test_metadata_keeps_to_the_schema(bundle):
    schema = json.loads((REPOSITORY / "tests" / "bundles" / "metadata_schema.json").read_text())
    metadata = json.loads((root(bundle) / "configs" / "metadata.json").read_text())
    jsonschema.validate(metadata, schema)
    assert metadata["version"] in metadata["changelog"]
    channels = metadata["network_data_format"]["outputs"]["pred"]
    assert len(channels["channel_def"]) == channels["num_channels"]


@each_bundle
def test_metadata_says_what_a_server_answers(bundle):
    kind = ServedBundle(root(bundle)).kind
    assert kind["type"] in ("segmentation", "classification", "others")
    assert (kind["type"] == "others") == (kind["labels"] == [])


@each_bundle
def test_network_takes_and_gives_what_the_metadata_says(bundle):
    configs = root(bundle) / "configs"
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(configs / "metadata.json"),
        config_file=str(configs / "inference.json"),
        device="cpu",
        n=smallest(bundle).get("n", 1),
    )


@each_bundle
def test_network_answers_monais_tensors_as_it_does_plain_ones(bundle):
    parser = ConfigParser.load_config_files(root(bundle) / "configs" / "inference.json")
    configured = ConfigParser({**parser, **smallest(bundle)["settings"], "bundle_root": str(root(bundle))})
    network = configured.get_parsed_content("network_def").eval()
    image = torch.rand(smallest(bundle)["input_shape"], generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        plain, others = network(image), network(MetaTensor(image))
    torch.testing.assert_close(torch.as_tensor(others), torch.as_tensor(plain), rtol=0, atol=0)


@each_bundle
def test_training_has_monais_properties(bundle, phantom, tmp_path):
    flow = workflow(bundle, ["train.json"], "training", **overrides(bundle, phantom(bundle), tmp_path))
    flow.initialize()
    assert flow.check_properties() == []


@each_bundle
def test_inference_builds_and_has_monais_properties_without_data(bundle, tmp_path):
    settings = overrides(bundle, tmp_path / "nothing", tmp_path)
    flow = workflow(bundle, ["inference.json"], "inferring", "infer", **settings)
    flow.initialize()
    assert flow.check_properties() == []
    assert flow.evaluator is not None


@each_bundle
def test_run_ids_are_there_with_their_alias(bundle):
    stages = [
        (["pretrain.json"], "pretraining"),
        (["train.json"], "training"),
        (["train.json", "evaluate.json"], "evaluating"),
        (["inference.json"], "inferring"),
    ]
    for configs, run_id in stages:
        parser = ConfigParser()
        parser.read_config([str(root(bundle) / "configs" / name) for name in configs])
        parser.parse()
        assert parser[run_id], f"{configs} lacks {run_id}"
        assert str(parser["run"]).replace("::", "#") == str(parser[run_id]).replace("::", "#")


@each_bundle
def test_training_and_inference_define_one_network_where_no_weights_say_another(bundle, tmp_path):
    shapes = []
    for name in ("train.json", "inference.json"):
        parser = ConfigParser()
        parser.read_config(str(root(bundle) / "configs" / name))
        parser.update(smallest(bundle)["settings"])
        parser.update({"bundle_root": str(root(bundle)), "model_dir": str(tmp_path)})
        state = parser.get_parsed_content("network_def").state_dict()
        shapes.append({key: tuple(value.shape) for key, value in state.items()})
    assert shapes[0] == shapes[1]


@each_bundle
def test_validation_and_inference_prepare_a_case_alike(bundle, phantom, tmp_path):
    settings = overrides(bundle, phantom(bundle), tmp_path)
    training = workflow(bundle, ["train.json"], "training", **settings)
    training.initialize()
    wanted = training.val_dataset[0]
    inference = workflow(bundle, ["inference.json"], "inferring", "infer", **settings)
    inference.initialize()
    same = [
        sample
        for sample in inference.dataset
        if all(str(sample.get(k)) == str(wanted.get(k)) for k in smallest(bundle).get("same", ["case", "slice_number"]))
    ]
    assert len(same) == 1
    torch.testing.assert_close(torch.as_tensor(same[0]["image"]), torch.as_tensor(wanted["image"]), rtol=0, atol=1e-6)


@each_config
def test_run_lists_take_the_command_line_first(path):
    config = json.loads(path.read_text())
    for run_id in {"training", "pretraining", "evaluating", "inferring"} & config.keys():
        assert config[run_id][0] == "$@typed(__local_refs)"


@each_bundle
@pytest.mark.parametrize("name", ["train.json", "pretrain.json"])
def test_the_metric_that_decides_which_model_is_kept_is_computed(bundle, name):
    parser = ConfigParser()
    parser.read_config(str(root(bundle) / "configs" / name))
    computed = set(parser.get("validate#key_metric", {})) | set(parser.get("validate#additional_metrics", {}))
    assert parser["metric"] in computed


@each_config
def test_config_lines_and_expressions_are_short_and_plain(path):
    if path.stem == "metadata":
        pytest.skip("texts, not code")
    for number, line in enumerate(path.read_text().splitlines(), 1):
        assert len(line) <= 120, f"{path.name}:{number}: {len(line)} columns"
    for key, text in _strings(json.loads(path.read_text())):
        assert not re.search(r"handlers#\d|transforms#\d", key + text), f"{key} addresses by index"
        if not text.startswith("$"):
            continue
        assert len(text) <= 80 or key.endswith("device"), f"{key}: {len(text)} characters: {text}"
        assert not re.search(r"\blambda\b|\bfor\b", text), f"{key}: {text}"
        assert not re.search(r"\bif\b", text) or key in ("device", "backend"), f"{key}: {text}"


@each_config
def test_config_names_common_as_kind_and_name(path):
    for key, text in _strings(json.loads(path.read_text())):
        if text.startswith("common."):
            assert re.fullmatch(r"common\.[a-z_]+\.[A-Za-z0-9_]+", text), f"{key}: {text}"


@each_bundle
def test_each_stage_runs_and_keeps_its_weights(bundle, trained):
    work = trained(bundle)
    for name in ("pretrained.pt", "model.pt"):
        state = torch.load(work / "models" / name, weights_only=True)
        assert state and all(torch.is_tensor(value) for value in state.values())
    for run_id in ("pretraining", "training"):
        assert (work / run_id / "history.csv").is_file()
        assert (work / run_id / "history.png").is_file()


@each_bundle
def test_evaluation_writes_its_table(bundle, trained, phantom, tmp_path):
    settings = overrides(bundle, phantom(bundle), tmp_path, model_dir=str(trained(bundle) / "models"))
    flow = workflow(bundle, ["train.json", "evaluate.json"], "evaluating", **settings)
    flow.initialize()
    flow.run()
    rows = json.loads((tmp_path / "output" / "evaluation.json").read_text())
    assert {"method", "metric", "value", "low", "high", "cases"} <= set(rows[0])
    assert len({row["method"] for row in rows}) >= 2, "a baseline stands beside the model"


@each_bundle
def test_inference_writes_results_for_every_case_and_no_failures(bundle, trained, phantom, tmp_path):
    settings = overrides(bundle, phantom(bundle), tmp_path, model_dir=str(trained(bundle) / "models"))
    flow = workflow(bundle, ["inference.json"], "inferring", "infer", **settings)
    flow.initialize()
    flow.run()
    output = tmp_path / "output"
    assert (output / "predictions.csv").is_file()
    assert list(output.rglob("*.png")), "a picture for people"
    assert not (output / "failed.csv").exists()
    assert not list(output.rglob(".partial-*"))


@each_bundle
def test_weights_are_used_as_they_were_trained_without_being_told(bundle, trained, phantom, tmp_path):
    folders = {"dataset_dir": str(phantom(bundle)), "model_dir": str(trained(bundle) / "models")}
    settings = json.loads((trained(bundle) / "models" / "model.json").read_text())["settings"]
    for configs in (["inference.json"], ["train.json", "evaluate.json"]):
        parser = ConfigParser()
        parser.read_config([str(root(bundle) / "configs" / name) for name in configs])
        parser.update({**folders, "bundle_root": str(root(bundle)), "output_dir": str(tmp_path)})
        known = [name for name in settings if name in parser.get()]
        assert len(known) >= 2
        assert {name: parser.get_parsed_content(name) for name in known} == {name: settings[name] for name in known}
        state = torch.load(trained(bundle) / "models" / "model.pt", weights_only=True)
        assert {k: v.shape for k, v in parser.get_parsed_content("network_def").state_dict().items()} == {
            k: v.shape for k, v in state.items()
        }


@each_bundle
def test_training_builds_the_network_of_the_weights_that_it_starts_from(bundle, trained):
    parser = ConfigParser()
    parser.read_config(str(root(bundle) / "configs" / "train.json"))
    parser.update({"bundle_root": str(root(bundle)), "model_dir": str(trained(bundle) / "models")})
    started = torch.load(trained(bundle) / "models" / "pretrained.pt", weights_only=True)
    network = parser.get_parsed_content("network_def").state_dict()
    shared = [key for key in network if key in started]
    assert len(shared) >= 10
    last = {"final.weight", "final.bias"}  # restores two channels in stage 1 of LADP, segments one in stage 2
    assert {key for key in shared if network[key].shape != started[key].shape} <= last


@each_bundle
def test_data_that_is_not_there_is_an_error_that_says_how_to_make_it(bundle, tmp_path):
    settings = overrides(bundle, tmp_path / "empty", tmp_path)
    (tmp_path / "empty").mkdir()
    flow = workflow(bundle, ["train.json"], "training", **settings)
    flow.initialize()
    with pytest.raises(Exception) as caught:
        flow.run()
    messages = _chain(caught.value)
    assert f"python -m common simulate {bundle}" in messages, messages


def _chain(error):
    text = ""
    while error is not None:
        text += f"{error}\n"
        error = error.__cause__ or error.__context__
    return text


def _strings(value, key=""):
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _strings(item, f"{key}#{name}" if key else name)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, key)


def test_there_is_at_least_one_bundle():
    assert harness.BUNDLES


@each_bundle
@pytest.mark.parametrize("name", ["model", "pretrained"])
def test_shipped_weights_are_those_that_their_description_names(bundle, name):
    path = root(bundle) / "models" / f"{name}.json"
    description = read_sealed_json(path, "a description", "")
    assert DIGEST in path.read_text()
    assert description["sha256"] == hashlib.sha256((root(bundle) / "models" / f"{name}.pt").read_bytes()).hexdigest()
