"""Cost volume, network and GLUE against the plain way; run with `-m benchmark`."""

import resource
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import common.rf.network as liteflownet
from common.rf import (
    Disturbance,
    LiteFlowNet,
    RfAcquisition,
    SmoothMotion,
    Track,
    cost_volume,
    glue_displacement,
    rf_pair,
    track_by_correlation,
)

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


def test_network_forward_at_the_papers_size(benchmark, monkeypatch):
    torch.manual_seed(0)
    network, image = LiteFlowNet().eval(), torch.rand(1, 6, 1920, 768)
    with torch.inference_mode():
        monkeypatch.setattr(liteflownet, "cost_volume", plain_cost_volume)
        expected = network(image)
        plain = seconds(lambda: network(image), 1)
        monkeypatch.setattr(liteflownet, "cost_volume", cost_volume)
        flow = benchmark.pedantic(network, args=(image,), rounds=2, warmup_rounds=1)
    torch.testing.assert_close(flow, expected, atol=1e-3, rtol=1e-4)
    benchmark.extra_info["plain seconds"] = round(plain, 2)
    benchmark.extra_info["ratio to plain"] = round(plain / benchmark.stats.stats.min, 2)


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


def full_pair():
    array = RfAcquisition()
    motion = SmoothMotion.draw(0.01, 10.0, np.random.default_rng(0))
    return rf_pair(array, motion, np.random.default_rng(0), Disturbance(30.0, 0.05))


def test_ncc_on_2000_by_128(benchmark):
    first, second = full_pair()
    benchmark.pedantic(track_by_correlation, args=(first, second), rounds=2)


def test_glue_on_2000_by_128_against_a_direct_solver(benchmark):
    first, second = full_pair()
    start = track_by_correlation(first, second)
    benchmark.pedantic(glue_displacement, args=(first, second, start), rounds=2)
    # The direct solver is given a quarter of the lines: on all of them it takes minutes and gigabytes.
    part = np.s_[:, :32]
    few = Track(*(field[part] for field in start))
    direct = seconds(lambda: direct_solution(first[part], second[part], few), 1)
    ours = seconds(lambda: glue_displacement(first[part], second[part], few), 2)
    benchmark.extra_info["2000 x 32: ratio of a sparse LU"] = round(direct / ours, 1)


def direct_solution(first, second, start):
    """The same normal equations assembled as one sparse matrix and factorised."""
    from scipy.sparse import block_array, diags_array, eye_array, kron
    from scipy.sparse.linalg import spsolve

    from common.rf import glue

    settings = glue.GlueSettings()
    scale = np.abs(first).max()
    field = np.stack([start.axial, start.lateral])
    residual, gradient = glue._linearised(first / scale, second / scale, field)
    height, width = first.shape

    def laplacian(count):
        inner = np.r_[1.0, np.full(count - 2, 2.0), 1.0]
        return diags_array([-np.ones(count - 1), inner, -np.ones(count - 1)], offsets=[-1, 0, 1])

    down, across = kron(laplacian(height), eye_array(width)), kron(eye_array(height), laplacian(width))
    g = gradient.reshape(2, -1)
    weights = ((settings.axial_axial, settings.axial_lateral), (settings.lateral_axial, settings.lateral_lateral))
    rough = [w[0] * down + w[1] * across for w in weights]
    matrix = block_array(
        [
            [rough[0] + diags_array(g[0] ** 2), diags_array(g[0] * g[1])],
            [diags_array(g[0] * g[1]), rough[1] + diags_array(g[1] ** 2)],
        ],
        format="csc",
    )
    right = (gradient * residual).ravel() - np.concatenate([r @ f.ravel() for r, f in zip(rough, field, strict=True)])
    return spsolve(matrix, right)
