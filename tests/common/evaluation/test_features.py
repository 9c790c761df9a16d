import gc
import math

import pytest
import torch
from torch import nn

from common.evaluation.features import FeatureTap, image_statistics

RAMP = torch.arange(64.0).reshape(1, 8, 8)


def test_statistics_of_a_ramp_are_those_of_its_definition():
    found = image_statistics(RAMP)
    values = torch.arange(64.0)
    torch.testing.assert_close(found[:2], torch.stack([values.mean(), values.std()]))
    torch.testing.assert_close(found[2:7], torch.tensor([0.63, 15.75, 31.5, 47.25, 62.37]))  # of 0 to 63, 63 q
    # From row to row and from column to column: the mean step, no change from step to step, skewness of equal steps,
    # logarithms of step and change (a thousandth at least) and of no step that is none (a hundredth is added).
    for first, step in ((7, 8 / values.std()), (14, 1 / values.std())):
        expected = torch.tensor([step, 0, 1, math.log(step), math.log(0.001), math.log(0.01), math.log(0.01)])
        torch.testing.assert_close(found[first : first + 7], expected, atol=1e-4, rtol=1e-4)
    corner = torch.tensor([0.0, 1, 8, 9]).mean()
    torch.testing.assert_close(found[21], (corner - values.mean()) / values.std())
    assert len(found) == 7 + 14 + 16


def test_an_empty_surrounding_is_told_by_the_fraction_of_steps_that_are_none():
    image = torch.randn(1, 40, 40, generator=torch.Generator().manual_seed(0))
    image[:, :10] = -3.0  # ten rows: 9 of 39 steps down, 10 of 40 rows of steps across
    found = image_statistics(image)
    fractions = found[[12, 19]].exp() - 0.01
    torch.testing.assert_close(fractions, torch.tensor([9 / 39, 10 / 40]), atol=2e-3, rtol=0)


def test_clips_of_one_video_are_averaged_and_channels_are_told_apart():
    clips = torch.rand(3, 2, 5, 8, 6, generator=torch.Generator().manual_seed(0))
    each = torch.stack([image_statistics(clip[None]) for clip in clips])
    torch.testing.assert_close(image_statistics(clips), each.mean(0))
    assert len(each[0]) == 2 * 7 + 21 + 2 * 4**3


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.flip(2),
        lambda image: image.transpose(1, 2),
        lambda image: image.flip(1),
        lambda image: 63 - image,
        lambda image: image / 2,
        lambda image: torch.zeros_like(image),
    ],
    ids=["mirrored", "turned", "upside down", "inverted", "dim", "black"],
)
def test_statistics_tell_what_is_changed(change):
    assert (image_statistics(change(RAMP)) - image_statistics(RAMP)).abs().max() > 0.1


def test_no_value_is_lost_on_a_black_image_of_few_pixels():
    assert torch.isfinite(image_statistics(torch.zeros(1, 2, 3, 4))).all()


class Network(nn.Module):
    """One feature that is the image, one that is its square, as the last of two outputs."""

    def __init__(self):
        super().__init__()
        self.inside = nn.Identity()
        self.levels = Levels()
        self.unused = nn.Identity()

    def forward(self, image):
        return self.levels(self.inside(image))[-1]


class Levels(nn.Module):
    def forward(self, image):
        return [image, torch.cat([image, image**2], 1)]


def hooks(network):
    return sum(len(module._forward_hooks) for module in network.modules())


def test_the_tap_averages_over_positions_and_over_the_pieces_of_a_case():
    network = Network()
    tap = FeatureTap(network, ["inside", "levels"])
    images = torch.tensor([1.0, 3, 5, 7]).reshape(4, 1, 1, 1).expand(4, 1, 2, 2)
    network(images[:2])
    network(images[2:])
    found = tap.take(2)
    torch.testing.assert_close(found, [torch.tensor([[2.0], [6]]), torch.tensor([[2.0, 5], [6, 37]])])
    assert tap.take(2) is None, "nothing passed since"


def test_features_without_positions_are_taken_as_they_are():
    layer = nn.Linear(2, 3)
    tap = FeatureTap(layer, [""])
    torch.testing.assert_close([layer(torch.ones(4, 2))], tap.take(4))


def test_a_layer_that_saw_nothing_gives_nothing():
    network = Network()
    tap = FeatureTap(network, ["inside", "unused"])
    network(torch.ones(1, 1, 2, 2))
    assert tap.take(1) is None


def test_a_closed_or_forgotten_tap_leaves_the_network_as_it_was():
    network = Network()
    tap = FeatureTap(network, ["inside", "levels"])
    assert hooks(network) == 2
    tap.close()
    assert hooks(network) == 0
    FeatureTap(network, ["inside"])
    gc.collect()
    assert hooks(network) == 0
