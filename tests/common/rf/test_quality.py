import numpy as np
import pytest
import torch

from common.rf import (
    CircularInclusion,
    Disturbance,
    RfAcquisition,
    axial_strain,
    least_squares_slope,
    quality_map,
    refined_displacement,
    rf_pair,
    strain_remark,
    trusted_strain,
)

ARRAY = RfAcquisition(samples=500, lines=32)


class Still:
    def displacement(self, axial_mm, lateral_mm):
        return 0 * (axial_mm + lateral_mm), 0 * (axial_mm + lateral_mm)


def frames(seed=0, motion=None):
    motion = motion or CircularInclusion(4.8, 4.8, 2.0, 1.0, 0.01)  # equal media: uniform compression
    pair = rf_pair(ARRAY, motion, np.random.default_rng(seed), Disturbance(35.0, 0.02))
    axial, lateral = (np.broadcast_to(d, pair[0].shape) for d in motion.displacement(*ARRAY.grid()))
    moved = np.stack([lateral / ARRAY.pitch_mm, axial / ARRAY.sample_mm])
    exact = torch.from_numpy(np.concatenate([moved, -moved / 0.99]).astype(np.float32))
    return *(torch.from_numpy(frame)[None].clone() for frame in pair), exact


def test_exact_displacement_is_trusted():
    pre, post, exact = frames()
    found = trusted_strain(pre, post, exact, 21)
    assert np.median(found.quality) > 0.9 and found.reliable[20:-20, 2:-2].mean() > 0.98
    np.testing.assert_allclose(np.nanmedian(found.strain), -0.01, rtol=0.02)
    assert strain_remark(pre, post, found) == ""


def test_a_frame_of_few_periods_is_said_to_be_too_short():
    pre, post, exact = (values[:, :120].clone() for values in frames())  # 40 MHz and 5 MHz: 8 samples a period
    assert "only 15 periods of the pulse deep" in strain_remark(pre, post, trusted_strain(pre, post, exact, 21))


@pytest.mark.parametrize("level", [0.0, 7.0])
@pytest.mark.parametrize("refine", [False, True])
def test_a_dead_or_constant_band_has_no_quality_and_no_strain(level, refine):
    pre, post, exact = frames()
    pre[:, 200:320] = post[:, 200:320] = level * pre.std()
    displacement = refined_displacement(pre, post, exact) if refine else exact
    found = trusted_strain(pre, post, displacement, 21)
    assert not found.quality[203:317].any() and np.isnan(found.strain[203:317]).all()
    assert found.reliable[30:150, 2:-2].mean() > 0.9
    assert "of the pixels are left out" in strain_remark(pre, post, found)


def test_a_dead_half_is_no_reliable_half():
    pre, post, exact = frames()
    pre[:, 230:] = post[:, 230:] = 0
    found = trusted_strain(pre, post, refined_displacement(pre, post, exact), 21)
    assert found.reliable.mean() < 0.5
    assert "do not read this strain" in strain_remark(pre, post, found)


def test_noise_is_not_reliable():
    pre, post, exact = frames()
    noise = torch.randn(2, 1, 200, 32, generator=torch.Generator().manual_seed(0))
    pre[:, 300:], post[:, 300:] = 1e-3 * pre.std() * noise[0], 1e-3 * post.std() * noise[1]
    found = trusted_strain(pre, post, refined_displacement(pre, post, exact), 21)
    assert found.reliable[340:].mean() < 0.05


def test_unrelated_frames_have_no_strain():
    pre, _, exact = frames(0)
    _, post, _ = frames(1)
    found = trusted_strain(pre, post, refined_displacement(pre, post, exact), 21)
    assert found.reliable.mean() < 0.05
    assert "do not read this strain" in strain_remark(pre, post, found)


def test_quality_is_zero_where_both_ways_disagree_and_beyond_the_frame():
    pre, post, exact = frames()
    exact[3, :, 20:] += 3
    quality = quality_map(pre, post, exact)
    assert not quality[:, 22:].any() and quality[:, :18].any()
    exact = torch.zeros(4, 500, 32)
    exact[1], exact[3] = 600, -600
    assert not quality_map(pre, post, exact).any()


def test_a_saturated_frame_is_said_to_be():
    pre, post, exact = frames()
    limit = float(torch.quantile(post.abs(), 0.9))
    clipped = post.clamp(-limit, limit)
    remark = strain_remark(pre, clipped, trusted_strain(pre, clipped, exact, 21))
    fraction = 100 * max(float((clipped == extreme).float().mean()) for extreme in (limit, -limit))
    assert f"{fraction:.1f} % of the second frame's samples are saturated" in remark
    assert "first frame" not in remark


@pytest.mark.parametrize("window", [3, 7, 21])
def test_is_the_slope_of_the_fitted_line(window):
    values = torch.randn(21, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    slopes = least_squares_slope(values, window)
    for at in range(21):
        rows = np.arange(max(at - window // 2, 0), min(at + window // 2 + 1, 21))
        for column in range(2):
            expected = np.polyfit(rows, values.numpy()[rows, column], 1)[0]
            assert float(slopes[at, column]) == pytest.approx(expected, abs=1e-9)


def test_straight_line_keeps_its_slope_up_to_the_ends():
    values = (0.02 * torch.arange(50.0, dtype=torch.float64) - 3).expand(2, 50)
    torch.testing.assert_close(least_squares_slope(values, 11, dim=-1), torch.full((2, 50), 0.02, dtype=torch.float64))


def test_noise_of_the_slope_falls_as_theory_says():
    noise = torch.randn(4000, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    spread = least_squares_slope(noise, 43)[60:-60].std()
    assert float(spread) == pytest.approx((12 / (43 * (43**2 - 1))) ** 0.5, rel=0.03)


def test_axial_strain_is_of_the_axial_channel():
    field = torch.zeros(2, 60, 4)
    field[0], field[1] = 5 * torch.arange(60.0)[:, None], -0.01 * torch.arange(60.0)[:, None]
    torch.testing.assert_close(axial_strain(field, window=9), torch.full((1, 60, 4), -0.01))


@pytest.mark.parametrize("window", [1, 4, 33])
def test_refuses_windows_that_do_not_fit(window):
    with pytest.raises(ValueError, match=f"found {window}"):
        least_squares_slope(torch.zeros(31, 2), window)
