import copy

import pytest
import torch

from common.echo import Madgrad


def test_makes_the_steps_of_the_algorithm():
    """f(x) = (x - 3)^2 with lr 0.1, momentum 0.9, written out for one number."""
    x = start = 1.0
    total = squares = 0.0
    parameter = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = Madgrad([parameter], lr=0.1, momentum=0.9)
    for step in range(5):
        gradient, weight = 2 * (x - 3), 0.1 * (step + 1) ** 0.5
        total, squares = total + weight * gradient, squares + weight * gradient**2
        x = 0.9 * x + 0.1 * (start - total / (squares ** (1 / 3) + 1e-6))
        optimizer.zero_grad()
        ((parameter - 3) ** 2).sum().backward()
        optimizer.step()
        assert parameter.item() == pytest.approx(x, rel=1e-9)


def test_finds_the_minimum():
    parameter = torch.nn.Parameter(torch.tensor([5.0, -4.0]))
    optimizer = Madgrad([parameter], lr=0.1)
    for _ in range(400):
        optimizer.zero_grad()
        loss = ((parameter - torch.tensor([1.0, 2.0])) ** 2 * torch.tensor([1.0, 30.0])).sum()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.tensor([1.0, 2.0]), atol=0.05, rtol=0)


def test_pulls_to_zero_by_weight_decay_and_leaves_what_has_no_gradient():
    decayed, alone = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    optimizer = Madgrad([decayed, alone], lr=0.1, weight_decay=0.5)
    decayed.grad = torch.zeros(2)
    optimizer.step()
    assert (decayed < 1).all() and torch.equal(alone, torch.ones(2))


def test_goes_on_from_its_state():
    def steps(optimizer, parameter, count):
        for _ in range(count):
            optimizer.zero_grad()
            (parameter**4).sum().backward()
            optimizer.step()

    whole = torch.nn.Parameter(torch.tensor([2.0]))
    steps(Madgrad([whole], lr=0.1), whole, 6)
    first = torch.nn.Parameter(torch.tensor([2.0]))
    optimizer = Madgrad([first], lr=0.1)
    steps(optimizer, first, 3)
    second = torch.nn.Parameter(first.detach().clone())
    resumed = Madgrad([second], lr=0.1)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(resumed, second, 3)
    assert torch.equal(second, whole)


def test_returns_the_loss_of_a_closure_and_names_wrong_settings():
    parameter = torch.nn.Parameter(torch.tensor([2.0]))
    assert Madgrad([parameter]).step(lambda: (parameter * 3).sum()).item() == 6
    with pytest.raises(ValueError, match=r"found 0, 0.9, 0.0"):
        Madgrad([parameter], lr=0)
