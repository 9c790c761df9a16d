import pytest
import torch

from common.rf import cost_volume


def by_definition(first, second, radius, stride):
    """Mean over channels of first(p) second(p + d), pixel by pixel, zero outside."""
    batch, _, height, width = first.shape
    steps = range(-radius, radius + 1)
    rows, columns = range(0, height, stride), range(0, width, stride)
    out = torch.zeros(batch, len(steps) ** 2, len(rows), len(columns), dtype=first.dtype)
    for channel, (dy, dx) in enumerate((dy, dx) for dy in steps for dx in steps):
        for i, y in enumerate(rows):
            for j, x in enumerate(columns):
                yy, xx = y + stride * dy, x + stride * dx
                if 0 <= yy < height and 0 <= xx < width:
                    out[:, channel, i, j] = (first[:, :, y, x] * second[:, :, yy, xx]).mean(1)
    return out


@pytest.mark.parametrize(("radius", "stride"), [(3, 1), (3, 2), (1, 2), (2, 1)])
@pytest.mark.parametrize("size", [(5, 7), (4, 16), (3, 35)], ids=str)
def test_is_the_mean_product_at_each_displacement(size, radius, stride):
    torch.manual_seed(0)
    first, second = torch.randn(2, 2, 3, *size, dtype=torch.float64)
    volume = cost_volume(first, second, radius, stride)
    torch.testing.assert_close(volume, by_definition(first, second, radius, stride), atol=1e-12, rtol=0)


def test_peaks_at_the_displacement_of_a_shifted_image():
    torch.manual_seed(1)
    first = torch.randn(1, 64, 12, 40)
    second = torch.roll(first, (2, -3), (2, 3))
    best = cost_volume(first, second)[0, :, 4:8, 4:36].mean((1, 2)).argmax()
    assert int(best) == (2 + 3) * 7 + (-3 + 3)


def test_block_length_does_not_matter():
    torch.manual_seed(2)
    first, second = torch.randn(2, 1, 4, 6, 21, dtype=torch.float64)
    torch.testing.assert_close(cost_volume(first, second, block=4), cost_volume(first, second, block=32))


def test_gradient_is_that_of_the_definition():
    torch.manual_seed(3)
    first, second = torch.randn(2, 1, 2, 3, 4, dtype=torch.float64)
    inputs = (first.requires_grad_(), second.requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: cost_volume(a, b, radius=1), inputs)
