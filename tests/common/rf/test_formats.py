import h5py
import numpy as np
import pytest
import SimpleITK
from scipy.io import savemat

from common.errors import UnusableFileError
from common.rf import RfSettings, read_rf

FRAMES = np.random.default_rng(0).normal(size=(2, 30, 7)).astype(np.float32)
ACQUISITION = {"fs_hz": 40e6, "sound_speed_m_s": 1600.0, "pitch_m": 0.25e-3, "frame_interval_s": 0.05}


def save_v73(path, **content):
    """As MATLAB does: an HDF5 file behind a 512-byte text header, axes in reverse."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in content.items():
            file[name] = np.asarray(value).T
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116))


def test_mat_5_with_a_pair_and_its_acquisition(tmp_path):
    savemat(tmp_path / "a.mat", {"Im1": FRAMES[0], "Im2": FRAMES[1], **ACQUISITION})
    record = read_rf(tmp_path / "a.mat")
    np.testing.assert_array_equal(record.frames, FRAMES)
    assert record.sample_mm == pytest.approx(1600 / (2 * 40e6) * 1e3)
    assert (record.pitch_mm, record.frame_interval_s) == pytest.approx((0.25, 0.05))


def test_mat_7_3_holds_axes_in_reverse(tmp_path):
    save_v73(tmp_path / "a.mat", RfDataDouble=np.moveaxis(FRAMES, 0, -1), fs_hz=[[20e6]])
    np.testing.assert_array_equal(read_rf(tmp_path / "a.mat").frames, FRAMES)


def test_mat_5_sequence_has_frames_last(tmp_path):
    savemat(tmp_path / "a.mat", {"BfData": np.moveaxis(FRAMES, 0, -1)})
    np.testing.assert_array_equal(read_rf(tmp_path / "a.mat").frames, FRAMES)


@pytest.mark.parametrize("kind", ["npy", "npz", "raw", "mhd"])
def test_other_formats_have_frames_first(tmp_path, kind):
    path, settings = tmp_path / f"a.{kind}", RfSettings(raw_shape=(2, 30, 7))
    if kind == "npy":
        np.save(path, FRAMES)
    elif kind == "npz":
        np.savez(path, anything=FRAMES)
    elif kind == "raw":
        FRAMES.tofile(path)
    else:
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(FRAMES), str(path))
    np.testing.assert_array_equal(read_rf(path, settings).frames, FRAMES)


def test_spacing_of_an_image_header_is_taken(tmp_path):
    image = SimpleITK.GetImageFromArray(FRAMES[0])
    image.SetSpacing((0.3, 0.02))
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    record = read_rf(tmp_path / "a.mha")
    assert (record.sample_mm, record.pitch_mm) == pytest.approx((0.02, 0.3))


def test_nothing_is_guessed(tmp_path):
    np.save(tmp_path / "a.npy", FRAMES)
    record = read_rf(tmp_path / "a.npy")
    assert (record.sample_mm, record.pitch_mm, record.frame_interval_s) == (None, None, None)


def test_settings_outrank_the_file(tmp_path):
    savemat(tmp_path / "a.mat", {"Im1": FRAMES[0], "Im2": FRAMES[1], **ACQUISITION})
    settings = RfSettings(sampling_mhz=20.0, sound_speed_m_s=1500.0, pitch_mm=0.5, frame_interval_ms=10.0)
    record = read_rf(tmp_path / "a.mat", settings)
    values = (record.sample_mm, record.pitch_mm, record.frame_interval_s)
    assert values == pytest.approx((1500 / 40e6 * 1e3, 0.5, 0.01))


def test_integers_become_floats(tmp_path):
    np.save(tmp_path / "a.npy", (100 * FRAMES).astype(np.int16))
    frames = read_rf(tmp_path / "a.npy").frames
    assert frames.dtype == np.float32 and frames[1, 3, 2] == np.int16(100 * FRAMES[1, 3, 2])


def test_lateral_first_is_asked_about_and_turned(tmp_path):
    np.save(tmp_path / "a.npy", FRAMES.swapaxes(1, 2))
    with pytest.raises(UnusableFileError, match="axial_first"):
        read_rf(tmp_path / "a.npy")
    np.testing.assert_array_equal(read_rf(tmp_path / "a.npy", RfSettings(axial_first=False)).frames, FRAMES)


def test_without_a_numeric_array_the_error_lists_what_the_file_holds(tmp_path):
    savemat(tmp_path / "a.mat", {"label": "liver", "gain": 3.0})
    with pytest.raises(UnusableFileError, match=r"label .*gain"):
        read_rf(tmp_path / "a.mat")


def test_several_candidates_are_named_and_one_can_be_chosen(tmp_path):
    np.savez(tmp_path / "a.npz", left=FRAMES, right=2 * FRAMES)
    with pytest.raises(UnusableFileError, match=r"left, right.*variable"):
        read_rf(tmp_path / "a.npz")
    np.testing.assert_array_equal(read_rf(tmp_path / "a.npz", RfSettings(variable="right")).frames, 2 * FRAMES)


def test_two_variables_are_the_two_frames(tmp_path):
    np.savez(tmp_path / "a.npz", rest=FRAMES[0], squeezed=FRAMES[1], other=FRAMES)
    np.testing.assert_array_equal(read_rf(tmp_path / "a.npz", RfSettings(variable="rest, squeezed")).frames, FRAMES)


def test_a_variable_that_is_not_there_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", left=FRAMES)
    with pytest.raises(UnusableFileError, match=r"variable rf, the file holds left"):
        read_rf(tmp_path / "a.npz", RfSettings(variable="rf"))


def test_iq_data_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", FRAMES + 1j)
    with pytest.raises(UnusableFileError, match="IQ"):
        read_rf(tmp_path / "a.npy")


def test_nan_is_counted(tmp_path):
    broken = FRAMES.copy()
    broken[0, :2, 0] = np.nan
    np.save(tmp_path / "a.npy", broken)
    with pytest.raises(UnusableFileError, match="2 values that are NaN"):
        read_rf(tmp_path / "a.npy")


def test_frames_of_two_sizes_in_one_file(tmp_path):
    savemat(tmp_path / "a.mat", {"Im1": FRAMES[0], "Im2": FRAMES[1, :20]})
    with pytest.raises(UnusableFileError, match=r"\(20, 7\), \(30, 7\)"):
        read_rf(tmp_path / "a.mat")


def test_raw_needs_a_shape_that_fits(tmp_path):
    FRAMES.tofile(tmp_path / "a.raw")
    with pytest.raises(UnusableFileError, match="set --raw_shape"):
        read_rf(tmp_path / "a.raw")
    with pytest.raises(UnusableFileError, match=r"expected 840 bytes .* found 1680"):
        read_rf(tmp_path / "a.raw", RfSettings(raw_shape=(30, 7)))


def test_pickled_arrays_are_not_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UnusableFileError, match="cannot be read"):
        read_rf(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.mat", "a.npz", "a.mhd"])
def test_damaged_files_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(UnusableFileError, match=name):
        read_rf(tmp_path / name)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UnusableFileError, match=r"\.mat, .*found \.png"):
        read_rf(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match=r"none\.mat"):
        read_rf(tmp_path / "none.mat")
