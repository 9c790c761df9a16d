import pytest
import torch

from common.rf import BMode


def test_envelope_ratio_becomes_decibels():
    phase = 2 * torch.pi * 8 * torch.arange(64) / 64
    rf = torch.cos(phase)[:, None] * torch.tensor([1.0, 0.1, 0.01])
    image = BMode(dynamic_range_db=30)(rf)
    torch.testing.assert_close(image[10], torch.tensor([0.0, -20.0, -30.0]), atol=1e-3, rtol=0)


def test_gain_is_ignored():
    rf = torch.randn(1, 64, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(BMode()(300 * rf), BMode()(rf))


def test_frame_without_signal_is_dark():
    assert torch.equal(BMode(40)(torch.zeros(16, 4)), torch.full((16, 4), -40.0))


def test_refuses_a_range_that_is_not_positive():
    with pytest.raises(ValueError, match="found 0"):
        BMode(0)
