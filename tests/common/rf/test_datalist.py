import numpy as np
import pytest

from common.errors import NoDataError, UnusableFileError
from common.rf import LoadRfPaird, RfSettings, datalist, rf_datalist, rf_pairs, simulate_rf_ultrasound

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


def test_csv_as_people_save_it(tmp_path):
    text = "Case;Pre;Post;pre_frame;post_frame\r\nü;sub\\a.mat;sub\\a.mat;0;1\r\n;;;;\r\n"
    (tmp_path / "pairs.csv").write_bytes(text.encode("utf-16"))
    (item,) = rf_pairs(tmp_path)
    assert (item["case"], item["post_frame"], item["pre"]) == ("ü", 1, str(tmp_path / "sub" / "a.mat"))
    assert rf_pairs(tmp_path / "pairs.csv") == [item]


@pytest.mark.parametrize(
    ("text", "match"),
    [("case,pre\nx,a\n", "columns"), ("", "empty"), ("case,pre,post\n", "no row")],
    ids=["columns", "empty", "header only"],
)
def test_csv_that_is_not_one_of_pairs(tmp_path, text, match):
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(UnusableFileError, match=match):
        rf_pairs(tmp_path)


@pytest.mark.parametrize("frame", ["-1", "x", "1.5", "7"])
def test_a_frame_that_is_none_takes_its_own_pair_down_only(tmp_path, frame):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(2, 70, 9)))
    (tmp_path / "pairs.csv").write_text(
        f"case,pre,post,pre_frame,post_frame\nx,a.npy,a.npy,{frame},1\ny,a.npy,a.npy,,\n"
    )
    bad, good = rf_pairs(tmp_path)
    with pytest.raises(UnusableFileError, match=r"a\.npy: expected"):
        LoadRfPaird()(bad)
    assert LoadRfPaird()(good)["pre"].shape == (1, 70, 9)


def test_two_single_frame_files_in_one_folder_are_a_pair(tmp_path):
    sequence(tmp_path / "arm", 2)
    (item,) = rf_pairs(tmp_path / "arm", settings=RAW)
    assert item["case"] == "arm_1_2"
    assert [item["pre"][-10:], item["post"][-10:], item["post_frame"]] == ["frame1.raw", "frame2.raw", 0]


def test_frames_are_in_the_order_of_their_numbers(tmp_path):
    sequence(tmp_path / "s", 11)
    items = rf_pairs(tmp_path, settings=RAW)
    assert [item["pre"].rsplit("frame")[-1] for item in items] == [f"{number}.raw" for number in range(1, 11)]


def test_a_damaged_frame_keeps_its_place_in_the_sequence(tmp_path):
    sequence(tmp_path / "s", 3)
    (tmp_path / "s" / "frame2.raw").write_bytes(b"")
    items = rf_pairs(tmp_path, settings=RAW)
    assert [item["post"][-10:] for item in items] == ["frame2.raw", "frame3.raw"]


def test_files_of_two_frames_in_one_folder_are_a_pair_each(tmp_path):
    (tmp_path / "s" / "deeper").mkdir(parents=True)
    for path in ("s/a", "s/b", "s/deeper/a"):
        np.save(tmp_path / f"{path}.npy", np.random.default_rng(0).normal(size=(2, 20, 4)))
    assert cases(rf_pairs(tmp_path)) == ["s_a", "s_b", "s_deeper_a"]


def test_damaged_files_among_files_of_two_frames_are_listed_under_their_own_names(tmp_path):
    random = np.random.default_rng(0)
    np.save(tmp_path / "good.npy", random.normal(size=(2, 20, 4)))
    np.save(tmp_path / "one.npy", random.normal(size=(20, 4)))
    for name in ("cut", "lost"):
        (tmp_path / f"{name}.npy").write_bytes(b"damaged")
    assert sorted(cases(rf_pairs(tmp_path))) == ["cut", "good", "lost", "one"]


def test_no_pair_is_made_across_a_damaged_file_that_may_be_a_frame(tmp_path):
    random = np.random.default_rng(0)
    np.save(tmp_path / "s.npy", random.normal(size=(2, 20, 4)))
    for number in (1, 2, 4):
        np.save(tmp_path / f"frame{number}.npy", random.normal(size=(20, 4)))
    (tmp_path / "frame3.npy").write_bytes(b"damaged")
    folder = tmp_path.name
    assert sorted(cases(rf_pairs(tmp_path))) == ["frame3", "frame4", "s", f"{folder}_1_2"]


def test_entries_that_are_no_rf_are_named(tmp_path, caplog):
    sequence(tmp_path / "s", 2)
    for name in ("scan.rf", "s/notes.docx", ".DS_Store", "s/._frame1.raw"):
        (tmp_path / name).write_bytes(b"x")
    assert cases(rf_pairs(tmp_path, settings=RAW)) == ["s_1_2"]
    assert "scan.rf" in caplog.text and "notes.docx" in caplog.text
    assert "DS_Store" not in caplog.text and "._frame1" not in caplog.text


def test_rf_beside_the_split_folders_or_the_table_is_named(tmp_path, caplog):
    sequence(tmp_path / "split" / "training" / "a", 2)
    sequence(tmp_path / "split" / "others", 2)
    assert cases(rf_datalist(tmp_path / "split", "all", settings=RAW)) == ["a_1_2"]
    assert "others/frame1.raw" in caplog.text and "training/a" not in caplog.text
    sequence(tmp_path / "table", 3)
    (tmp_path / "table" / "pairs.csv").write_text("case,pre,post\nx,frame1.raw,frame3.raw\n")
    rf_pairs(tmp_path / "table")
    assert "frame2.raw: not in pairs.csv" in caplog.text and "frame3.raw" not in caplog.text


def test_a_sequence_that_is_not_there_is_named(tmp_path):
    sequence(tmp_path / "299", 2)
    with pytest.raises(NoDataError, match=r"expected the sequences 299, 999, found 299"):
        rf_datalist(tmp_path, "all", sequences="299,999", settings=RAW)


def test_raw_data_of_a_header_are_no_second_frame(tmp_path):
    import SimpleITK

    folder = tmp_path / "s"
    folder.mkdir()
    for number in (1, 2):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.eye(20, 4)), str(folder / f"f{number}.mhd"))
    assert cases(rf_pairs(tmp_path)) == ["s_1_2"]


@pytest.mark.parametrize("frames", [2, 1], ids=["pairs", "a sequence"])
def test_each_header_is_read_once(tmp_path, monkeypatch, frames):
    for number in range(5):
        np.save(tmp_path / f"{number}.npy", np.ones((frames, 40, 8), "float32"))
    read = []
    shape = datalist.frame_shape
    monkeypatch.setattr(datalist, "frame_shape", lambda path, settings: read.append(path.stem) or shape(path, settings))
    rf_pairs(tmp_path)
    assert sorted(read) == list("01234")


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
