import pytest
import torch

from common.rf.rowwise.winograd import Winograd


# Tiles in one row and in many, fewer and more than are transformed at once.
@pytest.mark.parametrize(("height", "width"), [(4, 4), (8, 20), (4, 400), (24, 60)])
def test_is_the_convolution(height, width):
    torch.manual_seed(0)
    rows = torch.randn(height + 2, width + 2, 5, dtype=torch.float64)
    weight, bias = torch.randn(7, 5, 3, 3, dtype=torch.float64), torch.randn(7, dtype=torch.float64)
    expected = torch.nn.functional.conv2d(rows.permute(2, 0, 1)[None], weight, bias)[0].permute(1, 2, 0)
    torch.testing.assert_close(Winograd(weight, bias)(rows), expected, rtol=1e-12, atol=1e-12)


def test_loses_a_digit_or_two_of_float32():
    torch.manual_seed(0)
    rows, weight, bias = torch.randn(10, 34, 128), torch.randn(64, 128, 3, 3), torch.zeros(64)
    exact = torch.nn.functional.conv2d(rows.permute(2, 0, 1)[None].double(), weight.double())[0].permute(1, 2, 0)
    assert (Winograd(weight, bias)(rows) - exact).abs().max() < 2e-5 * exact.abs().max()


def test_reads_rows_that_are_part_of_a_larger_image():
    torch.manual_seed(0)
    image, weight, bias = torch.randn(20, 10, 3), torch.randn(2, 3, 3, 3), torch.zeros(2)
    convolve = Winograd(weight, bias)
    torch.testing.assert_close(convolve(image[4:14]), convolve(image[4:14].clone()), rtol=0, atol=0)
