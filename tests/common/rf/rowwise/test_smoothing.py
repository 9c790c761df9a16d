import torch
from torch import nn

from common.rf.rowwise.smoothing import smoothed_rows


def identity(channels):
    """1 x 1 convolution that changes nothing."""
    layer = nn.Conv2d(channels, channels, 1)
    nn.init.dirac_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def plain_mean():
    scale = nn.Conv2d(9, 1, 1)
    nn.init.ones_(scale.weight)
    nn.init.zeros_(scale.bias)
    return scale


def test_is_the_mean_weighted_by_the_distance():
    torch.manual_seed(0)
    distance, flow = torch.randn(2, 9, 5, 6), torch.randn(2, 2, 5, 6)
    with torch.no_grad():
        found = smoothed_rows([identity(9)], (plain_mean(), plain_mean()), 3, [distance[:, :4], distance[:, 4:]], flow)
    for image, axis, y, x in [(0, 0, 0, 0), (0, 1, 2, 3), (1, 0, 4, 5), (1, 1, 4, 2)]:
        weights = torch.exp(-(distance[image, :, y, x] ** 2))
        places = [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        # Outside the image the displacement counts as 0, with its weight.
        values = [float(flow[image, axis, p, q]) if 0 <= p < 5 and 0 <= q < 6 else 0.0 for p, q in places]
        expected = (weights * torch.tensor(values)).sum() / weights.sum()
        torch.testing.assert_close(found[image, axis, y, x], expected)


def test_keeps_weights_of_distances_whose_square_leaves_exp():
    distance, flow = torch.full((1, 9, 3, 3), 40.0), torch.full((1, 2, 3, 3), 2.0)
    with torch.no_grad():
        found = smoothed_rows([identity(9)], (plain_mean(), plain_mean()), 3, [distance], flow)
    torch.testing.assert_close(found[:, :, 1, 1], torch.full((1, 2), 2.0))
