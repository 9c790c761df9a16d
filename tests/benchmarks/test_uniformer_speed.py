"""UniFormer-S and its EF head on one clip of 36 x 112 x 112: eager beside the other ways to run it on a CPU."""

import io
import time

import pytest
import torch

from common.networks import EjectionFractionNet

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the exporter's own, of torch 2.9 and later
]


def seconds(function, rounds=3):
    function()
    start = time.perf_counter()
    for _ in range(rounds):
        function()
    return (time.perf_counter() - start) / rounds


@pytest.fixture(scope="module")
def eager():
    torch.manual_seed(0)
    network = EjectionFractionNet().eval()
    clip = torch.rand(1, 3, 36, 112, 112)
    with torch.inference_mode():
        return network, clip, network(clip), seconds(lambda: network(clip))


def onnx_session(network, clip):
    onnxruntime = pytest.importorskip("onnxruntime")
    buffer = io.BytesIO()
    torch.onnx.export(network, (clip,), buffer, input_names=["image"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(buffer.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda: torch.from_numpy(session.run(None, {"image": clip.numpy()})[0])


def way(name, network, clip):
    if name == "channels_last":
        network = network.to(memory_format=torch.channels_last_3d)
        last = clip.contiguous(memory_format=torch.channels_last_3d)
        return lambda: network(last)
    if name == "onnxruntime":
        return onnx_session(network, clip)
    if name == "bfloat16":

        def half():
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return network(clip).float()

        return half
    return lambda: network(clip)


@pytest.mark.parametrize("name", ["eager", "channels_last", "bfloat16", "onnxruntime"])
def test_encoder_forward(benchmark, eager, name):
    network, clip, expected, eager_seconds = eager
    with torch.inference_mode():
        function = way(name, network, clip)
        found = benchmark.pedantic(function, rounds=3, warmup_rounds=1)
    benchmark.extra_info["ratio_to_eager"] = eager_seconds / benchmark.stats.stats.median
    benchmark.extra_info["ef_points_from_eager"] = (found - expected).abs().max().item()
