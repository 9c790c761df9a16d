import pytest
import torch
from torch import nn

from common.training import PrecisionInferer


class Seen(nn.Module):
    """A convolution that tells in which type it computed, with answers of several kinds."""

    def __init__(self, kind):
        super().__init__()
        self.layer, self.kind, self.dtype = nn.Conv2d(1, 2, 3), kind, None

    def forward(self, image, scale=1.0):
        answer = scale * self.layer(image)
        self.dtype = answer.dtype
        return {"tensor": answer, "list": [answer, answer], "tuple": (answer,), "dict": {"a": answer}}[self.kind]


def leaves(answer):
    return (
        [answer] if isinstance(answer, torch.Tensor) else list(answer.values() if isinstance(answer, dict) else answer)
    )


@pytest.mark.parametrize("kind", ["tensor", "list", "tuple", "dict"])
def test_computes_in_bfloat16_and_answers_in_float32_in_the_same_form(kind):
    network, image = Seen(kind), torch.rand(1, 1, 8, 8)
    answer = PrecisionInferer("bfloat16")(image, network)
    assert network.dtype == torch.bfloat16
    assert type(answer) is type(network(image))
    for found, exact in zip(leaves(answer), leaves(network(image)), strict=True):
        assert found.dtype == torch.float32
        # bfloat16 has 8 bits of mantissa: sums of nine products of numbers below 1 are right to a few 2^-8.
        assert (found - exact).abs().max() < 0.03


def test_is_a_plain_call_unless_it_is_wanted():
    network, image = Seen("tensor"), torch.rand(1, 1, 8, 8)
    assert torch.equal(PrecisionInferer()(image, network, scale=2.0), network(image, scale=2.0))


def test_gradients_arrive_in_the_type_of_the_weights():
    network = Seen("tensor")
    PrecisionInferer("bfloat16")(torch.rand(1, 1, 8, 8), network).sum().backward()
    assert network.layer.weight.grad.dtype == torch.float32


@pytest.mark.skipif(torch.cuda.is_available(), reason="mixed precision needs a GPU, and finds one")
def test_mixed_precision_is_refused_where_it_would_have_no_effect():
    with pytest.raises(ValueError, match="expected bfloat16 or float32 without a GPU, found 'mixed'"):
        PrecisionInferer("mixed")
