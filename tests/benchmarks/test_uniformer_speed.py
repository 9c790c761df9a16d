"""UniFormer-S and its EF head on one clip of 36 x 112 x 112: the ways to run it on a CPU, beside the published one."""

import io
import os
import shutil
from pathlib import Path

import pytest
import torch

import common.echo.uniformer as uniformer
from common.bundle import installed_bundles_folder, trained_settings
from common.echo import EjectionFractionNet, NormalizeClip, ReadClips, simulate_echo
from common.training import load_weights
from tests.benchmarks.clock import side_by_side

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.timeout(1800),  # the compiler takes minutes
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the exporter's own, of torch 2.9 and later
]
SHIPPED = installed_bundles_folder() / "echo_coreecho" / "models" / "model.pt"


def published(network, clips):
    """The network in plain torch: attention as two products, 1 x 1 x 1 convolutions as convolutions."""

    def attention(query, key, value):
        return (query * query.shape[-1] ** -0.5 @ key.mT).softmax(-1) @ value

    def pointwise(layer, x):
        return torch.nn.functional.conv3d(x.contiguous(), layer.weight, layer.bias)

    def forward():
        with pytest.MonkeyPatch.context() as plain:
            plain.setattr(uniformer.functional, "scaled_dot_product_attention", attention)
            plain.setattr(uniformer._Pointwise, "forward", pointwise)
            return network(clips)

    return forward


def eager(network, clips):
    return lambda: network(clips)


def channels_last(network, clips):
    network = network.to(memory_format=torch.channels_last_3d)
    last = clips.contiguous(memory_format=torch.channels_last_3d)
    return lambda: network(last)


def compiled(network, clips):
    if not shutil.which(os.environ.get("CXX", "g++")):
        pytest.skip("torch.compile needs a C++ compiler and Python's headers")
    function = torch.compile(network)
    return lambda: function(clips)


def onnxruntime(network, clips):
    runtime = pytest.importorskip("onnxruntime")
    buffer = io.BytesIO()
    torch.onnx.export(network, (clips,), buffer, input_names=["image"], dynamo=False)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(buffer.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda: torch.from_numpy(session.run(None, {"image": clips.numpy()})[0])


def bfloat16(network, clips, way=eager):
    function = way(network, clips)

    def half():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return function().float()

    return half


def bfloat16_compiled(network, clips):
    return bfloat16(network, clips, compiled)


WAYS = [eager, channels_last, compiled, onnxruntime, bfloat16, bfloat16_compiled]
# Options that may change the EF: eight bits of precision.
INEXACT = (bfloat16, bfloat16_compiled)


@pytest.fixture
def paper_size():
    torch.manual_seed(0)
    return EjectionFractionNet().eval(), torch.rand(1, 3, 36, 112, 112)


@pytest.mark.parametrize("way", WAYS)
def test_encoder_forward(benchmark, paper_size, way):
    network, clip = paper_size
    with torch.inference_mode():
        reference = published(EjectionFractionNet().eval(), clip)
        function = way(network, clip)
        benchmark.pedantic(function, rounds=3, warmup_rounds=1)
        benchmark.extra_info |= side_by_side(reference, function)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The shipped network and three clips of each of eight simulated videos, as it was trained to see them."""
    if not Path(SHIPPED).is_file():
        pytest.skip("the bundle has no weights")
    settings = trained_settings(SHIPPED)
    folder = tmp_path_factory.mktemp("echonet")
    simulate_echo(folder, cases=8, seed=40, size=settings["size"], frames=(45, 70), frame_rate_hz=25.0)
    read = ReadClips(settings["frames"], settings["stride"], 3, settings["size"], stride_ms=settings["stride_ms"])
    clips = torch.cat([NormalizeClip()(read(path)) for path in sorted(folder.rglob("*.avi"))])

    def network():
        made = EjectionFractionNet(depths=settings["depths"], widths=settings["widths"])
        load_weights(made, SHIPPED)
        return made.eval()

    return network, clips


@pytest.mark.parametrize("way", WAYS)
def test_shipped_weights_give_the_same_ef(benchmark, trained, way):
    network, clips = trained
    with torch.inference_mode():
        expected = network()(clips)
        found = benchmark.pedantic(way(network(), clips), rounds=1, warmup_rounds=1)
    difference = (found - expected).abs().max().item()
    benchmark.extra_info["largest_difference_in_ef_points"] = difference
    assert difference < 0.1 or way in INEXACT
