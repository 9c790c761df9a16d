"""Which array of a MAT or NPZ file is the RF."""

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from common.errors import UnusableFileError
from common.rf import RfSettings, read_rf
from common.rf.formats import frame_shape
from tests.common.rf.test_formats import FRAMES, cell, sign_v73


def v73_cell(file, name, entries):
    """A cell as MATLAB stores it: references to datasets in #refs#."""
    for index, entry in enumerate(entries):
        file[f"#refs#/{name}{index}"] = entry.T
    references = [[file[f"#refs#/{name}{index}"].ref] for index in range(len(entries))]
    file.create_dataset(name, data=np.array(references, dtype=h5py.ref_dtype), dtype=h5py.ref_dtype)
    file[name].attrs["MATLAB_class"] = np.bytes_("cell")


def test_frames_of_one_file_each_under_another_name_are_taken(tmp_path):
    savemat(tmp_path / "a.mat", {"rf": FRAMES[0]})
    assert frame_shape(tmp_path / "a.mat") == (1, 30, 7)
    savemat(tmp_path / "a.mat", {"Im1": np.moveaxis(FRAMES, 0, -1)})  # a sequence is no half of a pair
    assert frame_shape(tmp_path / "a.mat") == (2, 30, 7)


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


def test_structure_of_a_mat_file_is_searched(tmp_path):
    savemat(tmp_path / "a.mat", {"acq": {"rf": np.moveaxis(FRAMES, 0, -1), "fs_hz": 40e6, "note": "liver"}})
    record = read_rf(tmp_path / "a.mat", RfSettings(sound_speed_m_s=1600.0))
    np.testing.assert_array_equal(record.frames, FRAMES)
    assert record.sample_mm == pytest.approx(0.02)


def test_cell_of_one_array_and_cell_of_a_frame_each(tmp_path):
    savemat(tmp_path / "verasonics.mat", {"RcvData": cell(np.moveaxis(FRAMES, 0, -1).astype(np.int16)), "n": 3})
    np.testing.assert_array_equal(read_rf(tmp_path / "verasonics.mat").frames, FRAMES.astype(np.int16))
    savemat(tmp_path / "frames.mat", {"frames": cell(*FRAMES)})
    np.testing.assert_array_equal(read_rf(tmp_path / "frames.mat").frames, FRAMES)


def test_structure_and_cell_of_matlab_7_3_are_searched(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        file["acq/data"] = np.moveaxis(FRAMES, 0, -1).T
        file["acq/fs_hz"] = [[20e6]]
    sign_v73(tmp_path / "a.mat")
    record = read_rf(tmp_path / "a.mat", RfSettings(sound_speed_m_s=1600.0))
    np.testing.assert_array_equal(record.frames, FRAMES)
    assert record.sample_mm == pytest.approx(0.04)
    with h5py.File(tmp_path / "b.mat", "w", userblock_size=512) as file:
        v73_cell(file, "RcvData", list(FRAMES))
    sign_v73(tmp_path / "b.mat")
    np.testing.assert_array_equal(read_rf(tmp_path / "b.mat").frames, FRAMES)


def test_what_structures_and_cells_hold_is_listed(tmp_path):
    savemat(
        tmp_path / "a.mat", {"acq": {"left": FRAMES[0], "right": FRAMES[1], "note": "x"}, "c": cell(FRAMES[0], 1.0)}
    )
    with pytest.raises(UnusableFileError, match=r"acq\.left, acq\.right, c\{1\}.*--rf_variable acq\.left"):
        read_rf(tmp_path / "a.mat")
    with pytest.raises(UnusableFileError, match=r"acq\.left \(30, 7\) float32, .*acq\.note"):
        read_rf(tmp_path / "a.mat", RfSettings(variable="rf"))
    found = read_rf(tmp_path / "a.mat", RfSettings(variable=("left", "right")))
    np.testing.assert_array_equal(found.frames, FRAMES)


@pytest.mark.parametrize("variable", ["rest,squeezed", ("rest", "squeezed"), ["rest", "squeezed"]], ids=str)
def test_two_variables_as_the_command_line_gives_them(tmp_path, variable):
    np.savez(tmp_path / "a.npz", rest=FRAMES[0], squeezed=FRAMES[1])
    np.testing.assert_array_equal(read_rf(tmp_path / "a.npz", RfSettings(variable=variable)).frames, FRAMES)


def test_a_variable_whose_name_is_a_number(tmp_path):
    np.savez(tmp_path / "a.npz", **{"2024": FRAMES, "other": FRAMES})
    np.testing.assert_array_equal(read_rf(tmp_path / "a.npz", RfSettings(variable=2024)).frames, FRAMES)


def test_all_frames_that_are_numbered_are_a_sequence(tmp_path):
    third = FRAMES[0] + 1
    savemat(tmp_path / "a.mat", {"Im0": FRAMES[0], "Im2": third, "Im1": FRAMES[1]})
    np.testing.assert_array_equal(read_rf(tmp_path / "a.mat").frames, np.stack([*FRAMES, third]))
    savemat(tmp_path / "b.mat", {"acq": {"frame10": third, "frame2": FRAMES[1], "frame1": FRAMES[0]}})
    np.testing.assert_array_equal(read_rf(tmp_path / "b.mat").frames, np.stack([*FRAMES, third]))


@pytest.mark.parametrize(
    "structures",
    [
        {"rest": {"Im1": 1, "Im2": 2}, "pressed": {"Im1": 3, "Im2": 4}},
        {"rest": {"Im1": 1}, "pressed": {"Im2": 2}},
        {"rest": {"frame1": 1}, "pressed": {"frame2": 2}},
        {"rest": {"Im1": 1, "Im2": 2}, "pressed": {"Im3": 3}, "rf": 4},
    ],
    ids=["Im twice", "Im", "frame", "beside rf"],
)
def test_numbered_frames_of_two_structures_are_no_sequence(tmp_path, structures):
    filled = {
        name: {key: value * FRAMES[0] for key, value in inside.items()}
        if isinstance(inside, dict)
        else inside * FRAMES[0]
        for name, inside in structures.items()
    }
    savemat(tmp_path / "a.mat", filled)
    first, second = (f"{name}.{key}" for name in ("rest", "pressed") for key in list(structures[name])[:1])
    with pytest.raises(UnusableFileError, match=rf"several arrays could be the RF \({first}, .*{second}"):
        read_rf(tmp_path / "a.mat")
    chosen = RfSettings(variable=f"{first},{second}")
    wanted = np.stack([structures[n.split(".")[0]][n.split(".")[1]] * FRAMES[0] for n in (first, second)])
    np.testing.assert_array_equal(read_rf(tmp_path / "a.mat", chosen).frames, wanted)


def test_numbers_do_not_choose_between_frames_and_something_else(tmp_path):
    savemat(tmp_path / "a.mat", {"frame1": FRAMES[0], "frame2": FRAMES[1], "image": FRAMES[0]})
    with pytest.raises(UnusableFileError, match=r"several arrays.*frame1,frame2"):
        read_rf(tmp_path / "a.mat")


def test_a_pattern_names_the_frame_of_files_that_number_theirs(tmp_path):
    for number in (1, 2):
        savemat(tmp_path / f"{number}.mat", {f"Im{number}": FRAMES[number - 1], "note": "x"})
        record = read_rf(tmp_path / f"{number}.mat", RfSettings(variable="Im?"))
        np.testing.assert_array_equal(record.frames, FRAMES[number - 1][None])
