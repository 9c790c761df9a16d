import numpy as np
import pytest
import torch

from common.rf import analytic_channels, analytic_signal, b_mode


@pytest.mark.parametrize("count", [64, 65])
def test_cosine_becomes_a_complex_exponential(count):
    phase = 2 * np.pi * 5 * torch.arange(count, dtype=torch.float64) / count
    signal = analytic_signal(torch.cos(phase)[:, None].expand(count, 3))
    torch.testing.assert_close(signal.imag[:, 1], torch.sin(phase))
    torch.testing.assert_close(signal.abs()[:, 2], torch.ones(count, dtype=torch.float64))


@pytest.mark.parametrize("count", [9, 10])
def test_real_part_is_the_signal_itself(count):
    rf = torch.randn(2, count, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(analytic_signal(rf).real, rf)


def test_channels_stand_in_the_order_asked_for():
    rf = torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
    signal = analytic_signal(rf)
    image = analytic_channels(rf, ["envelope", "rf"], scaling="none")
    assert torch.equal(image[0], signal.abs()) and torch.equal(image[1], rf)
    assert torch.equal(analytic_channels(rf, scaling="none")[0], signal.imag)


def test_min_max_scales_each_channel_to_zero_and_one():
    image = analytic_channels(50 * torch.randn(40, 6, generator=torch.Generator().manual_seed(2)) + 3)
    assert torch.equal(image.amin((1, 2)), torch.zeros(3))
    assert torch.equal(image.amax((1, 2)), torch.ones(3))


@pytest.mark.parametrize("scaling", ["min_max", "deviation"])
def test_receiver_gain_is_ignored(scaling):
    rf = torch.randn(40, 6, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(analytic_channels(1000 * rf, scaling=scaling), analytic_channels(rf, scaling=scaling))


def test_constant_frame_becomes_finite_channels():
    assert torch.isfinite(analytic_channels(torch.zeros(16, 4))).all()


def test_integer_frames_are_taken():
    frame = np.random.default_rng(0).integers(-2000, 2000, (1, 16, 4)).astype(np.int16)
    expected = analytic_channels(torch.from_numpy(frame[0].astype(np.float32)))
    assert torch.equal(analytic_channels(frame), expected)


def test_refuses_more_than_one_frame():
    with pytest.raises(ValueError, match=r"\(2, 16, 4\)"):
        analytic_channels(torch.zeros(2, 16, 4))


def test_refuses_unknown_names():
    with pytest.raises(ValueError, match="channels"):
        analytic_channels(torch.zeros(16, 4), ["phase"])
    with pytest.raises(ValueError, match="'z'"):
        analytic_channels(torch.zeros(16, 4), scaling="z")


def test_envelope_ratio_becomes_decibels():
    phase = 2 * torch.pi * 8 * torch.arange(64) / 64
    rf = torch.cos(phase)[:, None] * torch.tensor([1.0, 0.1, 0.01])
    image = b_mode(rf, dynamic_range_db=30)
    torch.testing.assert_close(image[10], torch.tensor([0.0, -20.0, -30.0]), atol=1e-3, rtol=0)


def test_gain_is_ignored():
    rf = torch.randn(1, 64, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(b_mode(300 * rf), b_mode(rf))


def test_frame_without_signal_is_dark():
    assert torch.equal(b_mode(torch.zeros(16, 4), 40), torch.full((16, 4), -40.0))


def test_refuses_a_range_that_is_not_positive():
    with pytest.raises(ValueError, match="found 0"):
        b_mode(torch.zeros(16, 4), 0)
