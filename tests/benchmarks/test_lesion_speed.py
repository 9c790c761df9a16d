"""Each benchmark runs the plain way and ours in the same session; `extra_info` holds the ratio of the two medians."""

import copy
import os
import resource
import sys
import time

import numpy as np
import pytest
import torch
from monai.metrics import compute_average_surface_distance, compute_surface_dice
from scipy.ndimage import distance_transform_edt, gaussian_filter

from common.adc import FlippedSliceInferer, LabelAwareNoised, TernausNet, surface_scores

pytestmark = pytest.mark.benchmark


def seconds(function, repeats=1):
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        durations.append(time.perf_counter() - start)
    return float(np.median(durations)), result


def compare(benchmark, ours, plain, rounds=3):
    plain_s, plain_result = seconds(plain, rounds)
    result = benchmark.pedantic(ours, rounds=rounds, warmup_rounds=1)
    benchmark.extra_info |= {"plain_s": plain_s, "times_faster": plain_s / benchmark.stats.stats.median}
    sys.stdout.write(f"\n{benchmark.name}: {benchmark.extra_info}\n")
    return result, plain_result


def skull_stripped(shape):
    """A brain in the middle two thirds of the slices, as above and below a stripped skull there is nothing."""
    torch.manual_seed(0)
    volume = torch.randn(1, 2, *shape)
    axes = [torch.linspace(-1, 1, side) for side in shape]
    x, y, z = torch.meshgrid(*axes, indexing="ij")
    outside = (x / 0.8) ** 2 + (y / 0.9) ** 2 + (z / 0.67) ** 2 > 1
    volume[:, :, outside] = -6.0
    return volume


@pytest.mark.parametrize("brain", ["two thirds of the slices", "all slices"])
@torch.inference_mode()
def test_volume_with_flips_against_slice_by_slice_and_flip_by_flip(benchmark, brain):
    shape = (256, 256, int(os.environ.get("BENCHMARK_SLICES", "60")))
    network = TernausNet(11, in_channels=2).eval()
    volume = skull_stripped(shape) if brain != "all slices" else torch.randn(1, 2, *shape)
    ours = copy.deepcopy(network).to(memory_format=torch.channels_last)  # as the bundle's configs have it
    inferer = FlippedSliceInferer((256, 256), batch_size=4)

    def plainly():
        result = torch.zeros(1, 1, *shape)
        for k in range(shape[2]):
            image = volume[..., k]
            views = [((), image), ((2,), image.flip(2)), ((3,), image.flip(3)), ((2, 3), image.flip(2, 3))]
            result[..., k] = torch.stack([torch.sigmoid(network(v)).flip(axes) for axes, v in views]).mean(dim=0)
        return result * (volume != -6).any(dim=1, keepdim=True)

    plain_s, plain_result = seconds(plainly)
    result = benchmark.pedantic(lambda: inferer(volume, ours), rounds=1)
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    benchmark.extra_info |= {
        "plain_s": plain_s,
        "times_faster": plain_s / benchmark.stats.stats.median,
        "peak_memory_gib": peak_gib,
    }
    sys.stdout.write(f"\n{benchmark.name}: {benchmark.extra_info}\n")
    torch.testing.assert_close(result, plain_result, atol=1e-5, rtol=0)


def test_label_aware_noise_of_a_slice_against_a_scipy_loop(benchmark):
    random = np.random.RandomState(0)
    image = torch.from_numpy(random.standard_normal((2, 256, 256)).astype(np.float32))
    lesion = np.zeros((256, 256))
    lesion[100:130, 90:140] = 1
    label = torch.from_numpy(lesion)[None]

    def plainly():
        distance = distance_transform_edt(lesion == 0) - distance_transform_edt(lesion)
        reach = random.uniform(-0.5, 1) * abs(distance.min())
        noise = np.empty((2, 256, 256))
        for channel in range(2):
            inside, outside = random.normal(0, 1.5, distance.shape), random.normal(0, 0.8, distance.shape)
            noise[channel] = np.where(distance <= reach, inside, outside)
        return np.sqrt(0.95) * image.numpy() + np.sqrt(0.05) * noise

    transform = LabelAwareNoised("image").set_random_state(0)
    compare(benchmark, lambda: transform({"image": image, "label": label}), plainly, rounds=50)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
def test_surface_scores_of_a_volume_against_monai(benchmark):
    noise = gaussian_filter(np.random.RandomState(0).random_sample((256, 256, 60)), 4.0)
    first = noise > np.quantile(noise, 1 - 0.02)
    first[:60] = first[200:] = False
    second = np.roll(first, (3, 1, 1), (0, 1, 2))
    as_batch = [torch.from_numpy(np.stack([~m, m])[None]) for m in (first, second)]
    spacing = (0.7, 0.7, 2.2)

    def monai():
        distance = compute_average_surface_distance(*as_batch, symmetric=True, spacing=spacing)
        return distance, compute_surface_dice(*as_batch, [2.0], spacing=spacing, use_subvoxels=True)

    ours, theirs = compare(benchmark, lambda: surface_scores(first, second, spacing), monai)
    assert ours.nsd == pytest.approx(float(theirs[1]), abs=1e-6)
