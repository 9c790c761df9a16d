"""Cost volume, network and GLUE against the plain way; run with `-m benchmark`."""

import resource
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import spsolve

import common.rf.network as liteflownet
import common.rf.rowwise.chain as chain
from common.bundle import installed_bundles_folder
from common.rf import (
    ClassicalSettings,
    Disturbance,
    GlueSettings,
    GlueSystem,
    LiteFlowNet,
    RfAcquisition,
    SmoothMotion,
    continuous_displacement,
    cost_volume,
    level_amplitude,
    measure_speckle,
    ncc_displacement,
    refined_displacement,
    rf_pair,
    track_by_correlation,
)
from common.training import load_weights
from tests.benchmarks.clock import side_by_side
from tests.common.rf.test_glue import sparse_matrix

pytestmark = pytest.mark.benchmark

# Channels, rows and columns that the cost volume meets at levels 2 to 6 for an input of 1920 x 768.
LEVELS = {2: (64, 480, 192), 3: (64, 240, 96), 4: (96, 240, 96), 5: (128, 120, 48), 6: (192, 60, 24)}


def plain_cost_volume(first, second, radius=3, stride=1):
    """The loop over 49 shifts of whole maps."""
    first, second = first[:, :, ::stride, ::stride], second[:, :, ::stride, ::stride]
    height, width = first.shape[-2:]
    wide = torch.nn.functional.pad(second, [radius] * 4)
    steps = range(2 * radius + 1)
    return torch.stack([(first * wide[..., y : y + height, x : x + width]).mean(1) for y in steps for x in steps], 1)


def seconds(function, repeats=3):
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - began)
    return best


@pytest.mark.parametrize("level", LEVELS)
def test_cost_volume_forward_and_backward(benchmark, level):
    torch.manual_seed(0)
    pair = [torch.randn(1, *LEVELS[level], requires_grad=True) for _ in range(2)]
    volumes = [function(*pair) for function in (cost_volume, plain_cost_volume)]
    torch.testing.assert_close(*volumes, atol=1e-5, rtol=1e-5)
    weight = torch.randn_like(volumes[0])
    gradients = [torch.autograd.grad((volume * weight).sum(), pair) for volume in volumes]
    for ours, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)

    def step(function):
        torch.autograd.grad(function(*pair), pair, weight)

    step(cost_volume), step(plain_cost_volume)
    plain = seconds(lambda: step(plain_cost_volume))
    benchmark.pedantic(step, args=(cost_volume,), rounds=3)
    benchmark.extra_info["ratio to plain"] = round(plain / benchmark.stats.stats.min, 2)


def published(network, image, monkeypatch):
    """The network as published: layer by layer over whole maps, with a loop over 49 shifts."""
    with monkeypatch.context() as plain:
        plain.setattr(liteflownet, "cost_volume", plain_cost_volume)
        for module in (liteflownet, chain):
            plain.setattr(module, "goes_by_rows", lambda image: False)
        return network(image)


# The paper's size, that of the arm's frames, and the half and the double of it.
@pytest.mark.parametrize("size", [(1920, 768), (512, 128), (1024, 128), (2048, 128)], ids=str)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.timeout(1800)
def test_network_forward_beside_the_published_one(benchmark, monkeypatch, size, precision):
    torch.manual_seed(0)
    network, first = LiteFlowNet().eval(), torch.rand(1, 3, *size)
    load_weights(network, installed_bundles_folder() / "elasto_flow" / "models" / "model.pt")
    image = torch.cat([first, first.roll(3, 2)], 1)

    def ours():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            return network(image)

    with torch.inference_mode():
        expected = published(network, image, monkeypatch)
        flow = benchmark.pedantic(ours, rounds=1)
        rounds = 1 if size == (1920, 768) else 3
        benchmark.extra_info |= side_by_side(lambda: published(network, image, monkeypatch), ours, rounds)
    benchmark.extra_info["largest difference in pixels"] = (flow - expected).abs().max().item()
    assert (flow - expected).abs().max() < {"float32": 1e-3, "bfloat16": 0.02}[precision]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("size", [(1024, 128), (1920, 768)], ids=["1024x128", "1920x768"])
def test_both_ways_beside_two_forwards_of_the_published_network(benchmark, monkeypatch, size, precision):
    """What an inference does; one thread, or two, by OMP_NUM_THREADS."""
    torch.manual_seed(0)
    means = [[0.0] * 3] * 2  # one for both images, as for RF of one channel
    network, first = LiteFlowNet(both_ways=True, means=means).eval(), torch.rand(1, 3, *size)
    load_weights(network, installed_bundles_folder() / "elasto_flow" / "models" / "model.pt")
    one_way = LiteFlowNet(means=means).eval()
    one_way.load_state_dict(network.state_dict())
    image = torch.cat([first, first.roll(3, 2)], 1)
    swapped = torch.cat([image[:, 3:], image[:, :3]], 1)

    def theirs():
        return torch.cat([published(one_way, view, monkeypatch) for view in (image, swapped)], 1)

    def ours():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            return network(image)

    with torch.inference_mode():
        difference = (benchmark.pedantic(ours, rounds=1) - theirs()).abs().max().item()
        benchmark.extra_info |= side_by_side(theirs, ours, 1 if size == (1920, 768) else 3)
    benchmark.extra_info["largest difference in pixels"] = difference
    assert difference < {"float32": 1e-3, "bfloat16": 0.02}[precision]


