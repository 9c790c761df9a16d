import numpy as np
import pytest

from common.rf import Disturbance, RfAcquisition, error_statistics, local_correlation, rf_pair, track_by_correlation

ARRAY = RfAcquisition(samples=900, lines=24)
INNER = np.s_[60:-60, 3:-3]


class Uniform:
    """Uniform compression and a rigid shift in samples and lines."""

    def __init__(self, strain=0.0, samples=0.0, lines=0.0):
        self.strain, self.samples, self.lines = strain, samples, lines

    def displacement(self, axial_mm, lateral_mm):
        axial = self.samples * ARRAY.sample_mm - self.strain * np.asarray(axial_mm)
        return axial, self.lines * ARRAY.pitch_mm + 0 * np.asarray(axial_mm + lateral_mm)

    def axial_strain(self, axial_mm, lateral_mm):
        return -self.strain + 0 * (axial_mm + lateral_mm)

    def pair(self, seed=0):
        return rf_pair(ARRAY, self, np.random.default_rng(seed), Disturbance(40.0, 0.0))

    def samples_at_each_pixel(self):
        axial, _ = self.displacement(*np.broadcast_arrays(*ARRAY.grid()))
        return axial / ARRAY.sample_mm


@pytest.mark.parametrize(("strain", "tolerance"), [(0.005, 0.05), (0.01, 0.1), (0.02, 0.2)])
def test_recovers_uniform_compression(strain, tolerance):
    motion = Uniform(strain)
    track = track_by_correlation(*motion.pair(), search=(30, 0))
    assert error_statistics(track.axial[INNER], motion.samples_at_each_pixel()[INNER])["rmse"] < tolerance


@pytest.mark.parametrize("samples", [-7.7, -0.5, 0.3, 4.25])
def test_recovers_rigid_shifts_of_fractions_of_a_sample(samples):
    track = track_by_correlation(*Uniform(samples=samples).pair(), search=(12, 0))
    assert error_statistics(track.axial[INNER], samples)["rmse"] < 0.02


def test_recovers_lateral_shifts():
    track = track_by_correlation(*Uniform(samples=3, lines=-2).pair(), window=(81, 5), search=(6, 3))
    assert error_statistics(track.lateral[60:-60, 6:-6], -2)["rmse"] < 0.1
    assert error_statistics(track.axial[60:-60, 6:-6], 3)["rmse"] < 0.05


def test_correlation_is_one_for_equal_frames_and_low_for_others():
    first, _ = Uniform().pair(0)
    other, _ = Uniform().pair(1)
    same = track_by_correlation(first, first, search=(4, 0))
    assert same.correlation[INNER].min() > 0.999
    assert np.median(track_by_correlation(first, other, search=(4, 0)).correlation[INNER]) < 0.6


def test_gain_is_ignored():
    first, second = Uniform(0.01).pair()
    plain = track_by_correlation(first, second, search=(20, 0))
    loud = track_by_correlation(1000 * first, 3 * second, search=(20, 0))
    np.testing.assert_allclose(plain.axial, loud.axial, atol=1e-3)


def test_constant_frame_has_no_correlation():
    first, _ = Uniform().pair()
    track = track_by_correlation(first, np.zeros_like(first), search=(4, 0))
    assert not track.correlation.any() and np.isfinite(track.axial).all()


def test_local_correlation_by_definition():
    first, second = np.random.default_rng(0).normal(size=(2, 20, 12))
    a, b = first[5:10, 4:7], second[5:10, 4:7]
    expected = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    assert local_correlation(first, second, (5, 3))[7, 5] == pytest.approx(expected)


@pytest.mark.parametrize("level", [0.0, 7.0, 30_000.0])
def test_a_constant_band_is_not_correlated(level):
    first, second = np.random.default_rng(0).normal(size=(2, 300, 12))
    second = first + 0.1 * second
    first[100:200] = second[100:200] = level
    correlation = local_correlation(first, second, (31, 3))
    assert not correlation[116:184].any()
    assert correlation[:80].min() > 0.9 and correlation[220:].min() > 0.9


def test_refuses_frames_of_different_size():
    with pytest.raises(ValueError, match=r"\(100, 8\), \(90, 8\)"):
        track_by_correlation(np.zeros((100, 8)), np.zeros((90, 8)))


def test_refuses_frames_smaller_than_a_window():
    with pytest.raises(ValueError, match="larger than the frames"):
        track_by_correlation(np.zeros((50, 8)), np.zeros((50, 8)))
