"""TorchScript and ONNX exports give what the network gives."""

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ckpt_export, onnx_export
from monai.data import load_net_with_metadata

from tests.bundles.harness import BUNDLES, root, smallest

each_bundle = pytest.mark.parametrize("bundle", BUNDLES)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture
def eager(bundle, trained):
    """The trained network, its weights file, config, settings and an input with its output."""
    config = str(root(bundle) / "configs" / "inference.json")
    parser = ConfigParser()
    parser.read_config(config)
    settings = {**smallest(bundle)["settings"], "bundle_root": str(root(bundle))}
    parser.update(settings)
    weights = str(trained(bundle) / "models" / "model.pt")
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    image = torch.rand(smallest(bundle)["input_shape"], generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return weights, config, settings, image, network(image)


@each_bundle
def test_torchscript_equals_eager(bundle, eager, tmp_path):
    weights, config, settings, image, expected = eager
    path = str(tmp_path / "model.ts")
    ckpt_export(
        net_id="network_def",
        filepath=path,
        ckpt_file=weights,
        meta_file=str(root(bundle) / "configs" / "metadata.json"),
        config_file=config,
        **settings,
    )
    network, metadata, extra = load_net_with_metadata(path, more_extra_files=["inference.json"])
    with torch.inference_mode():
        torch.testing.assert_close(network(image), expected, rtol=1e-4, atol=1e-4)
    assert metadata["name"]
    assert extra["inference.json"]


@each_bundle
def test_onnx_equals_eager(bundle, eager, tmp_path):
    import onnxruntime

    weights, config, settings, image, expected = eager
    path = str(tmp_path / "model.onnx")
    onnx_export(
        net_id="network_def",
        filepath=path,
        ckpt_file=weights,
        meta_file=str(root(bundle) / "configs" / "metadata.json"),
        config_file=config,
        use_trace=True,
        input_shape=list(image.shape),
        **settings,
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    result = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
    np.testing.assert_allclose(result, expected.numpy(), rtol=1e-4, atol=1e-4)
