import numpy as np
import pytest
import torch
from torch.nn import functional

from common.adc import FitSliced, fit_slices, unfit_slices


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
