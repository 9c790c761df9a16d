import pytest
import torch

from common.doppler import FitSpectrumd, fit_spectrum, to_image, to_network

BOX = torch.tensor([10, 20, 109, 59])  # 100 wide, 40 high


def blob(size, x, y, sigma=2.0):
    columns, rows = torch.arange(size[1]).double(), torch.arange(size[0]).double()
    return torch.exp(-((rows[:, None] - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))[None]


def centre_of_mass(image):
    total = image.sum()
    x = (image.sum((0, 1)) * torch.arange(image.shape[2])).sum() / total
    y = (image.sum((0, 2)) * torch.arange(image.shape[1])).sum() / total
    return torch.stack([x, y])


@pytest.mark.parametrize("size", [(100, 100), (64, 64), (64, 128), (256, 256), (37, 81)])
def test_a_bright_spot_lands_where_the_placement_says(size):
    point = torch.tensor([61.3, 38.8]).double()
    image, placement = fit_spectrum(blob((80, 140), *point), BOX, size)
    assert image.shape == (1, *size)
    torch.testing.assert_close(centre_of_mass(image), to_network(point, placement), atol=0.02, rtol=0)


def test_pads_evenly_to_the_shape_without_scaling_when_the_sizes_agree():
    source = torch.arange(80 * 140.0).reshape(1, 80, 140)
    image, placement = fit_spectrum(source, BOX, (100, 100))
    torch.testing.assert_close(image[0, 30:70], source[0, 20:60, 10:110])
    assert float(image[0, :30].abs().max()) == float(image[0, 70:].abs().max()) == 0
    assert placement.tolist() == [10, -10, 1, 1]


def test_the_way_back_is_exact():
    points = torch.rand(5, 7, 2, dtype=torch.float64) * 100
    _, placement = fit_spectrum(torch.zeros(1, 80, 140), BOX, (96, 160))
    torch.testing.assert_close(to_image(to_network(points, placement), placement), points, rtol=0, atol=1e-11)


def test_a_batch_of_points_takes_a_batch_of_placements():
    points, placements = torch.rand(3, 2, 5, 2).double(), torch.rand(3, 4).double() + 1
    each = torch.stack([to_image(p, q) for p, q in zip(points, placements, strict=True)])
    torch.testing.assert_close(to_image(points, placements[:, None, None]), each)


def test_keeps_the_aspect_ratio():
    _, (_, _, scale_x, scale_y) = fit_spectrum(torch.zeros(1, 80, 140), BOX, (64, 128))
    assert float(scale_x / scale_y) == pytest.approx(1, abs=0.02)


def test_moves_image_and_points_and_leaves_its_input_alone():
    point = torch.tensor([[[61.3, 38.8], [torch.nan, torch.nan]]])
    data = {"image": blob((80, 140), 61.3, 38.8), "box": BOX, "peaks": point, "case": "a"}
    result = FitSpectrumd("image", (64, 64))(data)
    torch.testing.assert_close(centre_of_mass(result["image"]).float(), result["peaks"][0, 0], atol=0.02, rtol=0)
    assert result["peaks"][0, 1].isnan().all()
    assert data["image"].shape == (1, 80, 140) and data["peaks"] is point and result["case"] == "a"


def test_an_image_without_labels_needs_no_points():
    assert "peaks" not in FitSpectrumd("image", (64, 64))({"image": torch.zeros(1, 80, 140), "box": BOX})


@pytest.mark.parametrize("size", [(64,), (0, 64)])
def test_refuses_a_size_that_is_none(size):
    with pytest.raises(ValueError, match="expected a positive height and width"):
        FitSpectrumd("image", size)
