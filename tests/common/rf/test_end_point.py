import pytest
import torch

from common.rf import EndPointLoss, end_point_loss, slope_loss


def test_is_the_distance_by_hand():
    flow, target = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    target[0, :, 0, 0] = torch.tensor([3.0, 4.0])  # distance 5 at one of four pixels
    assert float(end_point_loss([flow], target, [1.0])) == pytest.approx(5 / 4, abs=1e-3)


def test_levels_are_compared_with_local_means_of_the_target():
    target = torch.arange(16.0).reshape(1, 1, 4, 4).expand(1, 2, 4, 4)
    flow = torch.tensor([[2.5, 4.5], [10.5, 12.5]]).reshape(1, 1, 2, 2).expand(1, 2, 2, 2)
    assert float(end_point_loss([flow], target, [7.0])) == pytest.approx(0, abs=1e-2)


def test_levels_are_weighted():
    target = torch.zeros(1, 2, 4, 4)
    flows = [torch.full((1, 2, 2, 2), 1.0), torch.full((1, 2, 4, 4), 2.0)]
    assert float(end_point_loss(flows, target, [0.5, 3.0])) == pytest.approx(2**0.5 * (0.5 * 1 + 3 * 2), rel=1e-5)


def test_module_takes_one_flow_as_the_finest_level():
    torch.manual_seed(0)
    flow, target = torch.randn(2, 2, 2, 4, 4)
    assert torch.equal(EndPointLoss()(flow, target), end_point_loss([flow], target, [1.0]))


def test_gradient():
    torch.manual_seed(0)
    flow = torch.randn(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    target = torch.randn(1, 2, 4, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: end_point_loss([f], target, [2.0]), (flow,))


def test_refuses_another_number_of_weights():
    with pytest.raises(ValueError, match=r"one a level \(1\), found 2"):
        end_point_loss([torch.zeros(1, 2, 2, 2)], torch.zeros(1, 2, 4, 4), [1.0, 1.0])


def test_slope_loss_by_hand():
    # Full grid of 8 rows, flow of 4: an axial error of 0, 1, 1, 5 pixels; over 2 rows (4 pixels) it changes by 1 and 4.
    flow = torch.zeros(1, 2, 4, 1)
    flow[0, 1, :, 0] = torch.tensor([0.0, 1.0, 1.0, 5.0])
    flow[0, 0] = 7
    assert float(slope_loss(flow, torch.zeros(1, 2, 8, 2), rows=2)) == pytest.approx((1 + 4) / 2 / 4)


def test_slope_loss_ignores_a_constant_error():
    target = torch.randn(1, 2, 16, 4, generator=torch.Generator().manual_seed(0))
    assert float(slope_loss(target + 3, target, rows=4)) == pytest.approx(0, abs=1e-6)


def test_module_adds_the_weighted_slope_of_the_finest_level():
    generator = torch.Generator().manual_seed(1)
    target = torch.randn(1, 2, 16, 4, generator=generator)
    flows = [torch.randn(1, 2, 4, 1, generator=generator), torch.randn(1, 2, 8, 2, generator=generator)]
    expected = end_point_loss(flows, target, [0.3, 0.7]) + 5 * slope_loss(flows[-1], target, 3)
    assert torch.allclose(EndPointLoss([0.3, 0.7], slope_weight=5.0, slope_rows=3)(flows, target), expected)
