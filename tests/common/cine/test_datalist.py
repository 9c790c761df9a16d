"""The dispatching datalist: parts, bad patients, and errors that tell what to do."""

import logging

import nibabel
import numpy as np
import pydicom
import pytest

from common.cine import cine_cases, cine_datalist, simulate_cine_mr
from common.errors import NoDataError, UnusableFileError
from tests.dicom_frames import write_stack


@pytest.fixture(scope="module")
def acdc(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acdc")
    simulate_cine_mr(folder, cases=8, size=32, frames=4, slices=3, reduced_fraction=0.5)
    return folder


def cases(items):
    return {item["case"] for item in items}


def test_parts_are_disjoint_by_patient_and_complete(acdc):
    parts = [cases(cine_datalist(acdc, part)) for part in ("training", "validation", "test")]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 8
    for part in ("training", "validation", "test"):
        assert {item["label"] for item in cine_datalist(acdc, part)} == {0, 1}


def test_joined_parts_are_their_union(acdc):
    joined = cases(cine_datalist(acdc, "training+test"))
    assert joined == cases(cine_datalist(acdc, "training")) | cases(cine_datalist(acdc, "test"))


def test_first_stage_trains_on_the_patients_of_the_second(acdc):
    assert cases(cine_datalist(acdc, fold=1, labelled=False)) == cases(cine_datalist(acdc, fold=1))


def test_patients_of_further_folders_all_train_without_labels(acdc, tmp_path):
    for name in ("a", "b"):
        write_stack(tmp_path / "first" / name)
    write_stack(tmp_path / "alone")
    further = [tmp_path / "first", tmp_path / "alone"]
    own = cases(cine_datalist(acdc, labelled=False))
    assert cases(cine_datalist(acdc, labelled=False, further_dirs=further)) == own | {"a", "b", "alone"}
    with pytest.raises(ValueError, match="expected none where labels are needed"):
        cine_datalist(acdc, further_dirs=further)


def test_unreadable_patient_is_logged_and_the_others_go_on(tmp_path, caplog):
    for name in ("a", "b", "c"):
        write_stack(tmp_path / name)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.dcm").write_bytes(b"nothing" * 50)
    with caplog.at_level(logging.WARNING):
        assert cases(cine_datalist(tmp_path, "all", labelled=False)) == {"a", "b", "c"}
    assert "bad: left out" in caplog.text and "x.dcm" in caplog.text
    assert [case["case"] for case in cine_cases(tmp_path)] == ["a", "b", "bad", "c"]


def test_black_slices_and_patients_are_left_out_so_that_they_end_no_training(tmp_path, caplog):
    write_stack(tmp_path / "anna", slices=2)
    write_stack(tmp_path / "black", slices=1)
    for file in [*sorted((tmp_path / "anna").iterdir())[:4], *(tmp_path / "black").iterdir()]:
        dataset = pydicom.dcmread(file)
        dataset.PixelData = bytes(len(dataset.PixelData))
        dataset.save_as(file)
    voxels = np.random.default_rng(0).integers(1, 500, (6, 6, 3, 4)).astype(np.int16)
    voxels[:, :, 1] = 0
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "bert.nii.gz")
    with caplog.at_level(logging.WARNING):
        items = cine_datalist(tmp_path, "all", labelled=False)
    assert [(item["case"], item["slice_number"]) for item in items] == [("anna", 1), ("bert", 0), ("bert", 2)]
    assert "anna: slice 0 skipped: the image is constant" in caplog.text
    assert "bert.nii.gz: slice 1 skipped: the image is constant" in caplog.text
    assert "black: left out" in caplog.text


def test_folder_without_any_usable_patient_is_an_error(tmp_path):
    (tmp_path / "bad").mkdir()
    with pytest.raises(NoDataError, match=r"expected slices to work on, found none in 1 patients \(bad cannot"):
        cine_datalist(tmp_path, "all", labelled=False)


