import logging
import re

import numpy as np
import pytest
from PIL import Image

from common.doppler import doppler_cases, doppler_datalist
from common.errors import NoDataError

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
            lines.append(f"{index}.png,E,{index},5,0.5,20,p{index // 2}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def names(items):
    return [item["case"] for item in items]


def cases(items):
    return {item["case"] for item in items}


def test_items_carry_case_image_peaks_and_calibration(folder):
    item = next(item for item in doppler_datalist(folder, "all") if item["case"] == "3")
    assert item["image"] == str(folder / "3.png")
    assert item["peaks"] == {"E": [(3, 5)], "A": []} and item["calibration"][:2] == (20, 0.5)


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
        ("more/10.png,E,1,99,,,", "more_10: left out: .*inside the 40 x 30 image"),
        ("11,E,1,2,0,4,", "more_11: left out: .*positive cm_s_per_px"),
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
    assert len(items) == 13 and items["7"]["calibration"][:2] == (20, 0.5) and "calibration" not in items["more_10"]


def test_inference_takes_a_single_file_with_its_calibration_from_the_table_beside_it(folder):
    (item,) = doppler_cases(folder / "7.png")
    assert item["case"] == "7" and item["image"] == str(folder / "7.png")
    assert item["calibration"][:2] == (20, 0.5)
    assert doppler_cases(folder / "more" / "10.png") == [{"case": "10", "image": str(folder / "more" / "10.png")}]


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
