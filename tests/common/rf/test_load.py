import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat
from scipy.signal import hilbert

from common.errors import UnusableFileError
from common.rf import (
    LoadRfPaird,
    RfAcquisition,
    RfSettings,
    relative_bandwidth,
    rf_pairs,
    simulate_rf_ultrasound,
)

FRAMES = np.random.default_rng(0).normal(size=(3, 90, 9)).astype(np.float32)


@pytest.fixture
def sequence(tmp_path):
    np.save(tmp_path / "s.npy", FRAMES)
    return {"case": "s", "pre": str(tmp_path / "s.npy"), "post": str(tmp_path / "s.npy")}


def test_reads_the_frames_that_the_item_names(sequence):
    result = LoadRfPaird()({**sequence, "pre_frame": 2, "post_frame": 0})
    assert torch.equal(result["pre"][0], torch.from_numpy(FRAMES[2]))
    assert torch.equal(result["post"][0], torch.from_numpy(FRAMES[0]))
    assert np.isnan(result["sample_mm"]) and np.isnan(result["pitch_mm"])


def test_an_unknown_spacing_is_refused_before_anything_is_computed_where_it_is_needed(sequence):
    pair = {**sequence, "pre_frame": 0, "post_frame": 1}
    with pytest.raises(UnusableFileError, match=r"s\.npy: the distance of lines or samples .*--pitch_mm"):
        LoadRfPaird(RfSettings(sampling_mhz=40.0, sound_speed_m_s=1540.0), needs_spacing=True)(pair)
    known = RfSettings(sampling_mhz=40.0, sound_speed_m_s=1540.0, pitch_mm=0.3)
    assert LoadRfPaird(known, needs_spacing=True)(pair)["pitch_mm"] == 0.3


def test_a_frame_that_is_not_there_is_named_as_the_table_counts(sequence):
    with pytest.raises(UnusableFileError, match=r"s\.npy: expected frame 3, counted from 0, found 3 in the file"):
        LoadRfPaird()({**sequence, "pre_frame": 0, "post_frame": 3})


def test_depth_is_cut_as_a_slice(sequence):
    result = LoadRfPaird(depth_samples=[5, -3])({**sequence, "pre_frame": 0, "post_frame": 1})
    assert torch.equal(result["post"][0], torch.from_numpy(FRAMES[1, 5:-3]))
    assert result["first_sample"] == 5


def test_exact_motion_is_in_samples_and_lines(tmp_path):
    (path,) = simulate_rf_ultrasound(tmp_path, cases=1, samples=128, lines=8)
    (item,) = rf_pairs(tmp_path)
    result = LoadRfPaird(needs_answer=True, depth_samples=[10, None])(item)
    content = loadmat(path)
    sample_mm = content["sound_speed_m_s"].item() / (2 * content["fs_hz"].item()) * 1e3
    assert result["displacement"].shape == (2, 118, 8) and result["strain"].shape == (1, 118, 8)
    np.testing.assert_allclose(result["displacement"][1], content["axial_mm"][10:] / sample_mm, rtol=1e-5)
    np.testing.assert_allclose(result["displacement"][0], content["lateral_mm"][10:] / 0.3, rtol=1e-5)
    np.testing.assert_allclose(result["inclusion"], content["inclusion"][0], rtol=1e-6)


@pytest.mark.parametrize("name", ["axial_mm", "lateral_mm", "axial_strain"])
@pytest.mark.parametrize(
    "damage", [lambda value: np.where(value == value.max(), np.nan, value), lambda value: value[1:]]
)
def test_an_exact_motion_that_is_not_whole_is_refused_by_name(tmp_path, name, damage):
    (path,) = simulate_rf_ultrasound(tmp_path, cases=1, samples=128, lines=8)
    content = {key: value for key, value in loadmat(path).items() if not key.startswith("_")}
    savemat(path, {**content, name: damage(content[name])})
    with pytest.raises(
        UnusableFileError, match=rf"{path.name}: expected {name} as a finite number for each of 128 x 8"
    ):
        LoadRfPaird(needs_answer=True)(rf_pairs(tmp_path)[0])


def test_settings_reach_the_reader(tmp_path):
    FRAMES[:2].tofile(tmp_path / "a.raw")
    item = {"case": "a", "pre": str(tmp_path / "a.raw"), "post": str(tmp_path / "a.raw"), "pre_frame": 0}
    settings = RfSettings(raw_shape=(2, 90, 9), sampling_mhz=40.0, sound_speed_m_s=1540.0, pitch_mm=0.3)
    assert LoadRfPaird(settings)(item)["sample_mm"] == pytest.approx(1540 / 80e6 * 1e3)


def test_frames_of_different_size_are_refused(tmp_path, sequence):
    np.save(tmp_path / "b.npy", FRAMES[:, :80])
    with pytest.raises(UnusableFileError, match=r"b\.npy.*one size, found 80 samples x 9 lines, and 90 x 9 in"):
        LoadRfPaird()({**sequence, "post": str(tmp_path / "b.npy")})


def test_one_frame_is_no_pair(tmp_path):
    np.save(tmp_path / "one.npy", FRAMES[0])
    with pytest.raises(UnusableFileError, match="a pair needs two frames"):
        LoadRfPaird()(rf_pairs(tmp_path)[0])


