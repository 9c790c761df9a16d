from contextlib import contextmanager

import pytest
import torch
from torch import nn

from common.rf.rowwise.chain import RowwiseSequential, by_rows, goes_by_rows, side_by_side


def layers():
    """Every kind that LiteFlowNet has: strides, one axis at a time, wide and narrow, large enough for Winograd."""
    torch.manual_seed(0)
    return RowwiseSequential(
        nn.Conv2d(5, 48, 7, 1, 3),
        nn.LeakyReLU(0.1),
        nn.Conv2d(48, 64, 3, 1, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 32, 3, 2, 1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(32, 49, (7, 1), padding=(3, 0)),
        nn.Conv2d(49, 49, (1, 7), padding=(0, 3), bias=False),
        nn.Conv2d(49, 64, 1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(64, 64, 3, 1, 1),
        nn.Conv2d(64, 2, 7, 1, 3),
    )


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7, 16, 100])
@pytest.mark.parametrize("size", [(29, 19), (32, 16), (3, 5), (1, 1)], ids=str)
def test_is_the_network_for_strips_of_any_height(rows, size):
    network, image = layers(), torch.randn(1, 5, *size)
    with torch.no_grad():
        expected = network.plain([image])[0].permute(1, 2, 0)
        found = torch.cat(list(by_rows(network, image[0].permute(1, 2, 0).split(rows), torch.float32)))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_joins_parts_and_keeps_images_apart():
    network, image = layers(), torch.randn(3, 5, 12, 8)
    with torch.no_grad():
        found = network([image[:, :2], image[:, 2:]])
        torch.testing.assert_close(found, network.plain([image]), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[[2, 0]], network([image[[2, 0]]]), rtol=1e-4, atol=1e-5)


def test_computes_in_the_precision_of_autocast():
    network, image = layers(), torch.randn(1, 5, 12, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found, plain = network([image]), network.plain([image])
    assert found.dtype == plain.dtype == torch.bfloat16
    torch.testing.assert_close(found, plain, rtol=0.05, atol=0.02)


def test_goes_the_plain_way_where_a_gradient_is_wanted():
    network, image = layers(), torch.randn(1, 5, 12, 8, requires_grad=True)
    network([image]).sum().backward()
    assert image.grad is not None and image.grad.any()
    with torch.no_grad():
        assert goes_by_rows(image) and not goes_by_rows(image.double())


@contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_images_side_by_side_are_those_one_by_one_and_the_threads_stay(mode):
    network, image = layers(), torch.randn(3, 5, 12, 8)
    with mode(), threads(2):
        found = network([image])
        assert torch.get_num_threads() == 2 and found.is_inference() == (mode is torch.inference_mode)
        torch.testing.assert_close(found, network.plain([image]), rtol=1e-4, atol=1e-5)


def test_an_error_leaves_the_threads_as_they_were():
    def fail(image):
        raise RuntimeError("no memory")

    with threads(2):
        with pytest.raises(RuntimeError, match="no memory"):
            side_by_side(fail, [[torch.zeros(1)]] * 2)
        assert torch.get_num_threads() == 2


def test_goes_the_plain_way_with_many_threads():
    with torch.no_grad(), threads(3):
        assert not goes_by_rows(torch.zeros(1, 2, 4, 4))


def test_without_layers_gives_its_input():
    image = torch.randn(1, 2, 4, 4)
    with torch.no_grad():
        assert RowwiseSequential()([image]) is image
