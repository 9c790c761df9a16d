import numpy as np
import pytest

from common.rf import (
    Disturbance,
    RfAcquisition,
    Speckle,
    continuous_displacement,
    level_amplitude,
    rf_pair,
    torn_off,
)
from common.rf.periods import Candidates, smoothest

PERIOD = 8.0


class Uniform:
    def __init__(self, array, strain=0.0, samples=0.0, lines=0.0):
        self.array, self.strain, self.samples, self.lines = array, strain, samples, lines

    def displacement(self, axial_mm, lateral_mm):
        both = axial_mm + 0 * lateral_mm
        return self.samples * self.array.sample_mm - self.strain * both, self.lines * self.array.pitch_mm + 0 * both


def tracked(motion, disturbance, reach, seed=0, **array):
    array = RfAcquisition(samples=1200, lines=32, **array)
    motion = motion(array)
    first, second = rf_pair(array, motion, np.random.default_rng(seed), disturbance)
    speckle = Speckle(array.sampling_mhz / array.centre_mhz, array.beam_lines)
    levelled = [level_amplitude(frame, speckle) for frame in (first, second)]
    axial, _ = motion.displacement(*array.grid())
    exact = np.broadcast_to(axial, first.shape) / array.sample_mm
    return continuous_displacement(*levelled, speckle, reach), exact


@pytest.mark.parametrize("samples", [-33.0, -4.0, 0.0, 2.6, 57.3])
def test_shifts_are_found_to_a_fraction_of_a_period(samples):
    found, exact = tracked(lambda a: Uniform(a, samples=samples), Disturbance(40, 0), (60, 0))
    # Near the ends tissue comes from or goes beyond the frame, and four windows of 16 samples are smoothed together.
    assert np.abs(found[1] - exact)[140:-140].max() < 0.1 * PERIOD


@pytest.mark.parametrize("lines", [-3, 2])
def test_lateral_shifts_are_found(lines):
    found, exact = tracked(lambda a: Uniform(a, samples=3, lines=lines), Disturbance(40, 0), (20, 4))
    assert np.median(found[0]) == lines and np.abs(found[1] - exact)[60:-60, 5:-5].max() < 0.1 * PERIOD


@pytest.mark.parametrize("array", [{}, {"centre_mhz": 9.0, "beam_lines": 2.0}], ids=["8 samples", "4.4 samples"])
@pytest.mark.parametrize("strain", [0.03, 0.05])
def test_strong_compression_in_noise_leaves_no_jumps(strain, array):
    found, exact = tracked(lambda a: Uniform(a, strain), Disturbance(10, 0.1), (80, 1), **array)
    assert (np.abs(found[1] - exact)[40:-40] > 0.5 * 40 / array.get("centre_mhz", 5.0)).mean() < 0.01


def test_a_window_alone_among_its_neighbours_is_outvoted():
    axial = np.broadcast_to(np.array([-8.0, 0, 8])[:, None, None], (3, 7, 7))
    score = np.broadcast_to(np.array([0.5, 0.7, 0.5])[:, None, None], (3, 7, 7)).copy()
    score[2, 3, 3] = 0.9
    assert (smoothest(Candidates(axial, 0 * axial, score, np.arange(7), np.arange(7)), PERIOD) == 1).all()


def test_an_echo_that_stays_in_place_is_torn_off_the_motion_around_it():
    axial = np.broadcast_to(40 - 0.03 * np.arange(1200.0)[:, None], (1200, 32)).copy()
    assert not torn_off(axial, Speckle(PERIOD, 1.0)).any()
    axial[500:560] = 0
    alone = torn_off(axial, Speckle(PERIOD, 1.0))
    assert alone[500:560].all() and not alone[:460].any() and not alone[600:].any()


def test_layers_that_slide_are_both_kept():
    axial = np.where(np.arange(1200)[:, None] < 600, 0.0, 2 * PERIOD) * np.ones((1, 32))
    alone = torn_off(axial, Speckle(PERIOD, 1.0))
    assert not alone[:560].any() and not alone[640:].any() and alone[600].all()


def test_a_patch_off_by_a_period_is_torn_off():
    axial = np.zeros((1200, 32))
    axial[300:420, 8:20] = PERIOD
    alone = torn_off(axial, Speckle(PERIOD, 1.0))
    assert alone[310:410, 9:19].all() and alone.mean() < 0.15
    assert not torn_off(np.random.default_rng(0).normal(scale=20, size=(1200, 32)), Speckle(PERIOD, 1.0)).any()
