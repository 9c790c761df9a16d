import numpy as np
import pytest
from scipy.sparse import block_array, diags_array, eye_array, kron
from scipy.sparse.linalg import spsolve

from common.rf import (
    PUBLISHED,
    Disturbance,
    GlueSettings,
    GlueSystem,
    RfAcquisition,
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

    def samples_at_each_pixel(self):
        return np.broadcast_to(self.samples - self.strain * np.arange(600.0)[:, None], (600, 16))

    def exact(self):
        return np.stack([np.zeros((600, 16)), self.samples_at_each_pixel()])


def tracked(first, second):
    track = track_by_correlation(first, second, search=(20, 0))
    return np.stack([track.lateral, track.axial])


@pytest.mark.parametrize("settings", [None, PUBLISHED], ids=["rule", "published"])
@pytest.mark.parametrize("strain", [0.005, 0.01, 0.02])
def test_recovers_uniform_compression(strain, settings):
    motion = Uniform(strain)
    first, second = motion.pair()
    _, axial = glue_displacement(first, second, tracked(first, second), settings)
    assert error_statistics(axial[INNER], motion.samples_at_each_pixel()[INNER])["rmse"] < 0.05


@pytest.mark.parametrize("samples", [-0.5, 0.3, 2.25])
def test_recovers_rigid_shifts_of_fractions_of_a_sample(samples):
    first, second = Uniform(samples=samples).pair()
    start = np.stack([np.zeros(first.shape), np.full(first.shape, float(round(samples)))])
    lateral, axial = glue_displacement(first, second, start)
    assert error_statistics(axial[INNER], samples)["rmse"] < 0.02
    assert error_statistics(lateral[INNER], 0)["rmse"] < 0.05


def dense_solution(gradient, counts, residual, weights, field, data):
    """The linearised cost as one least-squares problem, row by row."""
    height, width = counts.shape
    index = np.arange(2 * height * width).reshape(2, height, width)
    rows, values = [], []

    def add(entries, value):
        row = np.zeros(2 * height * width)
        for at, factor in entries:
            row[at] += factor
        rows.append(row)
        values.append(value)

    strain = (field[1, -1].mean() - field[1, 0].mean()) / (height - 1)
    bent = field - np.stack([np.zeros(counts.shape), strain * np.arange(height)[:, None] + np.zeros(counts.shape)])
    for i, j in np.ndindex(height, width):
        root = np.sqrt(counts[i, j])
        add([(index[k, i, j], root * gradient[k, i, j]) for k in range(2)], root * residual[i, j])
    for k, (across, down) in enumerate(weights):
        slopes = {(0, 1): across, (1, 0): down}
        if data is None:
            for (di, dj), weight in slopes.items():
                for i, j in np.ndindex(height - di, width - dj):
                    entries = [(index[k, i + di, j + dj], np.sqrt(weight)), (index[k, i, j], -np.sqrt(weight))]
                    add(entries, -sum(factor * bent.ravel()[at] for at, factor in entries))
            continue
        for i, j in np.ndindex(height, width):
            entries = []
            for (di, dj), weight in slopes.items():
                for y, x in ((i + di, j + dj), (i - di, j - dj)):
                    if 0 <= y < height and 0 <= x < width:
                        entries += [(index[k, i, j], weight), (index[k, y, x], -weight)]
            entries = [(at, factor / np.sqrt(data[k])) for at, factor in entries]
            add(entries, -sum(factor * bent.ravel()[at] for at, factor in entries))
    return np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0].reshape(2, height, width)


ORDERS = pytest.mark.parametrize("data", [None, np.array([0.4, 0.9])], ids=["first", "second"])


@ORDERS
def test_solution_is_that_of_the_least_squares_problem_written_out(data):
    random = np.random.default_rng(0)
    gradient, residual, field = random.normal(size=(2, 9, 5)), random.normal(size=(9, 5)), random.normal(size=(2, 9, 5))
    counts, weights = random.uniform(0.1, 1, (9, 5)), np.array([[0.11, 0.2], [0.3, 0.7]])
    system = GlueSystem(gradient, counts, weights, data=data)
    step = system.solve(system.right(field, counts * gradient * residual), 1e-7)
    np.testing.assert_allclose(step, dense_solution(gradient, counts, residual, weights, field, data), atol=1e-5)


def sparse_matrix(system, data):
    def laplacian(count):
        inner = np.r_[1.0, np.full(count - 2, 2.0), 1.0]
        return diags_array([-np.ones(count - 1), inner, -np.ones(count - 1)], offsets=[-1, 0, 1])

    height, width = system.cross.shape
    down, across = kron(laplacian(height), eye_array(width)), kron(eye_array(height), laplacian(width))
    rough = [w[0] * across + w[1] * down for w in system.weights.astype(float)]
    if data is not None:
        rough = [once @ once / g for once, g in zip(rough, data, strict=True)]
    squares, cross = system.squares.reshape(2, -1).astype(float), diags_array(system.cross.ravel().astype(float))
    return block_array(
        [[rough[0] + diags_array(squares[0]), cross], [cross, rough[1] + diags_array(squares[1])]], format="csc"
    )


