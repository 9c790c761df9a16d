import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch.nn import functional

from common.adc import FitSliced, FitVoxelsd, FlippedSliceInferer, VoxelFit, fit_slices, unfit_slices


def ramp(height, width):
    """A plane that linear interpolation keeps away from the border."""
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    return (2 * y + 3 * x)[None, None]


def test_square_slices_are_resized_as_a_whole():
    slices = torch.rand(2, 3, 16, 16)
    expected = functional.interpolate(slices, (32, 32), mode="bilinear", align_corners=False)
    assert torch.equal(fit_slices(slices, (32, 32), -6.0), expected)


def test_slices_of_the_size_are_left():
    slices = torch.rand(1, 1, 32, 32)
    assert torch.equal(fit_slices(slices, (32, 32)), slices)
    assert torch.equal(unfit_slices(slices, (32, 32)), slices)


def test_other_aspect_is_kept_and_filled_with_background():
    fitted = fit_slices(torch.ones(1, 1, 20, 10), (32, 32), background=-6.0)
    assert bool((fitted[..., 8:24] == 1).all()) and bool((fitted[..., :8] == -6).all())
    assert bool((fitted[..., 24:] == -6).all())


@pytest.mark.parametrize("shape", [(20, 10), (7, 19), (48, 40), (90, 90), (33, 1)])
def test_back_again_gives_the_slices(shape):
    slices = ramp(*shape)
    there_and_back = unfit_slices(fit_slices(slices, (64, 64), -6.0), shape)
    assert there_and_back.shape == slices.shape
    inside = (there_and_back - slices)[..., shape[0] // 5 : -shape[0] // 5, shape[1] // 5 : -shape[1] // 5]
    assert inside.numel() == 0 or float(inside.abs().max()) < 0.02


def test_commutes_with_flips():
    slices = torch.rand(1, 2, 21, 30)
    for axes in ((2,), (3,), (2, 3)):
        torch.testing.assert_close(fit_slices(slices.flip(axes), (64, 64)), fit_slices(slices, (64, 64)).flip(axes))


def test_annotations_stay_zero_or_one():
    label = (torch.rand(1, 1, 13, 29) > 0.5).float()
    assert set(np.unique(fit_slices(label, (64, 64), nearest=True))) == {0.0, 1.0}


def test_dictionary_form_treats_images_and_annotations_apart():
    item = {"image": torch.rand(2, 10, 20), "label": (torch.rand(1, 10, 20) > 0.5).to(torch.uint8)}
    result = FitSliced("image", (32, 32))(item)
    assert torch.equal(result["image"], fit_slices(item["image"][None], (32, 32), -6.0)[0])
    assert torch.equal(result["label"], fit_slices(item["label"][None].float(), (32, 32), nearest=True)[0])
    assert item["image"].shape == (2, 10, 20)
    assert "label" not in FitSliced("image", (32, 32))({"image": item["image"]})


def brain(shape, spacing_mm, half_mm=(30.0, 40.0), shift_mm=(0.0, 0.0)):
    """An elliptic cylinder of 1 in a background of -6, centred in the volume but for a shift."""
    axes = [(torch.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape[:2], spacing_mm[:2], strict=True)]
    x, y = torch.meshgrid(*axes, indexing="ij")
    inside = ((x - shift_mm[0]) / half_mm[0]) ** 2 + ((y - shift_mm[1]) / half_mm[1]) ** 2 < 1
    slices = torch.where(inside, 1.0, -6.0)[None, :, :, None].expand(1, *shape)
    return MetaTensor(slices.clone(), affine=torch.diag(torch.tensor([*spacing_mm, 1.0], dtype=torch.float64)))


def test_voxels_of_the_size_pass_unchanged():
    volume = brain((128, 96, 3), (0.94, 0.94, 4.0))
    way = VoxelFit(volume, (0.94, 0.94, 4.0), (128, 96), -6.0)
    assert torch.equal(way.fit(volume), volume.as_tensor())
    assert torch.equal(way.back(volume.as_tensor()), volume.as_tensor())


@pytest.mark.parametrize("shape", [(128, 128, 2), (90, 100, 2), (300, 260, 2)], ids=["same", "tight", "wide"])
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 4.0), (0.7, 0.9, 2.2), (1.5, 1.5, 1.5)])
def test_a_brain_is_as_large_in_the_network_whatever_its_pixels_and_field_of_view(shape, spacing_mm):
    volume = brain(shape, spacing_mm)
    fitted = VoxelFit(volume, (0.94, 0.94, 4.0), (128, 128), -6.0).fit(volume)
    assert fitted.shape == (1, 128, 128, shape[2])
    pixels = float((fitted[0, :, :, 0] > -2.5).sum())
    assert pixels * 0.94**2 == pytest.approx(np.pi * 30 * 40, rel=0.02)


def test_larger_slices_are_cut_around_the_brain_and_come_back_to_their_place():
    volume = brain((300, 128, 2), (0.94, 0.94, 4.0), shift_mm=(80.0, 0.0))
    way = VoxelFit(volume, (0.94, 0.94, 4.0), (128, 128), -6.0)
    fitted = way.fit(volume)
    rows = torch.nonzero((fitted[0, :, :, 0] > 0).any(dim=1))[:, 0]
    assert abs(float(rows.float().mean()) - 63.5) <= 1
    assert torch.equal(way.back((fitted > 0).float()), (volume.as_tensor() > 0).float())


def test_a_brain_larger_than_the_slices_gets_slices_of_the_next_multiple_of_32():
    volume = brain((200, 220, 1), (1.0, 1.0, 5.0), half_mm=(70.0, 90.0))
    way = VoxelFit(volume, (1.0, 1.0, 4.0), (128, 128), -6.0)
    assert way.fit(volume).shape == (1, 160, 192, 1)
    assert torch.equal(way.back((way.fit(volume) > 0).float()), (volume.as_tensor() > 0).float())


def test_annotations_go_with_the_image_and_stay_zero_or_one():
    image = brain((60, 70, 2), (2.0, 2.0, 4.0))
    label = (image > 0).float()
    item = FitVoxelsd("image", (1.0, 1.0, 4.0), (128, 160))({"image": image, "label": label})
    assert item["image"].shape == item["label"].shape == (1, 128, 160, 2)
    assert set(np.unique(item["label"])) == {0.0, 1.0}
    agree = (item["label"] > 0) == (item["image"] > -2.5)
    assert float(agree.float().mean()) > 0.98


def test_without_a_voxel_size_volumes_stay_as_they_are():
    image = brain((60, 70, 2), (2.0, 2.0, 4.0))
    assert FitVoxelsd("image", None)({"image": image})["image"] is image


@pytest.mark.parametrize(
    "voxel_mm", ["null", 0.94, [0.94, 0.94], [-1, 1, 4], [0.01, 0.01, 4], [300, 300, 4], [1, 1, float("nan")]], ids=str
)
def test_what_is_no_size_of_a_voxel_is_refused(voxel_mm):
    for made in (lambda: FitVoxelsd("image", voxel_mm), lambda: FlippedSliceInferer(voxel_mm=voxel_mm)):
        with pytest.raises(ValueError, match="expected null or three lengths"):
            made()


def test_a_volume_without_voxel_size_is_refused():
    with pytest.raises(ValueError, match="expected one with an affine"):
        VoxelFit(torch.zeros(1, 8, 8, 2), (1.0, 1.0, 4.0), (32, 32), -6.0)
