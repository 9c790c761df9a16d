"""A forward pass with batch normalisation in the convolutions, beside the same with its own pass over the features."""

import copy

import pytest
import torch

from common.cine import CineClassifier
from common.doppler import KeypointUNet
from common.training.weights import fold_batch_norm
from tests.benchmarks.clock import side_by_side

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("build", "size", "layout"),
    [
        (CineClassifier, (1, 1, 288, 288, 40), torch.channels_last_3d),
        (lambda: KeypointUNet("MobileNetV2"), (4, 1, 512, 512), torch.channels_last),
        (lambda: KeypointUNet("EfficientNetB0"), (4, 1, 512, 512), torch.channels_last),
    ],
    ids=["cine", "doppler_mobilenet", "doppler_efficientnet"],
)
def test_forward_of_folded_weights(benchmark, build, size, layout):
    plain = build().eval().to(memory_format=layout)
    folded = copy.deepcopy(plain)
    fold_batch_norm(folded)
    image = torch.rand(size)
    with torch.inference_mode():
        benchmark.pedantic(lambda: folded(image), rounds=2, warmup_rounds=1)
        benchmark.extra_info |= side_by_side(lambda: plain(image), lambda: folded(image))
