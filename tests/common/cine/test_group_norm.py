import pytest
import torch
from torch import nn

from common.cine import group_normalised


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
