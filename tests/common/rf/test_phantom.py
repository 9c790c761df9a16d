import numpy as np
import pytest
from scipy.io import loadmat
from scipy.ndimage import map_coordinates

from common.rf import CircularInclusion, Disturbance, RfAcquisition, rf_pair, simulate_rf_ultrasound

ARRAY = RfAcquisition(samples=512, lines=32)
QUIET = Disturbance(noise_db=200.0, decorrelation=0.0)


class Rigid:
    def __init__(self, axial, lateral):
        self.steps = axial, lateral

    def displacement(self, axial_mm, lateral_mm):
        return tuple(np.full(np.shape(axial_mm), step) for step in self.steps)

    def axial_strain(self, axial_mm, lateral_mm):
        return np.zeros(np.shape(axial_mm))


def test_one_scatterer_is_the_pulse_by_the_beam():
    row, line = 200.25, 12.0
    image = ARRAY.image(np.array([row]) * ARRAY.sample_mm, np.array([line]) * ARRAY.pitch_mm, np.array([2.0]))
    width = 0.6 * 5.0 / (2 * np.sqrt(2 * np.log(2)))  # MHz, standard deviation of the spectrum
    time = (np.arange(512) - row) / 40.0  # microseconds
    pulse = np.exp(-((2 * np.pi * width * time) ** 2) / 2) * np.cos(2 * np.pi * 5.0 * time)
    beam = np.exp(-((np.arange(32) - line) ** 2) / 2)
    expected = np.outer(pulse, np.where(np.abs(np.arange(32) - line) <= 3, beam, 0))
    np.testing.assert_allclose(image / image.max(), expected / expected.max(), atol=0.01)


def test_whole_sample_and_line_shift_moves_the_image():
    motion = Rigid(7 * ARRAY.sample_mm, 2 * ARRAY.pitch_mm)
    first, second = rf_pair(ARRAY, motion, np.random.default_rng(0), QUIET)
    scale = first.std()
    np.testing.assert_allclose(second[107:400, 4:30] / scale, first[100:393, 2:28] / scale, atol=1e-3)


def test_second_frame_is_the_first_where_the_motion_points():
    motion = CircularInclusion(4.0, 4.0, 2.0, 3.0, 0.02)
    first, second = rf_pair(ARRAY, motion, np.random.default_rng(1), QUIET)
    axial, lateral = motion.displacement(*ARRAY.grid())
    rows = np.arange(512)[:, None] + axial / ARRAY.sample_mm
    columns = np.arange(32)[None] + lateral / ARRAY.pitch_mm
    warped = map_coordinates(second, [rows, np.broadcast_to(columns, rows.shape)], order=3)
    inner = np.s_[40:-40, 4:-4]
    assert np.corrcoef(warped[inner].ravel(), first[inner].ravel())[0, 1] > 0.98
    assert np.corrcoef(second[inner].ravel(), first[inner].ravel())[0, 1] < 0.8


def test_noise_has_the_power_asked_for():
    motion = Rigid(0.0, 0.0)
    _, second = rf_pair(ARRAY, motion, np.random.default_rng(2), Disturbance(noise_db=10.0, decorrelation=0.0))
    clean, _ = rf_pair(ARRAY, motion, np.random.default_rng(2), QUIET)
    noise = second - clean
    assert 20 * np.log10(clean.std() / noise.std()) == pytest.approx(10.0, abs=0.3)


def test_decorrelation_lowers_the_correlation_as_asked_for():
    first, second = rf_pair(ARRAY, Rigid(0, 0), np.random.default_rng(3), Disturbance(200.0, 0.6))
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] == pytest.approx(0.8, abs=0.05)


def simulate(folder, **settings):
    return simulate_rf_ultrasound(folder, samples=256, lines=16, **settings)


def test_files_are_equal_for_equal_seeds_and_independent_of_how_many_follow(tmp_path):
    short = simulate(tmp_path / "short", cases=1, seed=4)
    long = simulate(tmp_path / "long", cases=2, seed=4)
    assert len(short) == 1 and [path.name for path in long] == ["inclusion_0000.mat", "smooth_0001.mat"]
    np.testing.assert_array_equal(loadmat(short[0])["Im2"], loadmat(long[0])["Im2"])
    other = simulate(tmp_path / "other", cases=1, seed=5)
    assert not np.array_equal(loadmat(short[0])["Im1"], loadmat(other[0])["Im1"])


def test_file_holds_the_answer_in_millimetres(tmp_path):
    (path,) = simulate(tmp_path, cases=1, content="inclusion", strain_percent=(2.0, 2.0), shift_samples=0.0)
    content = loadmat(path)
    assert content["Im1"].shape == content["axial_mm"].shape == content["axial_strain"].shape == (256, 16)
    sample_mm = content["sound_speed_m_s"].item() / (2 * content["fs_hz"].item()) * 1e3
    slope = np.gradient(content["axial_mm"].astype(float), sample_mm, axis=0)
    np.testing.assert_allclose(np.median(slope - content["axial_strain"]), 0, atol=1e-4)
    assert content["inclusion"].ravel()[4] == pytest.approx(0.02)


def test_strains_are_within_the_range(tmp_path):
    paths = simulate(tmp_path, cases=6, content="inclusion", strain_percent=(0.5, 1.0))
    strains = [loadmat(path)["inclusion"].ravel()[4] for path in paths]
    assert all(0.005 <= strain <= 0.01 for strain in strains)
    assert len(set(strains)) == 6


def test_refuses_unknown_content(tmp_path):
    with pytest.raises(ValueError, match="'vessel'"):
        simulate(tmp_path, content="vessel")
