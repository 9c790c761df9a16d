import numpy as np
import pytest

from common.rf import (
    CircularInclusion,
    LoadRfPaird,
    RfAcquisition,
    SmoothMotion,
    draw_acquisition,
    measure_speckle,
    rf_pairs,
    simulate_rf_ultrasound,
    spoil_frames,
)

RADIUS = 3.0


def test_strain_of_smooth_motion_is_the_derivative_of_the_displacement():
    motion = SmoothMotion.draw(0.02, 5.0, np.random.default_rng(0))
    axial, lateral = np.random.default_rng(1).uniform(0, 40, (2, 50))
    above, below = (motion.displacement(axial + step, lateral)[0] for step in (1e-5, -1e-5))
    np.testing.assert_allclose(motion.axial_strain(axial, lateral), (above - below) / 2e-5, atol=1e-8)


def test_one_wave_by_hand():
    motion = SmoothMotion(0.01, np.array([[2.0, 0.0, 0.0, 0.5]]), poisson=0.4)
    axial, lateral = motion.displacement(np.array(3.0), np.array(5.0))
    np.testing.assert_allclose(axial, -0.01 * (3.0 + 0.25 * np.sin(6.0)))
    np.testing.assert_allclose(lateral, 0.01 * 0.4 * 5.0)
    np.testing.assert_allclose(motion.axial_strain(np.array(3.0), np.array(5.0)), -0.01 * (1 + 0.5 * np.cos(6.0)))


def test_modulation_stays_below_one_and_a_half():
    motion = SmoothMotion.draw(0.02, 5.0, np.random.default_rng(2))
    strain = motion.axial_strain(*np.random.default_rng(3).uniform(0, 100, (2, 1000)))
    assert np.abs(strain + 0.02).max() < 0.02 * 1.4


ANGLES = np.linspace(0.1, 2 * np.pi, 40)
CASES = [(4.0, 0.5, 0.5), (0.3, 0.45, 0.49), (2.5, 0.3, 0.4)]


def inclusion(ratio, matrix, inner, strain=0.01):
    return CircularInclusion(0.0, 0.0, RADIUS, ratio, strain, matrix, inner)


def on_circle(radius):
    return radius * np.cos(ANGLES), radius * np.sin(ANGLES)


def gradient(field, axial, lateral, step=1e-4):
    """Central differences: [displacement component, direction], each an array over the positions."""
    along = [np.subtract(*(field.displacement(axial + s, lateral) for s in (step, -step))) / (2 * step)]
    along += [np.subtract(*(field.displacement(axial, lateral + s) for s in (step, -step))) / (2 * step)]
    return np.moveaxis(np.array(along), 0, 1)


def stress(field, axial, lateral, shear, poisson):
    """Plane-strain stress from the displacement gradient (matrix of arrays)."""
    g = gradient(field, axial, lateral)
    lame = 2 * shear * poisson / (1 - 2 * poisson)
    trace = g[0, 0] + g[1, 1]
    off = shear * (g[0, 1] + g[1, 0])
    return np.array([[lame * trace + 2 * shear * g[0, 0], off], [off, lame * trace + 2 * shear * g[1, 1]]])


@pytest.mark.parametrize(("ratio", "matrix", "inner"), CASES)
def test_displacement_is_continuous_at_the_rim(ratio, matrix, inner):
    field = inclusion(ratio, matrix, inner)
    inside, outside = (np.array(field.displacement(*on_circle(RADIUS * (1 + s)))) for s in (-1e-9, 1e-9))
    np.testing.assert_allclose(inside, outside, atol=1e-9)


@pytest.mark.parametrize(("ratio", "matrix", "inner"), CASES[1:])
def test_traction_is_continuous_at_the_rim(ratio, matrix, inner):
    field = inclusion(ratio, matrix, inner)
    normal = np.array([np.cos(ANGLES), np.sin(ANGLES)])
    within = stress(field, *on_circle(RADIUS * 0.9995), ratio, inner)
    beyond = stress(field, *on_circle(RADIUS * 1.0005), 1.0, matrix)
    inner_traction, outer_traction = (np.einsum("ijn,jn->in", s, normal) for s in (within, beyond))
    np.testing.assert_allclose(inner_traction, outer_traction, atol=3e-3 * np.abs(within).max())


@pytest.mark.parametrize(("ratio", "matrix", "inner"), CASES[1:])
@pytest.mark.parametrize(("radius", "of_matrix"), [(0.5, False), (1.6, True)])
def test_stress_is_in_equilibrium(ratio, matrix, inner, radius, of_matrix):
    field = inclusion(ratio, matrix, inner)
    medium = (1.0, matrix) if of_matrix else (ratio, inner)
    axial, lateral = on_circle(RADIUS * radius)
    step = 1e-2
    along = (stress(field, axial + step, lateral, *medium) - stress(field, axial - step, lateral, *medium))[:, 0]
    across = (stress(field, axial, lateral + step, *medium) - stress(field, axial, lateral - step, *medium))[:, 1]
    scale = np.abs(stress(field, axial, lateral, *medium)).max() / RADIUS
    np.testing.assert_allclose((along + across) / (2 * step), 0, atol=1e-3 * scale)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 2.0, 5.0])
