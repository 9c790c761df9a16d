import logging
import re

import numpy as np
import pytest
from PIL import Image

from common.doppler import doppler_cases, doppler_datalist
from common.errors import NoDataError
from tests.common.data.test_ultrasound_dicom import write

PARTS = ("training", "validation", "test")


@pytest.fixture
def folder(tmp_path):
    """Ten labelled pictures, two a patient, and three without a label in a subfolder."""
    lines = ["filename,wave,x,y,cm_s_per_px,y_baseline,patient_id"]
    (tmp_path / "more").mkdir()
    for index in range(13):
        name = f"more/{index}.png" if index > 9 else f"{index}.png"
        Image.fromarray(np.zeros((30, 40), np.uint8)).save(tmp_path / name)
        if index < 10:
            lines.append(f"{index}.png,E,{index},5,5,20,p{index // 2}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def names(items):
    return [item["case"] for item in items]


def cases(items):
    return {item["case"] for item in items}


def test_items_carry_case_image_peaks_and_calibration(folder):
    item = next(item for item in doppler_datalist(folder, "all") if item["case"] == "3")
    assert item["image"] == str(folder / "3.png")
    assert item["peaks"] == {"E": [(3, 5)], "A": []} and item["calibration"][:2] == (20, 5)


def test_parts_are_disjoint_cover_all_and_keep_a_patient_together(folder):
    parts = [cases(doppler_datalist(folder, part, fold=1, seed=4)) for part in ("training", "validation", "test")]
    assert [len(part) for part in parts] == [6, 2, 2]
    assert set.union(*parts) == {str(index) for index in range(10)}
    for part in parts:
        assert {str(int(case) ^ 1) for case in part} == part


def test_every_image_is_tested_once_over_the_folds(folder):
    tested = [case for fold in range(5) for case in sorted(cases(doppler_datalist(folder, "test", fold=fold)))]
    assert sorted(tested) == sorted(str(index) for index in range(10))


def test_the_split_follows_the_seed(folder):
    splits = {frozenset(cases(doppler_datalist(folder, "test", seed=seed))) for seed in range(8)}
    assert len(splits) > 1
    assert names(doppler_datalist(folder, seed=3)) == names(doppler_datalist(folder, seed=3))


def test_a_limit_keeps_the_first_of_the_same_order(folder):
    assert names(doppler_datalist(folder, limit=2)) == names(doppler_datalist(folder))[:2]
    for limit in (0, -1):
        with pytest.raises(ValueError, match=f"labels: expected at least 1 image, or null for all, found {limit}"):
            doppler_datalist(folder, limit=limit)


def test_the_first_stage_takes_unlabelled_images_and_labelled_ones_of_its_part_only(folder):
    training, validation = (cases(doppler_datalist(folder, part, labelled=False)) for part in PARTS[:2])
    assert training | validation >= {"more_10", "more_11", "more_12"} and not training & validation
    for part, found in zip(PARTS, (training, validation), strict=False):
        assert {case for case in found if "more" not in case} == cases(doppler_datalist(folder, part))
    assert cases(doppler_datalist(folder, "test", labelled=False)) == cases(doppler_datalist(folder, "test"))
    assert all("peaks" not in item for item in doppler_datalist(folder, labelled=False))


def test_the_first_stage_needs_no_labels(folder):
    (folder / "labels.csv").unlink()
    parts = [cases(doppler_datalist(folder, part, labelled=False)) for part in PARTS[:2]]
    assert len(parts[0]) + len(parts[1]) == 13 and parts[1] and not parts[0] & parts[1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("absent.png,E,1,2,,,", "label of absent.png left out: no image of this name"),
        ("more/10.png,S,1,2,,,", "more_10: left out: .*expected wave E or A"),
        ("more/10.png,E,1,99,,,", "more_10: left out: .*expected y of E as a number from 0 to 29"),
        ("11,E,1,2,0,4,", "more_11: left out: .*expected cm_s_per_px as a number"),
    ],
)
def test_a_bad_label_is_named_and_the_others_stay(folder, caplog, line, message):
    with (folder / "labels.csv").open("a") as stream:
        stream.write(line + "\n")
    with caplog.at_level(logging.WARNING):
        assert len(doppler_datalist(folder, "all")) == 10
    assert [record for record in caplog.messages if re.search(message, record)]


