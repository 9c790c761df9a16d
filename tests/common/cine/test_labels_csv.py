"""Ejection fractions and classes from the labels.csv of a folder of patients."""

import logging

import pytest

from common.cine import cine_datalist
from common.errors import UnusableFileError
from tests.common.cine.layout_files import any_folder, by_case


def test_folder_of_dicom_and_nifti_patients_with_labels_csv(tmp_path, caplog):
    any_folder(tmp_path)
    (tmp_path / "labels.csv").write_text("patient_id,ef\nanna,35\nbert,61.5\nghost,20\n")
    with caplog.at_level(logging.WARNING):
        items = cine_datalist(tmp_path, "all")
    assert by_case(items) == {"anna": [0, 1], "bert": [0, 1, 2]}
    assert {item["case"]: (item["label"], item["ef"]) for item in items} == {"anna": (1, 35.0), "bert": (0, 61.5)}
    assert "labels of 1 patients that are not there: ghost" in caplog.text
    assert "1 patients without a label: carl" in caplog.text


def test_labels_csv_may_give_the_class(tmp_path):
    any_folder(tmp_path)
    (tmp_path / "labels.csv").write_text("patient_id,label\nanna,1\nbert,HFpEF\n")
    assert {item["case"]: item["label"] for item in cine_datalist(tmp_path, "all")} == {"anna": 1, "bert": 0}


@pytest.mark.parametrize(
    "content",
    [
        "patient_id;ef\nanna;35,5\nbert;61,5\n;\n".encode("latin-1"),
        "patient_id\tef\nanna\t35.5\nbert\t61.5\n".encode("utf-16"),
        b"\xef\xbb\xbfpatient_id,ef,\nanna,35.5,\nbert,61.5,\n",
    ],
    ids=["semicolon and comma", "UTF-16 and tab", "byte order mark"],
)
def test_labels_are_read_as_people_save_them(tmp_path, content):
    any_folder(tmp_path)
    (tmp_path / "labels.csv").write_bytes(content)
    assert {item["case"]: item["ef"] for item in cine_datalist(tmp_path, "all")} == {"anna": 35.5, "bert": 61.5}


@pytest.mark.parametrize("cell", ["nan", "0.35", "-5", "inf", "300", "high"])
def test_fractions_and_what_is_no_number_are_no_ejection_fraction(tmp_path, caplog, cell):
    any_folder(tmp_path)
    (tmp_path / "labels.csv").write_text(f"patient_id,ef\nanna,{cell}\nbert,50\n")
    with caplog.at_level(logging.WARNING):
        assert set(by_case(cine_datalist(tmp_path, "all"))) == {"bert"}
    assert "row of anna is not usable: expected ef in percent as a number from 1 to 100" in caplog.text


def test_a_class_may_be_written_as_a_float_and_another_one_is_named(tmp_path, caplog):
    any_folder(tmp_path)
    (tmp_path / "labels.csv").write_text("patient_id,label\nanna,1.0\nbert,0.0\ncarl,2\n")
    assert {item["case"]: item["label"] for item in cine_datalist(tmp_path, "all")} == {"anna": 1, "bert": 0}
    assert "row of carl is not usable: expected the label 1 (HFrEF) or 0 (HFpEF), found '2'" in caplog.text


def test_rows_of_one_patient_that_differ_are_refused(tmp_path):
    any_folder(tmp_path)
    (tmp_path / "labels.csv").write_text("patient_id,ef\nanna,35\nanna,65\n")
    with pytest.raises(UnusableFileError, match="expected one row for each patient, found several that differ"):
        cine_datalist(tmp_path, "all")
