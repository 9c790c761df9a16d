"""TorchScript and ONNX exports give what the network gives, on a phantom case and in batches of another size."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser, ckpt_export, onnx_export
from monai.data import load_net_with_metadata

from tests.bundles.harness import BUNDLES, REPOSITORY, environment, overrides, root, smallest, workflow

QUICK = "cmr_hf_classify"
BACKBONES = ("EfficientNetB0", "MobileNetV2", "ResNet50")
each_bundle = pytest.mark.parametrize("bundle", BUNDLES)
quick_by_default = pytest.mark.parametrize(
    "bundle", [pytest.param(name, marks=() if name == QUICK else pytest.mark.slow) for name in BUNDLES]
)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

DYNAMIC_BATCH = {
    "input_names": ["image"],
    "output_names": ["pred"],
    "dynamic_axes": {"image": {0: "batch"}, "pred": {0: "batch"}},
}


@pytest.fixture
def case(bundle, trained, phantom, tmp_path):
    """The trained network, the arguments that export it, and the image that inference shows it first."""
    settings = overrides(bundle, phantom(bundle), tmp_path, model_dir=str(trained(bundle) / "models"))
    flow = workflow(bundle, ["inference.json"], "inferring", "infer", **settings)
    flow.initialize()
    images = []
    hook = flow.network_def.register_forward_pre_hook(
        lambda _, inputs: images.append(inputs[0].as_subclass(torch.Tensor))
    )
    flow.run()
    hook.remove()
    weights = str(trained(bundle) / "models" / "model.pt")
    return flow.network_def.eval(), export_arguments(bundle, weights, **settings), images[0].clone()


def export_arguments(bundle, weights, **settings):
    configs = root(bundle) / "configs"
    return {
        "net_id": "network_def",
        "ckpt_file": weights,
        "meta_file": str(configs / "metadata.json"),
        "config_file": str(configs / "inference.json"),
        "bundle_root": str(root(bundle)),
        **settings,
    }


def batch_of(image, size):
    """Images that differ: the first one, dimmed step by step."""
    return torch.cat([image[:1] * (1 - 0.1 * number) for number in range(size)])


def assert_equals_eager(result, network, images):
    with torch.inference_mode():
        expected = network(images)
    result = torch.as_tensor(result)
    assert result.shape == expected.shape
    assert (result - expected).abs().max() <= 1e-4 * expected.abs().max()


@each_bundle
def test_torchscript_equals_eager_and_gives_metadata_and_inference_config_back(bundle, case, tmp_path):
    network, arguments, image = case
    path = str(tmp_path / "model.ts")
    ckpt_export(filepath=path, **arguments)
    exported, metadata, extra = load_net_with_metadata(path, more_extra_files=["inference.json"])
    for size in (1, 3):
        images = batch_of(image, size)
        with torch.inference_mode():
            assert_equals_eager(exported(images), network, images)
    kept = json.loads(Path(arguments["meta_file"]).read_text())
    assert {name: metadata[name] for name in kept} == kept
    assert json.loads(extra["inference.json"]) == json.loads(Path(arguments["config_file"]).read_text())


@quick_by_default
def test_onnx_equals_eager_for_any_batch_size(bundle, case, tmp_path):
    network, arguments, image = case
    check_onnx(network, arguments, image, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_of_doppler_keypoint_exports(backbone, tmp_path):
    settings = {**smallest("doppler_keypoint")["settings"], "backbone": backbone}
    arguments = export_arguments("doppler_keypoint", str(tmp_path / "model.pt"), **settings)
    parser = ConfigParser()
    parser.read_config(arguments["config_file"])
    parser.update({**settings, "bundle_root": arguments["bundle_root"]})
    network = parser.get_parsed_content("network_def").eval()
    torch.save(network.state_dict(), arguments["ckpt_file"])
    image = torch.rand(smallest("doppler_keypoint")["input_shape"], generator=torch.Generator().manual_seed(0))
    ckpt_export(filepath=str(tmp_path / "model.ts"), **arguments)
    with torch.inference_mode():
        assert_equals_eager(torch.jit.load(str(tmp_path / "model.ts"))(image), network, image)
    check_onnx(network, arguments, image, tmp_path)


def check_onnx(network, arguments, image, folder):
    import onnxruntime

    path = str(folder / "model.onnx")
    shape = [2, *image.shape[1:]]
    onnx_export(filepath=path, use_trace=True, input_shape=shape, converter_kwargs=dict(DYNAMIC_BATCH), **arguments)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for size in (1, 2, 5):
        images = batch_of(image, size)
        assert_equals_eager(session.run(["pred"], {"image": images.numpy()})[0], network, images)


@pytest.mark.slow
@pytest.mark.timeout(900)
@each_bundle
def test_the_documented_lines_export_an_unpacked_bundle(bundle, unpacked_bundles, tmp_path):
    lines = re.findall(
        r"^python -m monai\.bundle (?:ckpt|onnx)_export .*$", (REPOSITORY / "common/docs/packages.md").read_text(), re.M
    )
    assert len(lines) == 2
    (tmp_path / "bundles").symlink_to(unpacked_bundles)
    shape = repr([2, *smallest(bundle)["input_shape"][1:]])
    for line in lines:
        line = (
            line.replace("python", sys.executable, 1).replace("bundles/B", f"bundles/{bundle}").replace("SHAPE", shape)
        )
        path = {"PYTHONPATH": str(unpacked_bundles / bundle)}
        finished = subprocess.run(
            line, shell=True, cwd=tmp_path, env={**environment(), **path}, capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0, finished.stderr[-3000:]
    assert (tmp_path / "model.ts").is_file() and (tmp_path / "model.onnx").is_file()
    _, metadata, extra = load_net_with_metadata(str(tmp_path / "model.ts"), more_extra_files=["inference.json"])
    assert metadata["name"]
    assert f"{bundle}_common." in str(extra["inference.json"])
