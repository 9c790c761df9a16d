import pytest
import torch
from torch import nn

from common.adc import FlippedSliceInferer, TernausNet


class Copy(nn.Module):
    """Gives the first channel back as logits."""

    def forward(self, image):
        return image[:, :1]


def volume(shape=(1, 2, 20, 24, 5), seed=0):
    torch.manual_seed(seed)
    inputs = torch.randn(shape)
    inputs[..., :3, :, :] = -6.0
    return inputs


def plainly(inputs, network, size):
    """Slice by slice and flip by flip, zero outside the brain."""
    result = torch.zeros(inputs.shape[0], 1, *inputs.shape[2:])
    for b in range(inputs.shape[0]):
        for k in range(inputs.shape[-1]):
            views = []
            for axes in ((), (2,), (3,), (2, 3)):
                views.append(torch.sigmoid(network(inputs[b : b + 1, :, :, :, k].flip(axes))).flip(axes))
            result[b, :, :, :, k] = torch.stack(views).mean(dim=0)[0]
    return result * (inputs != -6).any(dim=1, keepdim=True)


@pytest.mark.parametrize("batch_size", [1, 3, 16, 100])
@torch.inference_mode()
def test_equals_slice_by_slice_and_flip_by_flip(batch_size):
    torch.manual_seed(1)
    network = TernausNet(in_channels=2, base_width=8).eval()
    inputs = volume((2, 2, 32, 64, 5))
    result = FlippedSliceInferer((32, 64), batch_size)(inputs, network)
    torch.testing.assert_close(result, plainly(inputs, network, (32, 64)), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_copying_network_gives_each_voxel_its_own_probability():
    inputs = volume()
    brain = (inputs != -6).any(dim=1, keepdim=True)
    result = FlippedSliceInferer((20, 24))(inputs, Copy())
    torch.testing.assert_close(result, torch.sigmoid(inputs[:, :1]) * brain)


@torch.inference_mode()
def test_mean_over_flips_makes_the_answer_follow_a_flip():
    torch.manual_seed(2)
    network = TernausNet(in_channels=2, base_width=8).eval()
    inputs = volume((1, 2, 32, 32, 3))
    with_flips, without = FlippedSliceInferer((32, 32)), FlippedSliceInferer((32, 32), flips=False)
    torch.testing.assert_close(
        with_flips(inputs.flip(2, 3), network), with_flips(inputs, network).flip(2, 3), atol=1e-5, rtol=0
    )
    assert float((without(inputs.flip(2), network) - without(inputs, network).flip(2)).abs().max()) > 1e-4


@torch.inference_mode()
def test_slices_without_brain_are_not_computed():
    seen = []

    def network(image):
        seen.append(len(image))
        return image[:, :1]

    inputs = volume((1, 2, 20, 24, 6))
    inputs[..., 3:] = -6.0
    result = FlippedSliceInferer((20, 24), 100)(inputs, network)
    assert seen == [3 * 4]
    assert not result[..., 3:].any()


@torch.inference_mode()
def test_volume_without_brain_and_of_one_slice_pass():
    assert not FlippedSliceInferer((32, 32))(torch.full((1, 2, 8, 8, 4), -6.0), Copy()).any()
    assert FlippedSliceInferer((32, 32))(volume((1, 2, 20, 24, 1)), Copy()).shape == (1, 1, 20, 24, 1)


def test_refuses_slices_and_empty_batches():
    with pytest.raises(ValueError, match=r"expected volumes \(B, C, H, W, D\), found shape \(1, 2, 8, 8\)"):
        FlippedSliceInferer()(torch.zeros(1, 2, 8, 8), Copy())
    with pytest.raises(ValueError, match="batch_size: expected at least 1, found 0"):
        FlippedSliceInferer(batch_size=0)


@torch.inference_mode()
def test_bfloat16_moves_a_probability_by_its_last_digits_only():
    torch.manual_seed(3)
    network = TernausNet(in_channels=2, base_width=8).eval()
    inputs = volume((1, 2, 32, 32, 3))
    exact = FlippedSliceInferer((32, 32))(inputs, network)
    rounded = FlippedSliceInferer((32, 32), precision="bfloat16")(inputs, network)
    assert rounded.dtype == torch.float32 and 0 < (rounded - exact).abs().max() < 0.01