@pytest.mark.parametrize("make", [False, True], ids=["no folder", "empty folder"])
def test_no_data_names_layouts_and_the_command_that_simulates(tmp_path, make):
    folder = tmp_path / "data"
    if make:
        folder.mkdir()
    for listing in (cine_datalist, cine_cases):
        with pytest.raises(NoDataError, match=r"ACDC.*M&Ms.*Sunnybrook.*Kaggle.*labels\.csv.*simulate cmr_hf_classify"):
            listing(folder)


def test_unlabelled_folder_cannot_serve_where_labels_are_needed(tmp_path):
    write_stack(tmp_path / "a")
    with pytest.raises(NoDataError, match=r"expected patients with an ejection fraction .*found none among 1"):
        cine_datalist(tmp_path)


def test_one_class_alone_cannot_be_split_into_nothing(tmp_path):
    for name in "abcd":
        write_stack(tmp_path / name)
    (tmp_path / "labels.csv").write_text("patient_id,ef\na,60\nb,60\nc,60\nd,30\n")
    with pytest.raises(ValueError, match=r"found 1 of class 1 \(d\) among 4"):
        cine_datalist(tmp_path)


def test_labels_csv_without_its_columns_is_refused(tmp_path):
    write_stack(tmp_path / "a")
    (tmp_path / "labels.csv").write_text("name,fraction\na,60\n")
    with pytest.raises(
        UnusableFileError, match=r"expected columns patient_id and ef \(or label\), found name, fraction"
    ):
        cine_datalist(tmp_path)


def test_misspelt_options_are_refused(acdc):
    with pytest.raises(ValueError, match="split: expected training, validation, test"):
        cine_datalist(acdc, "train")
    with pytest.raises(ValueError, match="expected slices left_ventricle or all"):
        cine_datalist(acdc, slices="lv")


def test_too_few_patients_of_a_class_is_an_error_that_names_them(tmp_path):
    for name in "abcde":
        write_stack(tmp_path / name)
    (tmp_path / "labels.csv").write_text("patient_id,ef\na,30\nb,35\nc,60\nd,61\ne,62\n")
    with pytest.raises(ValueError, match=r"at least 3 patients of each class.*found 2 of class 1 \(a, b\) among 5"):
        cine_datalist(tmp_path)


def test_the_target_ef_is_the_part_of_the_blood_that_stays_behind(tmp_path, caplog):
    for name in ("anna", "bert", "carl"):
        write_stack(tmp_path / name, slices=1)
    (tmp_path / "labels.csv").write_text("patient_id,ef,label\nanna,35,\nbert,62.5,\ncarl,,1\n")
    items = {item["case"]: item for item in cine_datalist(tmp_path, "all", target="ef")}
    assert {case: (item["label"], item["reduced"]) for case, item in items.items()} == {
        "anna": (pytest.approx(0.65), 1),
        "bert": (pytest.approx(0.375), 0),
    }
    assert "a class and no ejection fraction, which target ef needs: carl" in caplog.text
    assert {item["case"]: item["label"] for item in cine_datalist(tmp_path, "all")} == {"anna": 1, "bert": 0, "carl": 1}
    with pytest.raises(ValueError, match="target: expected class or ef, found 'EF'"):
        cine_datalist(tmp_path, "all", target="EF")


def test_a_column_of_the_hospital_does_not_keep_patients_together(tmp_path):
    names = [f"p{number}" for number in range(6)]
    for name in names:
        write_stack(tmp_path / name, slices=1)
    rows = "".join(f"{name},{30 + 40 * (number % 2)},A\n" for number, name in enumerate(names))
    (tmp_path / "labels.csv").write_text(f"patient_id,ef,source\n{rows}")
    parts = [cases(cine_datalist(tmp_path, part, folds=3)) for part in ("training", "validation", "test")]
    assert [len(part) for part in parts] == [2, 2, 2]


def test_patients_with_a_class_alone_cannot_teach_the_ejection_fraction(tmp_path):
    write_stack(tmp_path / "anna")
    (tmp_path / "labels.csv").write_text("patient_id,label\nanna,1\n")
    assert cine_datalist(tmp_path, "all")[0]["label"] == 1
    with pytest.raises(NoDataError, match="all 1; add column ef to labels"):
        cine_datalist(tmp_path, "all", target="ef")