@ORDERS
@pytest.mark.parametrize("dead", [np.s_[:, :0], np.s_[:, 60:], np.s_[:, :, 8:16]], ids=["none", "depth", "lines"])
@pytest.mark.parametrize("weights", [[[0.2, 30], [1, 150]], [[30, 30], [150, 150]]], ids=["weak", "strong"])
def test_solver_is_exact_to_a_thousandth_of_a_sample(weights, dead, data):
    random = np.random.default_rng(1)
    gradient = random.normal(size=(2, 120, 24)) * np.array([0.3, 0.8])[:, None, None]
    gradient[dead] = 0
    system = GlueSystem(gradient, np.ones((120, 24)), np.array(weights), damped=True, data=data)
    walk = np.cumsum(random.normal(size=(2, 120, 24)), axis=1)
    right = system.right(walk if data is None else walk / 100, random.normal(size=(2, 120, 24)))
    exact = spsolve(sparse_matrix(system, data), right.ravel().astype(float)).reshape(right.shape)
    np.testing.assert_allclose(system.solve(right, GlueSettings().tolerance), exact, atol=1e-3)


def test_a_wave_of_sixty_periods_keeps_its_strain():
    class Wave(Uniform):
        def displacement(self, axial_mm, lateral_mm):
            axial, lateral = super().displacement(axial_mm, lateral_mm)
            return axial + 0.8 * ARRAY.sample_mm * np.sin(axial_mm / ARRAY.sample_mm * 2 * np.pi / 480), lateral

    first, second = Wave(0.005).pair()
    rows = np.arange(600.0)[:, None] + np.zeros(16)
    exact = np.stack([0 * rows, 0.8 * np.sin(rows * 2 * np.pi / 480) - 0.005 * rows])
    _, axial = glue_displacement(first, second, exact)
    slope, wave = np.diff(axial, axis=0)[60:540, 2:-2].mean(1), np.cos(np.arange(60, 540) * 2 * np.pi / 480)
    kept = 2 * np.mean(slope * wave) / (0.8 * 2 * np.pi / 480)
    # 1 / (1 + (2 pi 5 periods / 60 periods)^4) = .93; first derivatives with 4 periods would keep .85.
    assert kept == pytest.approx(1 / (1 + (2 * np.pi * 5 * 8 / 480) ** 4), abs=0.04)


def test_steps_are_damped_only_where_the_frames_say_nothing():
    gradient = np.random.default_rng(1).normal(size=(2, 300, 24))
    gradient[:, 150:] = 0
    free, damped = (GlueSystem(gradient, np.ones((300, 24)), np.ones((2, 2)), damped=d) for d in (False, True))
    np.testing.assert_array_equal(free.squares[:, :120], damped.squares[:, :120])
    assert damped.squares[:, 180:].min() > 0 == free.squares[:, 180:].max()


def test_where_the_frames_say_nothing_the_mean_strain_is_kept():
    motion = Uniform(0.01)
    first, second = motion.pair()
    first[300:] = second[300:] = 0
    start = motion.exact()
    start[1, 300:] += np.random.default_rng(0).normal(scale=9, size=(300, 16))  # what NCC finds where there is nothing
    _, axial = glue_displacement(first, second, start)
    assert np.abs(np.diff(axial, axis=0)[350:] + 0.01).max() < 0.005
    assert error_statistics(axial[40:250], motion.samples_at_each_pixel()[40:250])["rmse"] < 0.02


def test_gain_and_gain_steps_are_ignored():
    motion = Uniform(0.01)
    first, second = motion.pair()
    plain = glue_displacement(first, second, motion.exact())
    loud = glue_displacement(500 * first, 300 * second, motion.exact())
    np.testing.assert_allclose(plain, loud, atol=1e-3)
    step = np.where(np.arange(600) < 300, 1.0, 0.01)[:, None]
    _, stepped = glue_displacement(step * first, step * second, motion.exact())
    assert error_statistics(stepped[INNER], motion.samples_at_each_pixel()[INNER])["rmse"] < 0.05


def test_a_bright_reflector_does_not_hide_its_surroundings():
    motion = Uniform(0.01)
    first, second = motion.pair()
    rows = np.arange(600.0)[:, None]
    pulse = np.cos(2 * np.pi * (rows - 300) / 8) * np.exp(-(((rows - 300) / 8) ** 2))
    moved = np.cos(2 * np.pi * (rows - 297) / 8) * np.exp(-(((rows - 297) / 8) ** 2))
    first, second = first + 100 * first.std() * pulse, second + 100 * second.std() * moved
    start = motion.exact() + np.array([0, 0.8])[:, None, None]
    _, axial = glue_displacement(first, second, start)
    assert error_statistics(axial[INNER], motion.samples_at_each_pixel()[INNER])["rmse"] < 0.05


def test_refuses_different_sizes():
    with pytest.raises(ValueError, match="one size"):
        glue_displacement(np.ones((4, 4)), np.ones((4, 5)), np.zeros((2, 4, 4)))


def test_refuses_an_empty_frame():
    with pytest.raises(ValueError, match="0 everywhere"):
        glue_displacement(np.zeros((4, 4)), np.ones((4, 4)), np.zeros((2, 4, 4)))


def test_refuses_lengths_that_are_not_positive():
    with pytest.raises(ValueError, match="lateral_beams"):
        GlueSettings(lateral_beams=0)


def test_a_still_echo_across_the_frame_does_not_hold_its_surroundings():
    motion = Uniform(0.04)
    first, second = motion.pair()
    rows = np.arange(600.0)[:, None]
    still = 10 * first.std() * np.cos(2 * np.pi * (rows - 450) / 8) * np.exp(-(((rows - 450) / 10) ** 2))
    start = motion.exact()
    start[1, 415:485] = 0  # what matches best there
    _, axial = glue_displacement(first + still, second + still, start)
    away = np.r_[40:400, 500:560]
    assert error_statistics(axial[away, 2:-2], motion.samples_at_each_pixel()[away, 2:-2])["rmse"] < 0.1
