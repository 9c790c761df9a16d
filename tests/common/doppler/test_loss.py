import pytest
import torch

from common.doppler import HeatMapLoss, heat_map_loss


def test_is_the_mean_squared_error_without_weight():
    predicted, target = torch.rand(2, 2, 5, 6), torch.rand(2, 2, 5, 6)
    torch.testing.assert_close(heat_map_loss(predicted, target), torch.nn.functional.mse_loss(predicted, target))


def test_weighs_each_pixel_by_its_target():
    predicted, target = torch.tensor([[[[0.5, 0.2, 0.0]]]]), torch.tensor([[[[1.0, 0.5, 0.0]]]])
    expected = (0.25 * (1 + 4 * 1.0) + 0.09 * (1 + 4 * 0.5) + 0) / 3
    assert float(HeatMapLoss(4.0)(predicted, target)) == pytest.approx(expected)


def test_gradient_is_right():
    predicted = torch.rand(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    target = torch.rand(1, 2, 3, 4, dtype=torch.float64)
    torch.autograd.gradcheck(lambda p: heat_map_loss(p, target, 3.0), (predicted,))


@pytest.mark.parametrize(("shape", "weight"), [((1, 2, 3, 3), 0.0), ((1, 2, 3, 4), -1.0)])
def test_refuses_other_shapes_and_a_negative_weight(shape, weight):
    with pytest.raises(ValueError, match="expected maps of one shape and a weight of at least 0"):
        heat_map_loss(torch.zeros(1, 2, 3, 4), torch.zeros(shape), weight)
