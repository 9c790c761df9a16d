import pytest
import torch
from torch import nn

from common.training import PrecisionInferer, fast_precision


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


@pytest.mark.parametrize(
    ("gpu", "processor", "expected"),
    [
        (True, "AVX2", "mixed"),
        (False, "AVX512", "bfloat16"),
        (False, "SVE256", "bfloat16"),
        (False, "AVX2", "float32"),
        (False, "DEFAULT", "float32"),
    ],
)
def test_the_fast_precision_is_one_that_the_processor_computes_itself(gpu, processor, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: processor)
    assert fast_precision() == expected


@pytest.mark.parametrize(("processor", "warnings"), [("AVX2", 1), ("AVX512", 0)])
def test_bfloat16_by_emulation_is_said_once(processor, warnings, monkeypatch, caplog):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: processor)
    inferer, network = PrecisionInferer("bfloat16"), Seen("tensor")
    for _ in range(2):
        inferer(torch.rand(1, 1, 8, 8), network)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["precision"] * warnings
