"""Pixels of one size, and crops around what beats."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import ResizeWithPadOrCropd

from common.cine import CropHeartd, ResamplePixelsd


def beating(row, column, shape=(80, 100), frames=12, pixel_mm=2.0, noise=0.0):
    """Return a slice with a disc around (row, column) that shrinks by a third and swells again."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    away = np.hypot(y - row, x - column) * pixel_mm
    radii = 22.0 - 4.0 * (1.0 - np.cos(2 * np.pi * np.arange(frames) / frames))
    image = (away[..., None] < radii) + 0.5 * (x[..., None] > 0.8 * shape[1])
    image = image + noise * np.random.default_rng(0).standard_normal(image.shape)
    affine = torch.diag(torch.tensor([pixel_mm, pixel_mm, 1.0, 1.0], dtype=torch.float64))
    affine[:3, 3] = torch.tensor([-10.0, 20.0, 30.0])
    return MetaTensor(torch.from_numpy(image.astype(np.float32))[None], affine=affine, meta={"filename_or_obj": "p"})


def world(img, row, column):
    return (img.affine @ torch.tensor([row, column, 0.0, 1.0], dtype=torch.float64))[:3]


def test_pixels_get_the_size_and_what_they_show_stays_where_it_is():
    y, x = np.mgrid[:60, :48].astype(np.float32)
    ramp = torch.from_numpy(3.0 * y + 5.0 * x)[None, ..., None].repeat(1, 1, 1, 4)
    affine = torch.diag(torch.tensor([1.0, 1.5, 1.0, 1.0], dtype=torch.float64))
    img = MetaTensor(ramp, affine=affine)
    found = ResamplePixelsd("image", 2.0)({"image": img})["image"]
    assert found.shape == (1, 30, 36, 4)
    torch.testing.assert_close(found.affine[:3, :2].norm(dim=0), torch.tensor([2.0, 2.0], dtype=torch.float64))
    for row, column in ((10, 12), (20, 25)):
        at = torch.linalg.inv(img.affine) @ torch.tensor([*world(found, row, column), 1.0], dtype=torch.float64)
        assert float(found[0, row, column, 0]) == pytest.approx(float(3.0 * at[0] + 5.0 * at[1]), abs=0.2), (
            "to 1/15 of a row"
        )


def test_pixels_are_left_where_no_size_is_set_or_they_have_it_already():
    img = beating(40, 50)
    assert ResamplePixelsd("image")({"image": img})["image"] is img
    assert ResamplePixelsd("image", 2.0)({"image": img})["image"] is img


def test_a_slice_without_a_pixel_size_is_refused_in_words():
    for transform in (ResamplePixelsd("image", 1.5), CropHeartd("image", (32, 32), "motion")):
        with pytest.raises(ValueError, match="expected a slice with its pixel size, found none"):
            transform({"image": torch.zeros(1, 40, 40, 8)})
    flat = MetaTensor(torch.zeros(1, 40, 40, 8), affine=torch.zeros(4, 4))
    with pytest.raises(ValueError, match="expected a pixel size in mm, found 0 x 0"):
        ResamplePixelsd("image", 1.5)({"image": flat})
    with pytest.raises(ValueError, match="pixel_mm: expected a size in mm"):
        ResamplePixelsd("image", 0.0)
    with pytest.raises(ValueError, match="centre: expected image or motion, found 'heart'"):
        CropHeartd("image", (32, 32), "heart")


@pytest.mark.parametrize("size", [(20, 20), (40, 50), (31, 20), (90, 101)])
def test_around_the_middle_of_the_image_it_is_monais_crop(size):
    image = torch.rand(1, 30, 41, 5)
    expected = ResizeWithPadOrCropd("image", [*size, -1])({"image": image})["image"]
    torch.testing.assert_close(CropHeartd("image", size)({"image": image})["image"], expected)


@pytest.mark.parametrize(("row", "column"), [(40, 50), (28, 38), (52, 64)])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_crop_lies_around_what_beats(row, column, noise):
    img = beating(row, column, noise=noise)
    found = CropHeartd("image", (32, 32), "motion")({"image": img})["image"]
    assert found.shape == (1, 32, 32, 12)
    torch.testing.assert_close(world(found, 16.0, 16.0), world(img, row, column), atol=5.0, rtol=0)
    brightest = np.unravel_index(int(found[0, ..., 0].argmax()), (32, 32))
    start = torch.linalg.inv(img.affine) @ torch.tensor([*world(found, *brightest), 1.0], dtype=torch.float64)
    assert float(img[0, round(float(start[0])), round(float(start[1])), 0]) == float(found[(0, *brightest, 0)])


def test_a_crop_over_the_edge_is_filled_with_zeros_and_a_still_slice_is_cropped_in_the_middle():
    img = beating(14, 20)
    found = CropHeartd("image", (80, 80), "motion")({"image": img + 1.0})["image"]
    assert found.shape == (1, 80, 80, 12) and float(found[0, 0].max()) == 0.0
    still = MetaTensor(img.as_tensor()[..., :1].repeat(1, 1, 1, 12), affine=img.affine)
    found = CropHeartd("image", (20, 20), "motion")({"image": still})["image"]
    torch.testing.assert_close(found.as_tensor(), still.as_tensor()[:, 30:50, 40:60])
