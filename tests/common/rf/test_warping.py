import pytest
import torch

from common.rf import cost_volume, warp


def test_reads_the_image_where_the_flow_points():
    image = torch.arange(20.0).reshape(1, 1, 4, 5)
    flow = torch.zeros(1, 2, 4, 5)
    flow[:, 0], flow[:, 1] = 2, 1  # two columns to the right, one row down
    assert torch.allclose(warp(image, flow)[0, 0, :3, :3], image[0, 0, 1:4, 2:5], atol=1e-4)


def test_interpolates_linearly_between_samples():
    image = torch.tensor([0.0, 10.0, 30.0]).reshape(1, 1, 3, 1)
    flow = torch.zeros(1, 2, 3, 1)
    flow[:, 1] = 0.25
    assert torch.allclose(warp(image, flow)[0, 0, :2, 0], torch.tensor([2.5, 15.0]), atol=1e-5)


def test_outside_is_zero_or_the_border():
    image, flow = torch.ones(1, 1, 3, 3), torch.full((1, 2, 3, 3), 5.0)
    assert torch.equal(warp(image, flow), torch.zeros(1, 1, 3, 3))
    assert torch.equal(warp(image, flow, padding="border"), image)


def test_gradient_with_respect_to_the_flow():
    torch.manual_seed(0)
    image = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    flow = (0.3 * torch.rand(1, 2, 4, 4, dtype=torch.float64) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(warp, (image, flow))


def test_knows_the_places_of_a_long_image_in_bfloat16():
    image = torch.rand(1, 2, 600, 3, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    still = torch.zeros(1, 2, 600, 3, dtype=torch.bfloat16)
    read = warp(image, still)
    assert read.dtype == torch.bfloat16
    # Places are right within float32: a value mixes with its neighbour by less than one part in a thousand.
    torch.testing.assert_close(read, image, rtol=0.004, atol=0.004)


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
