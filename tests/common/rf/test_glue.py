import numpy as np
import pytest

from common.rf import (
    Disturbance,
    GlueSettings,
    RfAcquisition,
    Track,
    error_statistics,
    glue_displacement,
    rf_pair,
    track_by_correlation,
)

ARRAY = RfAcquisition(samples=600, lines=16)
INNER = np.s_[40:-40, 2:-2]


class Uniform:
    def __init__(self, strain=0.0, samples=0.0):
        self.strain, self.samples = strain, samples

    def displacement(self, axial_mm, lateral_mm):
        both = axial_mm + 0 * lateral_mm
        return self.samples * ARRAY.sample_mm - self.strain * both, 0 * both

    def axial_strain(self, axial_mm, lateral_mm):
        return -self.strain + 0 * (axial_mm + lateral_mm)

    def pair(self, seed=0):
        return rf_pair(ARRAY, self, np.random.default_rng(seed), Disturbance(40.0, 0.0))


@pytest.mark.parametrize("strain", [0.005, 0.01, 0.02])
def test_recovers_uniform_compression(strain):
    first, second = Uniform(strain).pair()
    axial, _ = glue_displacement(first, second, track_by_correlation(first, second, search=(20, 0)))
    truth = np.broadcast_to(-strain * np.arange(600.0)[:, None], first.shape)
    assert error_statistics(axial[INNER], truth[INNER])["rmse"] < 0.05


@pytest.mark.parametrize("samples", [-0.5, 0.3, 2.25])
def test_recovers_rigid_shifts_of_fractions_of_a_sample(samples):
    first, second = Uniform(samples=samples).pair()
    start = Track(*np.full((2, *first.shape), (round(samples))), np.ones(first.shape))
    start = start._replace(lateral=np.zeros(first.shape))
    axial, lateral = glue_displacement(first, second, start, GlueSettings(linearisations=2))
    assert error_statistics(axial[INNER], samples)["rmse"] < 0.02
    assert error_statistics(lateral[INNER], 0)["rmse"] < 0.05


def dense_solution(fixed, moving, weights, start):
    """The linearised cost of whole-sample starts as one least-squares problem, row by row."""
    height, width = fixed.shape
    index = np.arange(2 * height * width).reshape(2, height, width)
    rows, values = [], []

    def add(entries, value):
        row = np.zeros(2 * height * width)
        for at, factor in entries:
            row[at] += factor
        rows.append(row)
        values.append(value)

    from scipy.ndimage import map_coordinates

    for i in range(height):
        for j in range(width):
            y, x = i + start[0, i, j], j + start[1, i, j]
            if not (0 <= y <= height - 1 and 0 <= x <= width - 1):
                continue
            value, down, up, right, left = (
                map_coordinates(moving, [[y + dy], [x + dx]], order=3, mode="mirror")[0]
                for dy, dx in ((0, 0), (0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))
            )
            add([(index[0, i, j], down - up), (index[1, i, j], right - left)], fixed[i, j] - value)
    strain = (start[0, -1].mean() - start[0, 0].mean()) / (height - 1)
    for k in range(2):
        for (di, dj), weight, mean in (((1, 0), weights[k][0], strain if k == 0 else 0), ((0, 1), weights[k][1], 0)):
            root = np.sqrt(weight)
            for i in range(height - di):
                for j in range(width - dj):
                    before = start[k, i + di, j + dj] - start[k, i, j] - mean
                    add([(index[k, i + di, j + dj], root), (index[k, i, j], -root)], -root * before)
    return np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0].reshape(2, height, width)


def test_solution_is_that_of_the_least_squares_problem_written_out():
    random = np.random.default_rng(0)
    first = random.normal(size=(9, 5))
    first /= np.abs(first).max()
    second = first + 0.2 * random.normal(size=(9, 5))
    start = np.round(random.uniform(-1, 1, (2, 9, 5)))
    settings = GlueSettings(0.7, 0.3, 0.2, 0.11, tolerance=1e-12)
    axial, lateral = glue_displacement(first, second, Track(start[0], start[1], np.ones((9, 5))), settings)
    change = dense_solution(first, second, ((0.7, 0.3), (0.2, 0.11)), start)
    np.testing.assert_allclose(axial - start[0], change[0], atol=1e-8)
    np.testing.assert_allclose(lateral - start[1], change[1], atol=1e-8)


@pytest.mark.parametrize(("subtract", "slope"), [(True, -0.01), (False, 0.0)])
def test_where_the_image_says_nothing_the_mean_strain_is_kept_or_lost(subtract, slope):
    first, second = Uniform(0.01).pair()
    first[200:] = second[200:] = 0
    truth = np.broadcast_to(-0.01 * np.arange(600.0)[:, None], first.shape)
    settings = GlueSettings(subtract_mean_strain=subtract, tolerance=1e-9)
    axial, _ = glue_displacement(first, second, Track(truth, 0 * truth, 0 * truth), settings)
    np.testing.assert_allclose(np.diff(axial, axis=0)[400:], slope, atol=3e-4)


def test_gain_is_ignored():
    first, second = Uniform(0.01).pair()
    start = Track(*np.zeros((3, *first.shape)))
    start = start._replace(axial=np.broadcast_to(-0.01 * np.arange(600.0)[:, None], first.shape))
    plain, loud = (glue_displacement(gain * first, gain * second, start)[0] for gain in (1.0, 500.0))
    np.testing.assert_allclose(plain, loud, atol=1e-6)


def test_refuses_different_sizes():
    with pytest.raises(ValueError, match="one size"):
        glue_displacement(np.ones((4, 4)), np.ones((4, 5)), Track(*np.zeros((3, 4, 4))))


def test_refuses_an_empty_frame():
    with pytest.raises(ValueError, match="0 everywhere"):
        glue_displacement(np.zeros((4, 4)), np.ones((4, 4)), Track(*np.zeros((3, 4, 4))))
