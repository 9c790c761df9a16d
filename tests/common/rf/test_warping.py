import torch

from common.rf import warp


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
