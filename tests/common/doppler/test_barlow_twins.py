import math

import pytest
import torch

from common.doppler import BarlowTwinsLoss, barlow_twins_loss, embedding_row, held_out_barlow_twins
from tests.common.training.two_processes import run_in_two_processes
from tests.golden_recipe import noise_image


def views(samples, features, seed):
    first = torch.from_numpy(noise_image((samples, features), seed)).double()
    return first, first + 0.5 * torch.from_numpy(noise_image((samples, features), seed + 1)).double()


def as_defined(first, second, weight):
    """Equation 1 and 2 entry by entry."""
    samples, features = first.shape

    def column(z, i):
        values = [float(v) for v in z[:, i]]
        mean = sum(values) / samples
        variance = sum((v - mean) ** 2 for v in values) / samples
        return [(v - mean) / math.sqrt(variance + 1e-5) for v in values]

    total = 0.0
    for i in range(features):
        for j in range(features):
            c = sum(a * b for a, b in zip(column(first, i), column(second, j), strict=True)) / samples
            total += (1 - c) ** 2 if i == j else weight * c**2
    return total


# Values of the reference implementations in float64 (lightly; facebookresearch's code gives the same).
@pytest.mark.parametrize(
    ("samples", "features", "seed", "weight", "expected"),
    [(8, 16, 51, 0.0051, 0.570199854156271), (32, 128, 52, 0.005, 4.174689521769035)],
)
def test_equals_the_published_code(samples, features, seed, weight, expected):
    assert float(barlow_twins_loss(*views(samples, features, seed), weight)) == pytest.approx(expected, abs=1e-9)


def test_equals_the_definition_entry_by_entry():
    first, second = views(7, 5, 3)
    assert float(barlow_twins_loss(first, second, 0.3)) == pytest.approx(as_defined(first, second, 0.3), abs=1e-12)


def test_vanishes_for_equal_decorrelated_views():
    # Columns of a Hadamard matrix without the constant one: mean 0, variance 1, orthogonal.
    h = torch.tensor([[1.0, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1]]).double()
    assert float(barlow_twins_loss(h, h)) == pytest.approx(0, abs=1e-9)


def test_counts_each_repeated_pair_of_features_with_the_weight():
    column = torch.tensor([1.0, -1, 1, -1]).double() * 1e6
    repeated = torch.stack([column] * 3, dim=1)
    assert float(barlow_twins_loss(repeated, repeated, 0.25)) == pytest.approx(0.25 * 6, abs=1e-6)


@pytest.mark.parametrize(
    "change", [lambda z: 3 * z, lambda z: z + 5, lambda z: z.flip(0)], ids=["scale", "shift", "order"]
)
def test_ignores_scale_shift_and_order_of_both_views(change):
    first, second = (100 * z for z in views(9, 4, 5))
    expected = barlow_twins_loss(first, second)
    torch.testing.assert_close(barlow_twins_loss(change(first), change(second)), expected, rtol=1e-6, atol=1e-8)


def test_a_constant_feature_costs_one_and_has_a_finite_gradient():
    first, second = views(6, 3, 7)
    first[:, 1] = second[:, 1] = 0.7
    first.requires_grad_()
    loss = barlow_twins_loss(first, second)
    loss.backward()
    assert torch.isfinite(first.grad).all()
    kept = [0, 2]
    expected = barlow_twins_loss(first.detach()[:, kept], second[:, kept]) + 1
    torch.testing.assert_close(loss.detach(), expected)


def test_gradient_is_right():
    first, second = views(5, 4, 9)
    torch.autograd.gradcheck(barlow_twins_loss, (first.requires_grad_(), second.requires_grad_()))


def test_half_precision_does_not_overflow():
    first, second = (2000 * z for z in views(8, 4, 11))
    expected = barlow_twins_loss(first, second)
    half = barlow_twins_loss(first.half(), second.half())
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(expected), rel=2e-2)


def test_module_takes_both_views_side_by_side_and_holds_the_weight():
    first, second = views(6, 5, 13)
    torch.testing.assert_close(
        BarlowTwinsLoss(0.2)(torch.stack([first, second], dim=1), None), barlow_twins_loss(first, second, 0.2)
    )


def test_held_out_loss_is_that_of_one_batch_with_all_images():
    first, second = views(6, 5, 13)
    rows = [
        embedding_row({"case": index}, {"pred": torch.stack(pair)})
        for index, pair in enumerate(zip(first, second, strict=True))
    ]
    assert held_out_barlow_twins(rows, 0.2) == pytest.approx(float(barlow_twins_loss(first, second, 0.2)), rel=1e-5)
    assert math.isnan(held_out_barlow_twins(rows[:1]))


def layer():
    weight = torch.from_numpy(noise_image((6, 4), 21)).double()
    module = torch.nn.Linear(6, 4, bias=False).double()
    module.weight.data = weight.T.contiguous()
    return module


def half_batch_step(rank):
    module = torch.nn.parallel.DistributedDataParallel(layer())
    first, second = (z[4 * rank : 4 * rank + 4] for z in views(8, 6, 15))
    # One pass for both views, because DDP counts each parameter once a pass.
    both = module(torch.cat([first, second]))
    loss = barlow_twins_loss(both[:4], both[4:])
    loss.backward()
    return {"loss": loss.detach(), "gradient": module.module.weight.grad}


def test_two_processes_equal_one_with_the_whole_batch(tmp_path):
    module = layer()
    first, second = views(8, 6, 15)
    loss = barlow_twins_loss(module(first), module(second))
    loss.backward()
    for result in run_in_two_processes(half_batch_step, tmp_path):
        torch.testing.assert_close(result["loss"], loss.detach(), rtol=0, atol=1e-12)
        torch.testing.assert_close(result["gradient"], module.weight.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "weight", "message"),
    [
        ((4, 3), (4, 2), 1.0, r"found \(4, 3\) and \(4, 2\)"),
        ((4, 3, 1), (4, 3, 1), 1.0, r"expected two \(B, D\)"),
        ((1, 3), (1, 3), 1.0, "at least 2 samples in a batch, found 1"),
        ((4, 3), (4, 3), 0.0, "redundancy_weight: expected a positive number, found 0.0"),
    ],
)
def test_refuses_what_it_cannot_use(first, second, weight, message):
    with pytest.raises(ValueError, match=message):
        barlow_twins_loss(torch.zeros(first), torch.zeros(second), weight)
