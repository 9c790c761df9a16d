import warnings

import pydicom
import pytest

from common.data.dicom_source import checked_root, derived_uid, dicom_files, read_instances
from common.errors import UnusableFileError
from tests.dicom_cases import IDENTITIES, NAME, NUMBER, write_cine, write_echo
from tests.dicom_frames import textured, write_frame


def test_uids_are_valid_and_depend_on_every_part_in_order():
    found = {derived_uid("2.25", *parts) for parts in (("a", "b"), ("b", "a"), ("ab",), ("a", "b", ""), ())}
    assert len(found) == 5 and derived_uid("2.25", "a", 1) == derived_uid("2.25", "a", "1")
    longest = checked_root("1.2.826.0.1.3680043.1000")
    for uid in (*found, derived_uid(longest, "a")):
        assert pydicom.uid.UID(uid).is_valid and len(uid) <= 64


@pytest.mark.parametrize("root", ["", "3.1", "1", "1.02", "1.2.", "2.25.x", "1.2.826.0.1.3680043.10000"])
def test_refuses_what_is_no_root(root):
    with pytest.raises(ValueError, match="uid_root: expected the root of UIDs"):
        checked_root(root)


def test_the_root_may_come_as_the_number_that_a_command_line_makes_of_it():
    assert checked_root(2.25) == "2.25"


def test_finds_the_dicom_files_of_a_path_of_several_and_of_folders(tmp_path):
    (tmp_path / "a.txt").write_text("no DICOM, and long enough")
    one = write_echo(tmp_path / "b.dcm")
    folder = write_cine(tmp_path / "c")
    assert dicom_files(str(one)) == [one] and dicom_files([one, tmp_path / "a.txt", tmp_path / "none"]) == [one]
    assert dicom_files(folder) == sorted(folder.glob("*.dcm")) and len(dicom_files(tmp_path)) == 19


def test_texts_come_in_utf_8_and_what_may_be_empty_is_there(tmp_path):
    (header,) = read_instances([write_echo(tmp_path / "a.dcm", AccessionNumber=None)], False, "2.25")
    assert str(header.PatientName) == NAME and header.SpecificCharacterSet == "ISO_IR 192"
    assert header.PatientName.encode(["utf-8"]) == NAME.encode() and header.AccessionNumber == ""


def test_without_identity_nothing_is_left_but_how_the_image_was_made(tmp_path):
    files = sorted(write_cine(tmp_path / "a").glob("*.dcm"))[:2]
    first, second = read_instances(files, True, "2.25")
    assert not [word for word in (*IDENTITIES, "1.2.840.99") if word in str(first)]
    assert first.StudyInstanceUID == second.StudyInstanceUID and first.SOPInstanceUID != second.SOPInstanceUID
    assert list(first.PixelSpacing) == [1.5, 1.25] and list(first.ImagePositionPatient) == [0, 0, 0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"PatientID": "another"}, "files of one patient"),
        ({"PatientID": None}, r"the patient's number \(PatientID\) that other files of the case have, found none"),
        ({"StudyInstanceUID": "1.2.3.4"}, "files of one study"),
        ({"SeriesInstanceUID": None}, "none of SeriesInstanceUID"),
    ],
)
def test_names_the_file_that_does_not_belong_and_quotes_no_value(tmp_path, changes, reason):
    usual = {"StudyInstanceUID": "1.2.840.99.1", "PatientID": NUMBER}
    for name, more in (("a", {}), ("b", changes)):
        write_frame(tmp_path / f"{name}.dcm", textured(1), **{**usual, **more})
    with pytest.raises(UnusableFileError, match=f"b.dcm: .*{reason}") as raised:
        read_instances([tmp_path / "a.dcm", tmp_path / "b.dcm"], False, "2.25")
    assert NUMBER not in str(raised.value) and "another " not in str(raised.value).replace(
        "another patient", ""
    ).replace("another study", "")


@pytest.mark.parametrize(
    ("keyword", "text", "tag"),
    [
        ("StudyDate", "2024-1", "0008,0020"),
        ("StudyDate", "20240231", "0008,0020"),
        ("StudyTime", "2500", "0008,0030"),
        ("PatientBirthDate", "7.1.1953", "0010,0030"),
    ],
)
def test_a_date_that_is_none_is_named_unquoted_and_needs_no_identity(tmp_path, keyword, text, tag):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = write_echo(tmp_path / "a.dcm", **{keyword: text})
    with pytest.raises(UnusableFileError, match=rf"a.dcm: expected {keyword} \({tag}\) .*--anonymous true") as raised:
        read_instances([file], False, "2.25")
    assert text not in str(raised.value)
    assert not read_instances([file], True, "2.25")[0].get(keyword)
