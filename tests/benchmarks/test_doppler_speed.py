"""Speed of Doppler peaks: decoding, the Barlow Twins loss and the encoders, each against the plain way."""

import time

import pytest
import torch

from common.doppler import BACKBONES, BarlowTwinsEncoder, KeypointUNet, barlow_twins_loss, decode_peaks, draw_heat_maps

pytestmark = pytest.mark.benchmark


@pytest.fixture(scope="module")
def maps():
    """(16, 2, 512, 512) maps with five peaks each and a little noise."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand((16, 2, 5, 2), generator=generator) * 500
    return draw_heat_maps(points, (512, 512), 6.0) + 0.05 * torch.rand((16, 2, 512, 512), generator=generator)


def seconds(function, repeats=3):
    """The best of some runs."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - began)
    return best


def by_peak_local_max(maps):
    from skimage.feature import peak_local_max

    return [
        peak_local_max(one.numpy(), min_distance=20, threshold_rel=0.5, threshold_abs=0.2) for one in maps.flatten(0, 1)
    ]


def test_decoding_against_peak_local_max_image_by_image(benchmark, maps):
    benchmark(decode_peaks, maps, 20, 0.5, 0.2)
    plain = seconds(lambda: by_peak_local_max(maps))
    benchmark.extra_info["images_per_second"] = round(16 / benchmark.stats.stats.min, 1)
    benchmark.extra_info["plain_over_ours"] = round(plain / benchmark.stats.stats.min, 2)


def plain_barlow_twins(first, second, weight=5e-3):
    samples, features = first.shape
    one, two = ((z - z.mean(0)) / (z.var(0, unbiased=False) + 1e-5).sqrt() for z in (first, second))
    total = torch.zeros(())
    for i in range(features):
        for j in range(features):
            c = (one[:, i] * two[:, j]).sum() / samples
            total = total + ((1 - c) ** 2 if i == j else weight * c**2)
    return total


def test_barlow_twins_against_the_definition_in_loops(benchmark):
    first, second = torch.rand(64, 128), torch.rand(64, 128)
    benchmark(barlow_twins_loss, first, second)
    plain = seconds(lambda: plain_barlow_twins(first, second), repeats=1)
    benchmark.extra_info["plain_over_ours"] = round(plain / benchmark.stats.stats.min, 1)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_encoder(benchmark, backbone):
    encoder = BarlowTwinsEncoder(backbone).eval().encoder
    images = torch.rand(4, 1, 256, 256)
    with torch.inference_mode():
        benchmark.pedantic(encoder, (images,), rounds=3, warmup_rounds=1)
    benchmark.extra_info["images_per_second"] = round(4 / benchmark.stats.stats.min, 1)


@pytest.mark.parametrize("batch", [1, 8])
def test_inference_with_decoding(benchmark, batch):
    network = KeypointUNet().eval()
    images = torch.rand(batch, 1, 512, 512)

    def infer():
        with torch.inference_mode():
            return decode_peaks(network(images))

    benchmark.pedantic(infer, rounds=3, warmup_rounds=1)
    benchmark.extra_info["images_per_second"] = round(batch / benchmark.stats.stats.min, 2)
