import zipfile

import h5py
import numpy as np
import pytest
import SimpleITK
from scipy.io import savemat

from common.errors import UnusableFileError
from common.rf import RfSettings, read_rf
from common.rf.formats import frame_shape

FRAMES = np.random.default_rng(0).normal(size=(2, 30, 7)).astype(np.float32)
ACQUISITION = {"fs_hz": 40e6, "sound_speed_m_s": 1600.0, "pitch_m": 0.25e-3, "frame_interval_s": 0.05}


def save_v73(path, **content):
    """As MATLAB does: an HDF5 file behind a 512-byte text header, axes in reverse."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in content.items():
            file[name] = np.asarray(value).T
    sign_v73(path)


def sign_v73(path):
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116))


def cell(*entries):
    values = np.empty((1, len(entries)), dtype=object)
    values[0, :] = entries
    return values


def test_mat_5_with_a_pair_and_its_acquisition(tmp_path):
    savemat(tmp_path / "a.mat", {"Im1": FRAMES[0], "Im2": FRAMES[1], **ACQUISITION})
    record = read_rf(tmp_path / "a.mat")
    np.testing.assert_array_equal(record.frames, FRAMES)
    assert record.sample_mm == pytest.approx(1600 / (2 * 40e6) * 1e3)
    assert (record.pitch_mm, record.frame_interval_s) == pytest.approx((0.25, 0.05))


def test_mat_7_3_holds_axes_in_reverse(tmp_path):
    save_v73(tmp_path / "a.mat", RfDataDouble=np.moveaxis(FRAMES, 0, -1), fs_hz=[[20e6]])
    np.testing.assert_array_equal(read_rf(tmp_path / "a.mat").frames, FRAMES)


@pytest.mark.parametrize("kind", ["link", "storage", "virtual"])
def test_mat_7_3_that_takes_its_frames_from_another_file_is_refused(tmp_path, kind):
    stored = np.ascontiguousarray(FRAMES.T)  # (7, 30, 2)
    stored.tofile(tmp_path / "bytes")
    save_v73(tmp_path / "b.mat", rf=stored.T)
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        if kind == "link":
            file["rf"] = h5py.ExternalLink(str(tmp_path / "b.mat"), "/rf")
        elif kind == "storage":
            file.create_dataset("rf", stored.shape, "f4", external=[(str(tmp_path / "bytes"), 0, stored.nbytes)])
        else:
            layout = h5py.VirtualLayout(stored.shape, "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "b.mat"), "rf", stored.shape)
            file.create_virtual_dataset("rf", layout)
    with h5py.File(tmp_path / "a.mat") as file:
        np.testing.assert_array_equal(file["rf"], stored)  # the library follows
    sign_v73(tmp_path / "a.mat")
    for read in (read_rf, frame_shape):
        with pytest.raises(
            UnusableFileError, match=r"a\.mat: rf is .* another file; save the values in the file itself"
        ):
            read(tmp_path / "a.mat")


def cut_lengths(content):
    """Return the lengths at which a MAT 5 file ends between two variables, by the tags of its elements."""
    ends = [128]
    while ends[-1] < len(content):
        ends.append(ends[-1] + 8 + int.from_bytes(content[ends[-1] + 4 : ends[-1] + 8], "little"))
    return ends[1:-1]


@pytest.mark.parametrize("compressed", [False, True])
def test_a_mat_5_file_that_was_cut_off_never_passes_for_a_single_frame(tmp_path, compressed):
    savemat(tmp_path / "a.mat", {"Im1": FRAMES[0], "Im2": FRAMES[1]}, do_compression=compressed)
    content = (tmp_path / "a.mat").read_bytes()
    [boundary] = cut_lengths(content)
    for length in {*range(0, len(content), 37), *range(boundary - 9, boundary + 10)}:
        (tmp_path / "a.mat").write_bytes(content[:length])
        with pytest.raises(UnusableFileError, match=r"a\.mat: "):
            read_rf(tmp_path / "a.mat")
    (tmp_path / "a.mat").write_bytes(content[:boundary])
    for read in (read_rf, frame_shape):
        with pytest.raises(UnusableFileError, match=r"expected two frames, found Im1 alone.*--rf_variable Im1 if each"):
            read(tmp_path / "a.mat")
    assert frame_shape(tmp_path / "a.mat", RfSettings(variable="Im1")) == (1, 30, 7)


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


def test_header_of_a_raw_file_is_skipped(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(52) + FRAMES.tobytes())
    with pytest.raises(UnusableFileError, match="--raw_offset 52"):
        read_rf(tmp_path / "a.raw", RfSettings(raw_shape=(2, 30, 7)))
    record = read_rf(tmp_path / "a.raw", RfSettings(raw_shape=(2, 30, 7), raw_offset=52))
    np.testing.assert_array_equal(record.frames, FRAMES)


def test_words_of_the_command_line():
    settings = RfSettings(axial_first="false", frames_last="True", pitch_mm="none", raw_shape=[30, 7], variable="None")
    assert (settings.axial_first, settings.frames_last, settings.pitch_mm) == (False, True, None)
    assert settings.names == ()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("sampling_mhz", 40e6),
        ("sampling_mhz", 0),
        ("sound_speed_m_s", 1.54),
        ("pitch_mm", 0.0),
        ("pitch_mm", 300),
        ("frame_interval_ms", 0),
        ("axial_first", "yes"),
        ("raw_shape", 2000),
        ("raw_shape", (2000, -1)),
        ("raw_dtype", "float33"),
        ("raw_offset", -4),
    ],
)
def test_settings_outside_of_their_range_are_named(setting, value):
    with pytest.raises(ValueError, match=setting):
        RfSettings(**{setting: value})


@pytest.mark.parametrize(
    ("held", "match"),
    [
        ({"fs_hz": "40 MHz"}, r"a\.mat: expected fs_hz .*40 MHz.*--sampling_mhz"),
        ({"fs_hz": 40.0}, r"a\.mat: expected fs_hz .*40"),
        ({"fs_hz": [40e6, 50e6]}, r"a\.mat: expected fs_hz as one number"),
        ({"pitch_m": 0.0}, r"a\.mat: expected pitch_m .*--pitch_mm"),
        ({"pitch_m": 0.3}, r"a\.mat: expected pitch_m"),
        ({"frame_interval_s": -1.0}, r"a\.mat: expected frame_interval_s"),
        ({"sound_speed_m_s": np.nan}, r"a\.mat: expected sound_speed_m_s"),
    ],
)
def test_quantities_of_a_file_outside_of_their_range_are_named(tmp_path, held, match):
    savemat(tmp_path / "a.mat", {"Im1": FRAMES[0], "Im2": FRAMES[1], **held})
    with pytest.raises(UnusableFileError, match=match):
        read_rf(tmp_path / "a.mat")


def test_a_setting_spares_the_quantity_of_the_file(tmp_path):
    savemat(tmp_path / "a.mat", {"Im1": FRAMES[0], "Im2": FRAMES[1], "fs_hz": "40 MHz"})
    record = read_rf(tmp_path / "a.mat", RfSettings(sampling_mhz=40.0, sound_speed_m_s=1600.0))
    assert record.sample_mm == pytest.approx(0.02)


def test_zero_spacing_of_a_header_is_named(tmp_path):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(FRAMES[0]), str(tmp_path / "a.mha"))
    content = (tmp_path / "a.mha").read_bytes()
    (tmp_path / "a.mha").write_bytes(content.replace(b"ElementSpacing = 1 1", b"ElementSpacing = 0 1"))
    with pytest.raises(UnusableFileError, match=r"a\.mha"):
        read_rf(tmp_path / "a.mha")


@pytest.mark.parametrize("value", [1e300, 1e20, 1e-30])
def test_amplitudes_that_no_rf_has_are_refused(tmp_path, value):
    savemat(tmp_path / "a.mat", {"Im1": FRAMES[0].astype(float) * value, "Im2": FRAMES[1].astype(float) * value})
    with pytest.raises(UnusableFileError, match="amplitude"):
        read_rf(tmp_path / "a.mat")


def test_huge_unwritten_array_is_refused_before_memory_is_asked_for(tmp_path):
    for name, shape in (("huge.mat", (10**6, 10**6)), ("empty.mat", (200, 300))):
        with h5py.File(tmp_path / name, "w", userblock_size=512) as file:
            file.create_dataset("rf", shape=shape, dtype="f4", chunks=(100, 100))
        sign_v73(tmp_path / name)
    with pytest.raises(UnusableFileError, match="1000000 x 1000000"):
        read_rf(tmp_path / "huge.mat")
    with pytest.raises(UnusableFileError, match="0 that were written"):
        read_rf(tmp_path / "empty.mat")


def test_headers_that_claim_too_much_are_refused(tmp_path):
    with open(tmp_path / "a.npy", "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)})
    with pytest.raises(UnusableFileError, match=r"a\.npy"):
        read_rf(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.write(tmp_path / "a.npy", "rf.npy")
    with pytest.raises(UnusableFileError, match="claims"):
        read_rf(tmp_path / "a.npz")


def test_frames_are_counted_from_the_header(tmp_path, monkeypatch):
    savemat(tmp_path / "a.mat", {"Im1": FRAMES[0], "Im2": FRAMES[1]})
    savemat(tmp_path / "b.mat", {"BfData": np.moveaxis(FRAMES, 0, -1)})
    np.save(tmp_path / "c.npy", FRAMES)
    monkeypatch.setattr("scipy.io.loadmat", None)
    monkeypatch.setattr(np, "array", None)
    assert [frame_shape(tmp_path / name) for name in ("a.mat", "b.mat", "c.npy")] == [(2, 30, 7)] * 3


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


@pytest.mark.parametrize("name", ["a.mat", "a.npy"])
def test_the_axis_of_frames_is_the_one_that_leaves_frames(tmp_path, name):
    frames = np.random.default_rng(0).normal(size=(2, 70, 9))
    if name == "a.mat":  # frames first, where they usually come last
        savemat(tmp_path / name, {"rf": frames})
    else:
        np.save(tmp_path / name, np.moveaxis(frames, 0, -1))
    assert frame_shape(tmp_path / name) == (2, 70, 9)
    np.testing.assert_allclose(read_rf(tmp_path / name).frames, frames, rtol=1e-6)


def test_complex_values_of_mat_5_are_refused_too(tmp_path):
    savemat(tmp_path / "a.mat", {"rf": FRAMES[0] + 1j * FRAMES[1]})
    with pytest.raises(UnusableFileError, match="complex"):
        read_rf(tmp_path / "a.mat")
