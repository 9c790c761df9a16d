import math

import pytest
import torch
from monai.losses import DiceLoss
from torch.nn import functional

from common.adc import LesionLoss, batch_dice_loss, focal_loss


def example(dtype=torch.float32):
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 16, 16)
    target = (torch.rand(2, 1, 16, 16) > 0.9).float()
    return logits.to(dtype), target.to(dtype)


# Values of the published training code for the example, and of the focal loss of each pixel with the same alpha.
PUBLISHED = {"cross_entropy": 0.8414709, "dice": 0.8111743, "focal_batch": 0.2178902, "focal_pixel": 0.3013768}


def test_terms_have_the_published_codes_values():
    logits, target = example()
    assert float(batch_dice_loss(logits, target)) == pytest.approx(PUBLISHED["dice"], abs=1e-6)
    assert float(focal_loss(logits, target, mean_over="batch")) == pytest.approx(PUBLISHED["focal_batch"], abs=1e-6)
    assert float(focal_loss(logits, target)) == pytest.approx(PUBLISHED["focal_pixel"], abs=1e-6)


@pytest.mark.parametrize(
    ("mean_over", "expected"), [("batch", 2.3063157), ("pixel", 0.8414709 + 0.8111743 + 3 * 0.3013768)]
)
def test_sum_has_the_published_value(mean_over, expected):
    assert float(LesionLoss(focal_mean_over=mean_over)(*example())) == pytest.approx(expected, abs=2e-6)


def test_dice_over_the_batch_is_monais():
    logits, target = example()
    monai = DiceLoss(sigmoid=True, batch=True, smooth_nr=0.1, smooth_dr=0.1)(logits, target)
    assert float(batch_dice_loss(logits, target)) == pytest.approx(float(monai), abs=1e-6)


def test_focal_of_one_pixel_by_hand():
    logit, scale, exponent = 0.3, 0.7, 1.5
    probability = 1 / (1 + math.exp(-logit))
    expected = -scale * (1 - probability) ** exponent * math.log(probability)
    loss = focal_loss(torch.tensor([logit]), torch.tensor([1.0]), scale, exponent)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("mean_over", ["pixel", "batch"])
def test_focal_with_exponent_zero_is_scaled_cross_entropy(mean_over):
    logits, target = example()
    expected = 0.25 * functional.binary_cross_entropy_with_logits(logits, target)
    torch.testing.assert_close(focal_loss(logits, target, 0.25, 0.0, mean_over), expected)


def test_vanishes_for_a_certain_and_right_answer_also_without_lesion():
    torch.manual_seed(1)
    target = (torch.rand(2, 1, 8, 8) > 0.5).float()
    for truth in (target, torch.zeros_like(target)):
        assert float(LesionLoss()(200 * truth - 100, truth)) == pytest.approx(0, abs=1e-5)


def test_does_not_depend_on_the_order_of_pixels():
    logits, target = example()
    for mean_over in ("pixel", "batch"):
        loss = LesionLoss(focal_mean_over=mean_over)
        torch.testing.assert_close(loss(logits, target), loss(logits.flip(0, 2), target.flip(0, 2)))


@pytest.mark.parametrize("mean_over", ["pixel", "batch"])
def test_gradient_is_the_derivative(mean_over):
    logits, target = example(torch.float64)
    small = logits[:, :, :3, :4].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: LesionLoss(focal_mean_over=mean_over)(x, target[:, :, :3, :4]), (small,))


def test_refuses_other_shapes_and_unknown_means():
    with pytest.raises(ValueError, match=r"logits' shape \(1, 1, 2, 2\), found \(1, 2, 2\)"):
        LesionLoss()(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2))
    with pytest.raises(ValueError, match="'pixel' or 'batch', found 'slice'"):
        LesionLoss(focal_mean_over="slice")
    with pytest.raises(ValueError, match="'pixel' or 'batch', found 'slice'"):
        focal_loss(torch.zeros(1), torch.zeros(1), mean_over="slice")
