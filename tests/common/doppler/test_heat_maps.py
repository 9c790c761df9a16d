import math

import pytest
import torch

from common.doppler import DrawHeatMapsd, HeatMapLoss, draw_heat_maps, heat_map_loss

NOWHERE = [math.nan, math.nan]


def test_equals_the_definition_pixel_by_pixel():
    points = [[3.2, 4.7], [9.0, 2.5]]
    maps = draw_heat_maps(torch.tensor([points, [NOWHERE, [1.0, 1.0]]]), (8, 12), 1.7)
    for y in range(8):
        for x in range(12):
            each = [math.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.7**2)) for px, py in points]
            assert float(maps[0, y, x]) == pytest.approx(max(each), abs=1e-6)
    assert float(maps[1, 1, 1]) == 1


def test_is_one_at_each_keypoint_also_when_they_are_close():
    maps = draw_heat_maps(torch.tensor([[[10.0, 8.0], [13.0, 8.0]]]), (16, 24), 5.0)[0]
    assert float(maps[8, 10]) == float(maps[8, 13]) == float(maps.max()) == 1


@pytest.mark.parametrize("points", [torch.full((2, 3, 2), math.nan), torch.zeros(2, 0, 2)], ids=["NaN", "empty"])
def test_a_class_without_keypoints_is_zero(points):
    maps = draw_heat_maps(points, (5, 6), 2.0)
    assert maps.shape == (2, 5, 6) and float(maps.abs().max()) == 0


def test_takes_any_leading_axes():
    points = torch.rand(3, 2, 4, 2) * 10
    maps = draw_heat_maps(points, (10, 10), 2.0)
    torch.testing.assert_close(maps[1, 0], draw_heat_maps(points[1, 0], (10, 10), 2.0))


def test_adds_a_label_of_the_size_of_the_image():
    data = {"image": torch.zeros(1, 10, 20), "peaks": torch.tensor([[[4.0, 5.0], NOWHERE], [NOWHERE, NOWHERE]])}
    result = DrawHeatMapsd(sigma_px=2.0)(data)
    assert result["label"].shape == (2, 10, 20) and float(result["label"][0, 5, 4]) == 1
    assert "label" not in data


def test_draws_a_keypoint_that_only_one_class_has():
    data = {"image": torch.zeros(1, 10, 20), "peaks": torch.tensor([[NOWHERE], [[4.0, 5.0]]])}
    label = DrawHeatMapsd(sigma_px=2.0)(data)["label"]
    assert float(label[0].max()) == 0 and float(label[1, 5, 4]) == 1


def test_refuses_a_width_that_is_none():
    with pytest.raises(ValueError, match="sigma_px: expected a positive number, found 0"):
        draw_heat_maps(torch.zeros(1, 1, 2), (4, 4), 0)


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
