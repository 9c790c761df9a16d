import math

import numpy as np
import pytest

from common.echo.phantoms.heart import Heart, Probe, ejected_share, render, semi_axes_mm, volume_ml


@pytest.mark.parametrize("ef", [10.0, 35.0, 72.5])
def test_has_exactly_its_ejection_fraction(ef):
    heart = Heart(ef, long_axis_mm=80, radius_mm=25)
    volume = volume_ml(*semi_axes_mm(heart, np.array([0.0, 1.0])))
    assert 100 * (volume[0] - volume[1]) / volume[0] == pytest.approx(ef, rel=1e-12)
    assert volume[0] == pytest.approx(2 / 3 * math.pi * 80 * 25**2 / 1000)


def test_beats_at_its_rate_from_its_phase():
    heart = Heart(60, heart_rate_bpm=90, phase=0.35)
    ejected = ejected_share(heart, np.array([0.0, 60 / 90, 0.65 * 60 / 90]))
    np.testing.assert_allclose(ejected, [1, 1, 0], atol=1e-9)
    every = ejected_share(heart, np.linspace(0, 5, 2001))
    assert every.min() == pytest.approx(0, abs=1e-4) and every.max() == pytest.approx(1, abs=1e-4)


def dark_pixels(frames, heart, probe):
    """Blood-dark pixels on the image around the ventricle's long axis above its base."""
    pitch = probe.depth_mm / probe.size
    rows = slice(round(heart.apex_mm[1] / pitch), round((heart.apex_mm[1] + 0.7 * heart.long_axis_mm) / pitch))
    middle, reach = probe.size // 2 + heart.apex_mm[0] / pitch, (heart.radius_mm + 0.5 * heart.wall_mm) / pitch
    return (frames[:, rows, round(middle - reach) : round(middle + reach)] < 90).sum((1, 2))


def test_shows_a_smaller_cavity_at_end_systole_the_more_it_ejects():
    probe, drops = Probe(size=112), []
    for ef in (20.0, 45.0, 70.0):
        heart = Heart(ef, heart_rate_bpm=60)
        frames = render(heart, probe, np.array([0.0, 0.35]), np.random.default_rng(0))
        diastole, systole = dark_pixels(frames, heart, probe)
        drops.append(1 - systole / diastole)
    assert 0.05 < drops[0] < drops[1] < drops[2] < 0.75


def test_holds_infarcted_segments_still():
    probe, heart = Probe(size=112), {"ef_percent": 65.0, "heart_rate_bpm": 60.0}
    healthy = render(Heart(**heart), probe, np.array([0.0, 0.35]), np.random.default_rng(0))
    septal = Heart(**heart, infarcted=(True, True, True, False, False, False))
    ill = render(septal, probe, np.array([0.0, 0.35]), np.random.default_rng(0))
    np.testing.assert_array_equal(healthy[0], ill[0])
    assert dark_pixels(ill, septal, probe)[1] > 1.2 * dark_pixels(healthy, septal, probe)[1]


def test_moves_its_speckle_with_the_tissue():
    """What is beside the ventricle looks like itself a moment later, and not like another patient's."""
    probe, heart = Probe(size=224, noise_db=-90), Heart(50, heart_rate_bpm=60)
    first, later = render(heart, probe, np.array([0.0, 0.06]), np.random.default_rng(1)).astype(float)
    other = render(heart, probe, np.array([0.06]), np.random.default_rng(2))[0].astype(float)
    beside = slice(100, 130), slice(170, 200)

    def likeness(a, b):
        moved = [np.roll(b, (down, right), (0, 1)) for down in range(-3, 4) for right in range(-3, 4)]
        return max(np.corrcoef(a[beside].ravel(), m[beside].ravel())[0, 1] for m in moved)

    assert likeness(first, later) > 0.8 > 0.5 > likeness(first, other)


def test_is_black_outside_the_sector():
    frames = render(Heart(50), Probe(size=64, half_angle_rad=0.6), np.zeros(1), np.random.default_rng(0))
    assert frames[0, 2, 2] == frames[0, 2, -3] == frames[0, -1, 0] == 0
    assert frames[0, 10:50, 32].max() > 100