def test_a_damaged_image_is_named_and_the_others_stay(folder, caplog):
    (folder / "4.png").write_text("no picture")
    assert len(doppler_datalist(folder, "all")) == 9
    assert "4: left out" in caplog.text


def test_an_unlabelled_image_that_cannot_serve_is_named_and_left_out(folder, caplog):
    (folder / "more" / "10.png").write_text("no picture")
    parts = [cases(doppler_datalist(folder, part, labelled=False)) for part in PARTS[:2]]
    assert "more_10" not in set.union(*parts) and "more_11" in set.union(*parts)
    assert "more_10: left out" in caplog.text


def test_two_images_of_one_name_need_the_path(folder, caplog):
    (folder / "more" / "4.png").write_bytes((folder / "4.png").read_bytes())
    (folder / "labels.csv").write_text("filename,wave,x,y\n4,E,1,2\n5.png,E,1,2\nmore/4.png,E,1,2\n")
    assert cases(doppler_datalist(folder, "all")) == {"5", "more_4"}
    assert "2 images of this name" in caplog.text


def test_inference_lists_every_image_with_its_calibration(folder):
    items = {item["case"]: item for item in doppler_cases(folder)}
    assert len(items) == 13 and items["7"]["calibration"][:2] == (20, 5) and "calibration" not in items["more_10"]


def test_inference_takes_a_single_file_with_its_calibration_from_the_table_beside_it(folder):
    (item,) = doppler_cases(folder / "7.png")
    assert item["case"] == "7" and item["image"] == str(folder / "7.png")
    assert item["calibration"][:2] == (20, 5)
    assert doppler_cases(folder / "more" / "10.png") == [{"case": "10", "image": str(folder / "more" / "10.png")}]


def test_inference_takes_the_trace_from_a_table_without_peaks(folder):
    (folder / "labels.csv").write_text("filename,x0,y0,x1,y1\n7.png,2,3,30,25\nmore/11.png,2,3,50,25\n")
    items = {item["case"]: item for item in doppler_cases(folder)}
    assert items["7"] == {"case": "7", "image": str(folder / "7.png"), "box": (2, 3, 30, 25)}
    assert "expected x1 as a number from 0 to 39, found '50'" in items["more_11"]["problem"]
    assert set(items["more_10"]) == {"case", "image"}


def test_a_table_of_another_kind_beside_a_single_file_is_left_out(folder, caplog):
    (folder / "labels.csv").write_text("patient_id,ef\na,55\n")
    assert doppler_cases(folder / "7.png") == [{"case": "7", "image": str(folder / "7.png")}]
    assert "calibration left out" in caplog.text


def test_a_folder_without_labels_names_the_layouts_and_the_remedy(folder):
    (folder / "labels.csv").unlink()
    with pytest.raises(NoDataError, match=r"labels\.csv .*13 images and no usable label.*simulate doppler_keypoint"):
        doppler_datalist(folder)


@pytest.mark.parametrize("name", ["", "absent"])
def test_an_empty_or_absent_folder_names_the_remedy(tmp_path, name):
    with pytest.raises(NoDataError, match="python -m common simulate doppler_keypoint"):
        doppler_cases(tmp_path / name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"split": "train"}, "found 'train'"), ({"folds": 2}, "at least 3 folds"), ({"fold": 5}, "found fold 5 of 5")],
)
def test_refuses_settings_outside_their_range(folder, settings, message):
    with pytest.raises(ValueError, match=message):
        doppler_datalist(folder, **settings)