def test_incompressible_strain_ratio_is_two_over_one_plus_the_modulus_ratio(ratio):
    field = inclusion(ratio, 0.5, 0.5)
    assert field.strain_ratio == pytest.approx(2 / (1 + ratio), abs=1e-12)
    inner = field.axial_strain(*on_circle(0.7 * RADIUS))
    np.testing.assert_allclose(inner, -0.01 * 2 / (1 + ratio), atol=1e-12)


@pytest.mark.parametrize(("ratio", "matrix", "inner"), CASES)
def test_strain_is_the_derivative_of_the_displacement(ratio, matrix, inner):
    field = inclusion(ratio, matrix, inner)
    for radius in (0.6, 1.3, 4.0):
        positions = on_circle(RADIUS * radius)
        np.testing.assert_allclose(field.axial_strain(*positions), gradient(field, *positions)[0, 0], atol=1e-8)


def test_far_away_the_load_is_uniaxial():
    field = inclusion(3.0, 0.5, 0.5)
    axial, lateral = field.displacement(np.array(5e3), np.array(-2e3))
    assert axial == pytest.approx(-0.01 * 5e3, rel=1e-3)
    assert lateral == pytest.approx(-0.01 * 2e3, rel=1e-3)  # incompressible: moves out by what it is compressed


def test_equal_media_deform_uniformly():
    field = inclusion(1.0, 0.4, 0.4)
    for radius in (0.2, 0.99, 1.5):
        np.testing.assert_allclose(field.axial_strain(*on_circle(radius * RADIUS)), -0.01, atol=1e-12)


def test_centre_is_where_it_was_put():
    field = CircularInclusion(10.0, 7.0, 2.0, 3.0, 0.01)
    assert bool(field.contains(np.array(11.9), np.array(7.0)))
    assert not bool(field.contains(np.array(10.0), np.array(9.1)))
    assert not bool(field.contains(np.array(11.9), np.array(7.0), scale=0.9))


@pytest.mark.parametrize(("radius", "ratio"), [(0.0, 2.0), (3.0, -1.0)])
def test_refuses_sizes_and_stiffness_that_are_not_positive(radius, ratio):
    with pytest.raises(ValueError, match="positive"):
        CircularInclusion(0.0, 0.0, radius, ratio, 0.01)


def test_drawn_arrays_keep_the_frame_and_vary_within_what_scanners_have():
    start = RfAcquisition(samples=300, lines=20)
    arrays = [draw_acquisition(start, np.random.default_rng(seed)) for seed in range(200)]
    assert {(a.samples, a.lines) for a in arrays} == {(300, 20)}
    periods = [a.sampling_mhz / a.centre_mhz for a in arrays]
    assert 4 <= min(periods) < 5 and 9 < max(periods) <= 10
    assert min(a.centre_mhz for a in arrays) >= 2 and 12 < max(a.centre_mhz for a in arrays) <= 15
    assert 0.08 <= min(a.pitch_mm for a in arrays) < 0.12 and 0.4 < max(a.pitch_mm for a in arrays) <= 0.6
    beams = [a.beam_lines * a.pitch_mm for a in arrays]
    assert min(beams) >= 0.15 and max(beams) <= 0.8


def test_spoilt_frames_have_sixteen_bits_and_the_motion_is_left():
    frames = tuple(np.random.default_rng(0).normal(size=(2, 400, 40)))
    changed = []
    for seed in range(30):
        spoilt = spoil_frames(frames, np.random.default_rng(seed))
        for before, after in zip(frames, spoilt, strict=True):
            assert np.abs(after).max() <= 1
            np.testing.assert_allclose(np.rint(after * 32767), after * 32767, atol=0.02)
            changed.append(np.corrcoef(before.ravel(), after.ravel())[0, 1])
    assert min(changed) > 0.3 and max(changed) > 0.999  # now little is left of them, now all


def test_mixed_pairs_say_their_own_array(tmp_path):
    simulate_rf_ultrasound(tmp_path, cases=3, content="inclusion", arrays="mixed", samples=600, lines=32)
    pairs = [LoadRfPaird(needs_answer=True, needs_spacing=True)(item) for item in rf_pairs(tmp_path)]
    assert len({pair["pitch_mm"] for pair in pairs}) == 3
    periods = [measure_speckle(pair["pre"][0].numpy()).period_samples for pair in pairs]
    assert min(periods) > 3.5 and max(periods) < 11


def test_refuses_other_arrays(tmp_path):
    with pytest.raises(ValueError, match="'one' or 'mixed', found 'two'"):
        simulate_rf_ultrasound(tmp_path, arrays="two")