def test_constant_frame_is_refused(tmp_path):
    savemat(tmp_path / "a.mat", {"Im1": FRAMES[0], "Im2": np.full((90, 9), 3.0)})
    with pytest.raises(UnusableFileError, match="frame 2 is constant"):
        LoadRfPaird()(rf_pairs(tmp_path)[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda rf: np.abs(hilbert(rf, axis=1)),
        np.abs,
        lambda rf: 20 * np.log10(np.abs(hilbert(rf, axis=1)) / 4 + 1e-3),
        lambda rf: (4000 * rf + 32768).astype(np.uint16),
        lambda rf: rf - 5,
    ],
    ids=["envelope", "rectified", "compressed", "unsigned", "negative offset"],
)
def test_what_does_not_swing_about_zero_is_no_rf(tmp_path, change):
    np.save(tmp_path / "a.npy", change(FRAMES[:2]))
    with pytest.raises(UnusableFileError, match=r"a\.npy: expected RF, which swings about zero, found a mean of"):
        LoadRfPaird()(rf_pairs(tmp_path)[0])


def test_rf_with_a_small_offset_is_read(tmp_path):
    np.save(tmp_path / "a.npy", FRAMES[:2] + 0.3)
    assert LoadRfPaird()(rf_pairs(tmp_path)[0])["pre"].shape == (1, 90, 9)


def test_identical_frames_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([FRAMES[0], FRAMES[0]]))
    with pytest.raises(UnusableFileError, match=r"a\.npy: .*same one twice"):
        LoadRfPaird()(rf_pairs(tmp_path)[0])


@pytest.mark.parametrize("depth", [100, "all", (1, 2, 3), (0.5, 2)], ids=str)
def test_depth_that_is_no_pair_of_numbers_is_refused(depth):
    with pytest.raises(ValueError, match="depth_samples"):
        LoadRfPaird(depth_samples=depth)


@pytest.mark.parametrize("depth", [None, "None", "none"])
def test_depth_of_the_command_line_that_keeps_all(sequence, depth):
    assert LoadRfPaird(depth_samples=depth)(sequence)["pre"].shape == (1, 90, 9)


def test_depth_that_leaves_nothing_is_refused(sequence):
    with pytest.raises(UnusableFileError, match="no sample is left of 90"):
        LoadRfPaird(depth_samples=[100, None])(sequence)


@pytest.mark.parametrize(
    ("samples", "lines", "depth", "found"),
    [(63, 9, None, "63 samples x 9 lines"), (64, 7, None, "64 samples x 7 lines"), (90, 9, [27, None], "63 samples")],
)
def test_frames_too_small_to_show_tissue_are_refused(tmp_path, samples, lines, depth, found):
    np.save(tmp_path / "a.npy", FRAMES[:2, :samples, :lines])
    item = rf_pairs(tmp_path)[0]
    with pytest.raises(
        UnusableFileError, match=rf"a\.npy: expected RF of at least 64 samples x 8 lines, found {found}"
    ):
        LoadRfPaird(depth_samples=depth)(item)


def test_supervised_training_needs_the_answer(sequence):
    with pytest.raises(UnusableFileError, match="simulated pairs"):
        LoadRfPaird(needs_answer=True)(sequence)


def envelope_and_what_is_made_of_it(tmp_path):
    simulate_rf_ultrasound(tmp_path / "rf", cases=1, samples=600, lines=24)
    rf = loadmat(next((tmp_path / "rf").glob("*.mat")))["Im1"].astype(float)
    envelope = np.abs(hilbert(rf, axis=0))
    compressed = 20 * np.log10(envelope / envelope.max() + 1e-3)
    return envelope, compressed


def test_an_envelope_about_zero_is_no_rf(tmp_path):
    envelope, compressed = envelope_and_what_is_made_of_it(tmp_path)
    grey = np.clip(255 * (1 + compressed / 60), 0, 255)
    made = {"compressed": compressed, "grey": grey.round(), "envelope": envelope, "coarse": compressed[::3]}
    for name, image in made.items():
        for number, centred in enumerate((image - image.mean(), image - image.mean(0))):
            path = tmp_path / f"{name}{number}.npy"
            np.save(path, np.stack([centred, np.roll(centred, 1, axis=0)]))
            with pytest.raises(UnusableFileError, match=r"which has a carrier.*log-compressed.*export RF"):
                LoadRfPaird()({"case": name, "pre": str(path), "post": str(path), "pre_frame": 0, "post_frame": 1})


def test_rf_of_any_bandwidth_and_rf_below_a_ringing_probe_have_a_carrier(tmp_path):
    rows = np.arange(600.0)[:, None]
    for bandwidth in (0.3, 0.95):
        folder = tmp_path / str(bandwidth)
        simulate_rf_ultrasound(folder, cases=1, samples=600, lines=24, bandwidth=bandwidth, noise_db=(5.0, 6.0))
        content = loadmat(next(folder.glob("*.mat")))
        slow = 50 * content["Im1"].std() * np.exp(-rows / 20)  # the probe itself, at the start of depth
        np.save(tmp_path / "s.npy", np.stack([content["Im1"] + slow, content["Im2"] + slow]))
        pair = {"case": "s", "pre": str(tmp_path / "s.npy"), "post": str(tmp_path / "s.npy"), "post_frame": 1}
        assert LoadRfPaird()(pair)["pre"].shape == (1, 600, 24)


def test_relative_bandwidth_of_a_gaussian_pulse_and_of_noise():
    array = RfAcquisition(samples=1000, lines=64, bandwidth=0.6)
    random = np.random.default_rng(0)
    frame = array.image(
        random.uniform(0, 1000, 20_000) * array.sample_mm, random.uniform(0, 19, 20_000), np.ones(20_000)
    )
    # The amplitude's deviation is .6 / 2.355 of the centre; the squared power is its fourth power.
    assert relative_bandwidth(frame) == pytest.approx(0.6 / 2.355 / 2, rel=0.15)
    assert relative_bandwidth(random.normal(size=(1000, 64))) == pytest.approx(3**-0.5, rel=0.02)
