import numpy as np
import pytest
import torch

from common.rf import AnalyticChannels, AnalyticChannelsd, BMode, analytic_signal


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
    image = AnalyticChannels(["envelope", "rf"], scaling="none")(rf)
    assert torch.equal(image[0], signal.abs()) and torch.equal(image[1], rf)
    assert torch.equal(AnalyticChannels(scaling="none")(rf)[0], signal.imag)


def test_min_max_scales_each_channel_to_zero_and_one():
    image = AnalyticChannels()(50 * torch.randn(40, 6, generator=torch.Generator().manual_seed(2)) + 3)
    assert torch.equal(image.amin((1, 2)), torch.zeros(3))
    assert torch.equal(image.amax((1, 2)), torch.ones(3))


@pytest.mark.parametrize("scaling", ["min_max", "deviation"])
def test_receiver_gain_is_ignored(scaling):
    rf = torch.randn(40, 6, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(AnalyticChannels(scaling=scaling)(1000 * rf), AnalyticChannels(scaling=scaling)(rf))


def test_constant_frame_becomes_finite_channels():
    assert torch.isfinite(AnalyticChannels()(torch.zeros(16, 4))).all()


def test_integer_frames_are_taken():
    frame = np.random.default_rng(0).integers(-2000, 2000, (1, 16, 4)).astype(np.int16)
    expected = AnalyticChannels()(torch.from_numpy(frame[0].astype(np.float32)))
    assert torch.equal(AnalyticChannels()(frame), expected)


def test_dictionary_form_leaves_the_input_as_it_was():
    rf = torch.randn(16, 4, generator=torch.Generator().manual_seed(4))
    data = {"pre": rf, "other": 1}
    result = AnalyticChannelsd("pre")(data)
    assert torch.equal(result["pre"], AnalyticChannels()(rf))
    assert data["pre"] is rf and result["other"] == 1


def test_refuses_more_than_one_frame():
    with pytest.raises(ValueError, match=r"\(2, 16, 4\)"):
        AnalyticChannels()(torch.zeros(2, 16, 4))


def test_refuses_unknown_names():
    with pytest.raises(ValueError, match="channels"):
        AnalyticChannels(["phase"])
    with pytest.raises(ValueError, match="'z'"):
        AnalyticChannels(scaling="z")


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