def test_dicom_without_preamble_and_suffix_is_an_image(tmp_path):
    path = write(tmp_path / "IM_0001", np.zeros((2, 20, 30), np.uint8), "MONOCHROME2")
    path.write_bytes(path.read_bytes()[132:])
    assert names(doppler_cases(tmp_path)) == ["IM_0001"]


def test_what_is_neither_dicom_nor_picture_is_named_once_with_the_reason(folder, caplog):
    for name in ("clip.mkv", "more/scan.gif", "notes.txt", ".DS_Store", "more/._1.png", "Thumbs.db"):
        (folder / name).write_bytes(b"x" * 200)
    items = doppler_cases(folder)
    assert len(items) == 13
    for name in ("clip.mkv", "more/scan.gif", "notes.txt"):
        (message,) = [text for text in caplog.messages if name in text]
        assert "not used" in message and "neither DICOM, picture nor video" in message
    assert not [text for text in caplog.messages if ".DS_Store" in text or "._1" in text or "Thumbs" in text]


def test_an_image_without_a_label_is_named_by_a_training_and_once(folder, caplog):
    for split in ("training", "validation"):
        doppler_datalist(folder, split)
    for index in (10, 11, 12):
        assert len([text for text in caplog.messages if f"more/{index}.png: no usable row in labels.csv" in text]) == 1


def test_files_named_by_uid_are_cases_of_their_own(folder):
    for index in (1, 2):
        (folder / f"1.2.840.{index}").write_bytes(b"\0" * 128 + b"DICM")
    assert {"1.2.840.1", "1.2.840.2"} <= cases(doppler_cases(folder))


def test_an_image_that_lies_in_a_linked_folder_is_found(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder / "more" / "10.png").rename(elsewhere / "10.png")
    (folder / "linked").symlink_to(elsewhere)
    assert "linked_10" in cases(doppler_cases(folder))


def test_a_number_given_as_a_folder_is_its_name(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "more").rename(folder / "2024")
    assert cases(doppler_cases(2024)) == {"10", "11", "12"}
    assert len(doppler_datalist(2024, labelled=False, split="all")) == 3


def test_a_table_saved_by_a_spreadsheet_in_another_language_is_read(folder):
    lines = ["filename;wave;x;y;cm_s_per_px;y_baseline", *(f"{index}.png;E;{index},5;5;5,0;20" for index in range(10))]
    (folder / "labels.csv").write_bytes("\r\n".join([*lines, ";;;;;", ""]).encode("utf-16"))
    items = {item["case"]: item for item in doppler_datalist(folder, "all")}
    assert items["3"]["peaks"]["E"] == [(3.5, 5)] and items["3"]["calibration"][:2] == (20, 5)


def test_files_that_differ_in_the_suffix_only_are_cases_of_their_own(folder):
    (folder / "7.jpg").write_bytes((folder / "7.png").read_bytes())
    assert {"7.png", "7.jpg", "8"} <= cases(doppler_cases(folder))
    (folder / "labels.csv").write_text("filename,wave,x,y\n7.png,E,1,2\n7.jpg,E,1,2\n8.png,E,1,2\n")
    assert cases(doppler_datalist(folder, "all")) == {"7.png", "7.jpg", "8"}


@pytest.mark.parametrize("form", ["more\\10.png", "./more/10.png", ".\\more\\10.png", "more/10"])
def test_labels_name_files_as_windows_and_shells_write_them(folder, form):
    table = folder / "labels.csv"
    table.write_text(table.read_text() + f"{form},A,7,6,5,20,p9\n")
    item = next(item for item in doppler_datalist(folder, "all") if item["case"] == "more_10")
    assert item["peaks"] == {"E": [], "A": [(7, 6)]}


def test_a_file_in_a_folder_and_one_named_like_both_are_two_cases(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("a/b.png", "a_b.png", "c.png"):
        Image.fromarray(np.zeros((30, 40), np.uint8)).save(tmp_path / name)
    assert sorted(names(doppler_cases(tmp_path))) == ["a__b.png", "a_b.png", "c"]