def training_step(checkpointing, height, width):
    """One unsupervised step, both ways; seconds and peak memory in GiB. Runs in a process of its own."""
    from common.rf import ElastographyLoss

    torch.manual_seed(0)
    network = LiteFlowNet(both_ways=True, checkpointing=checkpointing)
    optimizer = torch.optim.Adam(network.parameters(), 4e-7)
    image = torch.rand(1, 6, height, width)
    began = time.perf_counter()
    ElastographyLoss()(network(image), image).backward()
    optimizer.step()
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@pytest.mark.parametrize(("height", "width"), [(960, 384), (1920, 768)], ids=["960x384", "1920x768"])
def test_training_step_with_and_without_checkpointing(benchmark, height, width):
    def child(checkpointing):
        load = "from tests.benchmarks.test_elastography_speed import training_step as step"
        words = [sys.executable, "-W", "ignore", "-c", f"{load}; print(*step({checkpointing}, {height}, {width}))"]
        return [float(x) for x in subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()]

    time_with, memory_with = benchmark.pedantic(child, args=(True,), rounds=1)
    time_without, memory_without = child(False)
    benchmark.extra_info["seconds with, without"] = (round(time_with, 1), round(time_without, 1))
    benchmark.extra_info["peak GiB with, without"] = (round(memory_with, 2), round(memory_without, 2))


SIZES = {"2000x128": (2000, 128, 0.3), "2304x384": (2304, 384, 0.1)}


def simulated_pair(samples, lines, pitch_mm):
    array = RfAcquisition(samples, lines, pitch_mm=pitch_mm, beam_lines=0.3 / pitch_mm)
    motion = SmoothMotion.draw(0.01, 10.0, np.random.default_rng(0))
    pair = rf_pair(array, motion, np.random.default_rng(0), Disturbance(30.0, 0.05))
    return tuple(torch.from_numpy(frame)[None] for frame in pair)


def tracked_and_refined(first, second):
    return refined_displacement(first, second, ncc_displacement(first, second))


@pytest.mark.parametrize("size", SIZES)
def test_ncc_and_refinement_of_both_directions_on_two_threads(benchmark, size):
    pair = simulated_pair(*SIZES[size])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    benchmark.pedantic(tracked_and_refined, args=pair, rounds=3, warmup_rounds=1)
    benchmark.extra_info["seconds a direction"] = round(benchmark.stats.stats.min / 2, 2)
    began = time.process_time()
    tracked_and_refined(*pair)
    benchmark.extra_info["CPU seconds a direction"] = round((time.process_time() - began) / 2, 2)
    benchmark.extra_info["GiB more than before"] = round(
        (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20, 2
    )


@pytest.mark.parametrize("size", [(1000, 128), (2000, 256), (4000, 128), (2000, 384)], ids=str)
def test_cost_a_pixel_does_not_grow_with_the_frame(benchmark, size):
    def cost(samples, lines):
        pair = simulated_pair(samples, lines, 38.4 / lines)
        tracked_and_refined(*pair)
        began = time.process_time()
        tracked_and_refined(*pair)
        return 1e9 * (time.process_time() - began) / pair[0].numel()

    reference = cost(1000, 128)
    found = benchmark.pedantic(cost, args=size, rounds=1)
    benchmark.extra_info["CPU nanoseconds a pixel, both directions"] = round(found)
    benchmark.extra_info["ratio to 1000 x 128"] = round(found / reference, 2)
    assert found < 2 * reference


def test_choosing_the_period_against_a_search_at_every_sample(benchmark):
    array = RfAcquisition(2000, 128)
    motion = SmoothMotion.draw(0.02, 10.0, np.random.default_rng(0))
    pair = rf_pair(array, motion, np.random.default_rng(0), Disturbance(30.0, 0.05))
    speckle = measure_speckle(pair[0])
    levelled = [level_amplitude(frame, speckle) for frame in pair]
    reach = ClassicalSettings().reach(pair[0].shape)
    plain = seconds(lambda: track_by_correlation(*levelled, speckle.window, reach), 1)
    benchmark.pedantic(continuous_displacement, args=(*levelled, speckle, reach), rounds=3)
    benchmark.extra_info["times as fast"] = round(plain / benchmark.stats.stats.min, 1)


def test_solver_against_a_sparse_lu(benchmark):
    # The direct solver is given a quarter of the lines: on all of them it takes minutes and gigabytes.
    random, shape = np.random.default_rng(0), (2000, 32)
    gradient = np.array([0.3, 0.8])[:, None, None] * random.normal(size=(2, *shape))
    system = GlueSystem(gradient, np.ones(shape), np.array([[0.3, 45], [1.5, 220]]), damped=True)
    right = system.right(np.cumsum(random.normal(size=(2, *shape)), axis=1), random.normal(size=(2, *shape)))
    matrix = sparse_matrix(system)
    direct = seconds(lambda: spsolve(matrix, right.ravel().astype(float)), 1)
    step = benchmark.pedantic(system.solve, args=(right, GlueSettings().tolerance), rounds=3)
    exact = spsolve(matrix, right.ravel().astype(float)).reshape(right.shape)
    np.testing.assert_allclose(step, exact, atol=1e-3)
    benchmark.extra_info["ratio of a sparse LU"] = round(direct / benchmark.stats.stats.min, 1)
