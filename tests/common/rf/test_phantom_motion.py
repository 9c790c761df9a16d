import numpy as np

from common.rf import SmoothMotion


def test_strain_is_the_derivative_of_the_displacement():
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
