import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from common.echo import EjectionFractionNet, UniFormer
from tests.golden_recipe import fill, noise_image

GOLDEN = Path(__file__).parents[2] / "golden"
SMALL = {"depths": (1, 1, 2, 1), "widths": (8, 16, 32, 64), "head_width": 16}


@pytest.fixture(scope="module")
def published():
    """The full network, each tensor filled by its published name."""
    network = EjectionFractionNet().eval()
    for name, tensor in network.state_dict().items():
        tensor.copy_(torch.from_numpy(np.asarray(fill(name.removeprefix("encoder."), tuple(tensor.shape)))))
    return network


@pytest.mark.parametrize("seed", ["21", "22"])
def test_gives_the_published_features_and_ef(published, seed):
    golden = np.load(GOLDEN / "uniformer_s.npz")
    clip = torch.from_numpy(2 * noise_image(tuple(golden[f"{seed}/shape"]), int(seed)) - 1)
    with torch.inference_mode():
        features = published.encoder(clip)
        ef = published.regressor(features)
    scale = np.abs(golden[f"{seed}/features"]).max()
    np.testing.assert_allclose(features.numpy(), golden[f"{seed}/features"], rtol=1e-3, atol=1e-3 * scale)
    np.testing.assert_allclose(ef.numpy(), golden[f"{seed}/ef"], rtol=1e-3)


def test_has_the_published_tensors_and_size(published):
    keys = json.loads((GOLDEN / "uniformer_s_keys.json").read_text())
    ours = {name: list(tensor.shape) for name, tensor in published.encoder.state_dict().items()}
    assert ours == {name: shape for name, shape in keys.items() if not name.startswith("head.")}
    assert sum(p.numel() for p in published.encoder.parameters()) == 21_195_200
    assert sum(p.numel() for p in published.regressor.parameters()) == 265_217


@pytest.mark.parametrize("shape", [(1, 3, 4, 32, 32), (2, 3, 7, 64, 96), (1, 3, 16, 50, 33)])
def test_takes_clips_of_any_length_and_size(shape):
    assert UniFormer(**SMALL)(torch.zeros(shape)).shape == (shape[0], 64)


def test_keeps_its_result_when_scripted():
    network = EjectionFractionNet(**SMALL).eval()
    scripted = torch.jit.script(network)
    for shape in [(2, 3, 4, 32, 32), (1, 3, 6, 64, 32)]:
        clip = torch.rand(shape)
        torch.testing.assert_close(scripted(clip), network(clip))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the exporter's own, of torch 2.9 and later
def test_keeps_its_result_in_onnx():
    onnxruntime = pytest.importorskip("onnxruntime")
    network = EjectionFractionNet(**SMALL).eval()
    buffer = io.BytesIO()
    axes = {"image": {0: "batch", 2: "frames", 3: "rows", 4: "columns"}}
    torch.onnx.export(
        network, (torch.rand(2, 3, 4, 32, 32),), buffer, input_names=["image"], dynamic_axes=axes, dynamo=False
    )
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    for shape in [(2, 3, 4, 32, 32), (1, 3, 8, 64, 32)]:
        clip = torch.rand(shape)
        found = session.run(None, {"image": clip.numpy()})[0]
        np.testing.assert_allclose(found, network(clip).detach().numpy(), rtol=1e-4)


def test_ignores_a_permutation_of_the_batch():
    network = UniFormer(**SMALL).eval()
    clips = torch.rand(3, 3, 4, 32, 32)
    torch.testing.assert_close(network(clips[[2, 0, 1]]), network(clips)[[2, 0, 1]])


def test_names_what_does_not_fit():
    with pytest.raises(ValueError, match=r"four stages each, found \[1, 2\]"):
        UniFormer(depths=(1, 2))
    with pytest.raises(ValueError, match="multiples of 64 in stages 3 and 4"):
        UniFormer(widths=(8, 16, 100, 128))
