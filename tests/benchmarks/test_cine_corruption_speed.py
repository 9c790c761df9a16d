"""The corruptions on a section of the published size, against one window, patch or group at a time in plain loops.

The plain loops draw what the transforms draw and move what they move; shuffling is measured against a loop over a numpy
array and against the same loop over a MetaTensor, which is what a MONAI pipeline hands to a transform.
"""

import time

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from common.cine import CoverFrames, CoverPatches, LocalPixelShuffle

pytestmark = pytest.mark.benchmark

SHAPE = (1, 288, 288, 40)


@pytest.fixture(scope="module")
def section():
    return np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)


def shuffled_plainly(section, random, windows, largest):
    result = section.copy() if isinstance(section, np.ndarray) else section.clone()
    for t in range(SHAPE[3]):
        for _ in range(windows):
            h, w = random.randint(1, largest + 1), random.randint(1, largest + 1)
            r, c = random.randint(SHAPE[1] - h + 1), random.randint(SHAPE[2] - w + 1)
            window = section[0, r : r + h, c : c + w, t]
            result[0, r : r + h, c : c + w, t] = window[random.permutation(h)][:, random.permutation(w)]
    return result


def patched_plainly(section, random, sides):
    result = section.copy()
    for t in range(SHAPE[3]):
        for _ in range(random.randint(1, 6)):
            h, w = sides[random.randint(len(sides))]
            r, c = random.randint(SHAPE[1] - h + 1), random.randint(SHAPE[2] - w + 1)
            result[0, r : r + h, c : c + w, t] = random.standard_normal((h, w))
    return result


def frames_covered_plainly(section, random):
    result = section.copy()
    for _ in range(5):
        length = random.randint(1, 4)
        start = random.randint(SHAPE[3] - length + 1)
        for t in range(start, start + length):
            result[0, ..., t] = random.standard_normal(SHAPE[1:3])
    return result


def seconds(function, repeats):
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def report(benchmark, **plain):
    ours = benchmark.stats.stats.median
    for name, value in plain.items():
        benchmark.extra_info[f"times_faster_than_{name}"] = round(value / ours, 1)


@pytest.mark.parametrize(("windows", "largest"), [(100, 28), (1000, 7)], ids=["default", "many-small"])
def test_shuffle(benchmark, section, windows, largest):
    shuffle = LocalPixelShuffle(windows, largest).set_random_state(seed=0)
    tensor, random = MetaTensor(torch.from_numpy(section)), np.random.RandomState(0)
    array_loop = seconds(lambda: shuffled_plainly(section, random, windows, largest), 3)
    plain_tensor_loop = seconds(lambda: shuffled_plainly(tensor.as_tensor(), random, windows, largest), 1)
    meta_tensor_loop = seconds(lambda: shuffled_plainly(tensor, random, windows, largest), 1)
    benchmark(shuffle, tensor)
    report(benchmark, array_loop=array_loop, tensor_loop=plain_tensor_loop, meta_tensor_loop=meta_tensor_loop)


def test_shuffle_changes_as_many_pixels_as_the_plain_loop(section):
    ours = LocalPixelShuffle(100, 28).set_random_state(seed=0)(section)
    plain = shuffled_plainly(section, np.random.RandomState(0), 100, 28)
    assert (ours != section).mean() == pytest.approx((plain != section).mean(), rel=0.1)


def test_patches(benchmark, section):
    cover, random = CoverPatches().set_random_state(seed=0), np.random.RandomState(0)
    loop = seconds(lambda: patched_plainly(section, random, cover.possible_sides(SHAPE[1:])), 5)
    benchmark(cover, section)
    report(benchmark, array_loop=loop)


def test_frames(benchmark, section):
    cover, random = CoverFrames().set_random_state(seed=0), np.random.RandomState(0)
    loop = seconds(lambda: frames_covered_plainly(section, random), 5)
    benchmark(cover, section)
    report(benchmark, array_loop=loop)
