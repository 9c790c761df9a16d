import math

import pytest
import torch
from torch import nn

from common.cine import CineClassifier, CineRestorationNet, group_normalised
from common.cine.corruption import RECEPTIVE_FIELD_PIXELS
from common.cine.network import RestorationEncoder

FEATURES = (4, 8, 8, 16, 16)
NORM = ("group", {"num_groups": 2})


def restoration_net(**arguments):
    torch.manual_seed(0)
    return CineRestorationNet(**{"features": FEATURES, "norm": NORM, **arguments})


def classifier(**arguments):
    torch.manual_seed(0)
    return CineClassifier(**{"features": FEATURES, "norm": NORM, "hidden": (6, 5), **arguments})


def image(shape=(2, 1, 32, 16, 8), seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def count(module, kind):
    return sum(isinstance(part, kind) for part in module.modules())


def test_has_the_ten_and_ten_convolutions_four_poolings_and_four_transposed_convolutions_of_the_paper():
    network = restoration_net()
    assert count(network.encoder, nn.Conv3d) == 10
    assert count(network, nn.Conv3d) - count(network.encoder, nn.Conv3d) == 10
    assert count(network.encoder, nn.MaxPool3d) == count(network, nn.MaxPool3d) == 4
    assert count(network, nn.ConvTranspose3d) == 4


def test_classifier_has_the_encoder_one_more_max_pooling_and_three_fully_connected_layers():
    network = classifier()
    assert count(network, nn.Conv3d) == 10
    assert count(network, nn.MaxPool3d) + count(network, nn.AdaptiveMaxPool3d) == 5
    assert count(network, nn.Linear) == 3


def test_published_widths_are_those_of_models_genesis():
    shapes = [level[1][0].weight.shape[0] for level in RestorationEncoder().levels]
    assert shapes == [32, 64, 128, 256, 512]


def test_time_goes_from_40_to_5_frames_and_stays_there():
    levels = RestorationEncoder(1, FEATURES, NORM)(image((1, 1, 32, 48, 40)))
    assert [level.shape[4] for level in levels] == [40, 20, 10, 5, 5]
    assert [tuple(level.shape[2:4]) for level in levels] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    assert [level.shape[1] for level in levels] == list(FEATURES)


@pytest.mark.parametrize("shape", [(1, 1, 32, 16, 8), (2, 1, 16, 48, 40)])
def test_restores_to_the_shape_of_its_input(shape):
    assert restoration_net()(image(shape)).shape == shape


def test_classifier_gives_one_logit_a_section_for_any_size():
    network = classifier().eval()
    assert network(image((3, 1, 32, 48, 16))).shape == (3, 1)
    assert classifier(num_classes=4)(image((2, 1, 64, 32, 8))).shape == (2, 4)


def test_every_level_reaches_the_output_through_its_skip():
    network = restoration_net(norm="none").eval()
    levels = network.encoder(image())
    whole = network(image())
    for index in range(5):
        without = [torch.zeros_like(level) if i == index else level for i, level in enumerate(levels)]
        network.encoder.forward = lambda _, without=without: without
        assert not torch.equal(network(image()), whole)


def test_sees_as_far_as_the_shuffled_windows_assume():
    encoder = RestorationEncoder(1, (1, 1, 1, 1, 1), "none")
    for module in encoder.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.constant_(module.weight, 1 / 27)
            nn.init.zeros_(module.bias)
    # Average instead of maximum, so that each pixel that can matter has a gradient.
    for level in encoder.levels[1:]:
        level[0] = nn.AvgPool3d(level[0].kernel_size, level[0].stride)
    section = torch.ones(1, 1, 192, 16, 8, dtype=torch.float64, requires_grad=True)
    encoder.double()(section)[4][0, 0, 6, 0, 0].backward()
    seen = torch.nonzero(section.grad.abs().sum((0, 1, 3, 4))).ravel()
    assert seen.max() - seen.min() + 1 == len(seen) == RECEPTIVE_FIELD_PIXELS


def test_encoder_weights_of_the_first_stage_fit_the_second_exactly():
    first, second = restoration_net(), classifier()
    pretrained = {k: v for k, v in first.state_dict().items() if k.startswith("encoder.")}
    own = {k for k in second.state_dict() if k.startswith("encoder.")}
    assert set(pretrained) == own
    second.load_state_dict(pretrained, strict=False)
    levels = zip(first.encoder(image()), second.encoder(image()), strict=True)
    assert all(torch.equal(a, b) for a, b in levels)


@pytest.mark.parametrize("make", [restoration_net, classifier])
def test_checkpointing_changes_memory_but_no_gradient(make):
    plain, recomputed = make(), make(checkpointing=True)
    recomputed.load_state_dict(plain.state_dict())
    for network in (plain, recomputed):
        network.train()(image()).square().mean().backward()
    for (name, a), (_, b) in zip(plain.named_parameters(), recomputed.named_parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name


@pytest.mark.parametrize("make", [restoration_net, classifier])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_scripted_equals_eager(make, checkpointing):
    network = make(checkpointing=checkpointing).eval()
    scripted = torch.jit.script(network)
    assert torch.equal(scripted(image()), network(image()))


@pytest.mark.parametrize(
    ("norm", "kind", "biased"),
    [
        (("group", {"num_groups": 2}), nn.GroupNorm, False),
        (["group", {"num_groups": 4}], nn.GroupNorm, False),
        ("batch", nn.BatchNorm3d, False),
        ("none", nn.Identity, True),
    ],
)
def test_normalises_as_asked_and_gives_a_bias_only_without(norm, kind, biased):
    network = restoration_net(norm=norm)
    expected = (
        19 if kind is not nn.Identity else 20
    )  # the last convolution has none; one nn.Identity is before level one
    assert count(network, kind) == expected
    assert (network.encoder.levels[0][1][0].bias is not None) is biased
    assert network(image()).shape == image().shape


def test_group_normalised_samples_do_not_depend_on_their_batch():
    network, batch = restoration_net().double().train(), image().double()
    assert torch.allclose(network(batch)[:1], network(batch[:1]))


def test_classifier_begins_with_kaimings_spread_and_no_bias():
    network = CineClassifier(features=(8, 8, 16, 16, 64), norm=NORM, hidden=(256, 64))
    for linear in (module for module in network.modules() if isinstance(module, nn.Linear)):
        assert torch.count_nonzero(linear.bias) == 0
        if linear.out_features > 1:
            assert linear.weight.std().item() == pytest.approx(math.sqrt(2 / linear.in_features), rel=0.05)
    convolution = network.encoder.levels[4][2][0]
    assert convolution.weight.std().item() == pytest.approx(math.sqrt(2 / (27 * 64)), rel=0.05)


def test_normalises_each_group_of_each_sample():
    network = group_normalised(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Sequential(nn.BatchNorm2d(8))), groups=4)
    result = network(torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0)))
    grouped = result.reshape(2, 4, -1)
    torch.testing.assert_close(grouped.mean(-1), torch.zeros(2, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(grouped.var(-1, unbiased=False), torch.ones(2, 4), atol=1e-2, rtol=0)


def test_no_sample_sees_another():
    network = group_normalised(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
    pair = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network(pair)[:1], network(pair[:1]))


def test_refuses_a_width_that_does_not_divide():
    with pytest.raises(ValueError, match=r"divisor of 6 channels \(1\), found 4"):
        group_normalised(nn.Sequential(nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6)), groups=4)
