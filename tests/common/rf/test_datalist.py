import numpy as np
import pytest

from common.errors import NoDataError, UnusableFileError
from common.rf import RfSettings, rf_csv_pairs, rf_datalist, rf_pairs, simulate_rf_ultrasound

RAW = RfSettings(raw_shape=(20, 4))


def sequence(folder, frames):
    folder.mkdir(parents=True)
    for number in range(1, frames + 1):
        np.full((20, 4), number, np.float32).tofile(folder / f"frame{number}.raw")


def cases(items):
    return [item["case"] for item in items]


def test_simulated_pairs_are_read_back(tmp_path):
    simulate_rf_ultrasound(tmp_path, cases=2, samples=128, lines=8)
    items = rf_pairs(tmp_path)
    assert cases(items) == ["inclusion_0000", "smooth_0001"]
    assert items[0]["pre"] == items[0]["post"] and (items[0]["pre_frame"], items[0]["post_frame"]) == (0, 1)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ("consecutive", ["s_1_2", "s_2_3", "s_3_4"]),
        ("first", ["s_1_2", "s_1_3", "s_1_4"]),
        ("every", ["s_1_2", "s_1_3", "s_1_4", "s_2_3", "s_2_4", "s_3_4"]),
    ],
)
def test_pairs_of_a_sequence(tmp_path, pairs, expected):
    sequence(tmp_path / "folder" / "s", 4)
    items = rf_pairs(tmp_path / "folder", pairs, RAW)
    assert cases(items) == expected
    assert items[-1]["post"].endswith("frame4.raw") and items[-1]["post_frame"] == 0
    np.save(tmp_path / "s.npy", np.random.default_rng(0).normal(size=(4, 20, 4)))
    inside = rf_pairs(tmp_path / "s.npy", pairs)
    assert cases(inside) == expected
    assert inside[-1]["post_frame"] == 3


def test_parts_hold_whole_sequences_and_cover_everything_once(tmp_path):
    for name in "abcdefg":
        sequence(tmp_path / name, 3)
    parts = [rf_datalist(tmp_path, part, settings=RAW, folds=3) for part in ("training", "validation", "test")]
    assert sorted(cases(parts[0] + parts[1] + parts[2])) == cases(rf_datalist(tmp_path, "all", settings=RAW))
    names = [{item["sequence"] for item in part} for part in parts]
    assert not (names[0] & names[1] or names[0] & names[2] or names[1] & names[2])
    assert all(names)


def test_every_sequence_is_tested_in_one_fold(tmp_path):
    for name in "abcd":
        sequence(tmp_path / name, 2)
    tested = [cases(rf_datalist(tmp_path, "test", fold=fold, folds=4, settings=RAW)) for fold in range(4)]
    assert sorted(name for fold in tested for name in fold) == ["a_1_2", "b_1_2", "c_1_2", "d_1_2"]


def test_folders_named_for_their_part_are_kept(tmp_path):
    sequence(tmp_path / "training" / "a", 2)
    sequence(tmp_path / "validation" / "b", 3)
    assert cases(rf_datalist(tmp_path, "training", settings=RAW)) == ["a_1_2"]
    assert cases(rf_datalist(tmp_path, "training+validation", settings=RAW)) == ["a_1_2", "b_1_2", "b_2_3"]


@pytest.mark.parametrize("given", ["299, 304", ["299", "304"], (299, 304)], ids=str)
def test_sequences_can_be_named(tmp_path, given):
    for name in ("299", "300", "304"):
        sequence(tmp_path / name, 2)
    assert cases(rf_datalist(tmp_path, "all", sequences=given, settings=RAW)) == ["299_1_2", "304_1_2"]
    assert cases(rf_datalist(tmp_path, "all", sequences=304, settings=RAW)) == ["304_1_2"]


def test_csv_names_pairs(tmp_path):
    (tmp_path / "pairs.csv").write_text("case,pre,post,pre_frame,post_frame\nx,a.mat,a.mat,2,5\ny,a.mat,b.mat,,\n")
    items = rf_pairs(tmp_path)
    assert [(item["case"], item["pre_frame"], item["post_frame"]) for item in items] == [("x", 2, 5), ("y", 0, 0)]
    assert items[1]["post"] == str(tmp_path / "b.mat")


@pytest.mark.parametrize(
    ("text", "match"), [("case,pre\nx,a\n", "columns"), ("case,pre,post,pre_frame\nx,a,a,-1\n", "x")]
)
def test_csv_that_is_not_one_of_pairs(tmp_path, text, match):
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(UnusableFileError, match=match):
        rf_csv_pairs(tmp_path / "pairs.csv")


def test_raw_data_of_a_header_are_no_second_frame(tmp_path):
    import SimpleITK

    folder = tmp_path / "s"
    folder.mkdir()
    for number in (1, 2):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.eye(20, 4)), str(folder / f"f{number}.mhd"))
    assert cases(rf_pairs(tmp_path)) == ["s_1_2"]


def test_file_of_one_frame_is_listed_so_that_loading_it_can_say_why(tmp_path):
    np.save(tmp_path / "single.npy", np.eye(20, 4))
    assert cases(rf_pairs(tmp_path)) == ["single"]


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()], ids=["missing", "empty"])
def test_no_data_names_the_layouts_and_the_remedy(tmp_path, make):
    make(tmp_path / "d")
    with pytest.raises(NoDataError, match=r"pairs\.csv.*python -m common simulate elasto_flow"):
        rf_datalist(tmp_path / "d")


def test_refuses_unknown_splits_and_pairings(tmp_path):
    with pytest.raises(ValueError, match="'train'"):
        rf_datalist(tmp_path, "train")
    with pytest.raises(ValueError, match="'all'"):
        rf_pairs(tmp_path, pairs="all")
