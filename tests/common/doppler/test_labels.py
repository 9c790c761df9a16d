import math

import pytest

from common.doppler import doppler_label, read_label_rows
from common.errors import UnusableFileError


def label(tmp_path, text, size=(100, 200)):
    (tmp_path / "labels.csv").write_text(text)
    ((name, rows),) = read_label_rows(tmp_path / "labels.csv").items()
    return doppler_label(rows, size, name)


def test_long_form_has_a_row_a_peak(tmp_path):
    found = label(tmp_path, "filename,wave,x,y\na.png,A,60,40.5\na.png,E,120,30\na.png,e,20,31\n")
    assert found.peaks == {"E": [(20, 31), (120, 30)], "A": [(60, 40.5)]}
    assert found.calibration is None and found.patient is None


def test_wide_form_has_one_e_and_one_a_and_a_gap_is_a_missing_keypoint(tmp_path):
    text = "filename,x1,y1,x2,y2\na.png,20,30,60,40\na.png,120,31,,\na.png,,,170,42\n"
    assert label(tmp_path, text).peaks == {"E": [(20, 30), (120, 31)], "A": [(60, 40), (170, 42)]}


@pytest.mark.parametrize("text", ["filename,wave,x,y\na.png,,,\n", "filename,x1,y1,x2,y2\na.png,,,nan,NaN\n"])
def test_an_empty_spectrum_is_a_label_without_peaks(tmp_path, text):
    assert label(tmp_path, text).peaks == {"E": [], "A": []}


def test_calibration_and_patient_come_from_their_columns(tmp_path):
    text = "filename,wave,x,y,cm_s_per_px,y_baseline,seconds_per_px,patient_id\na.png,E,1,2,0.8,70,0.005,p7\n"
    found = label(tmp_path, text + "a.png,A,9,2,,,,p7\n")
    assert found.calibration == (70, 0.8, 0.005) and found.patient == "p7"


def test_time_scale_is_optional(tmp_path):
    calibration = label(tmp_path, "filename,wave,x,y,cm_s_per_px,y_baseline\na.png,E,1,2,0.8,70\n").calibration
    assert calibration[:2] == (70, 0.8) and math.isnan(calibration.seconds_per_px)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filename,wave,x,y\na.png,S,1,2\n", r"a\.png: expected wave E or A in labels\.csv, found 'S'"),
        ("filename,wave,x,y\na.png,,1,2\n", "expected wave E or A in labels.csv, found ''"),
        ("filename,wave,x,y\na.png,E,,\n", "expected a number for x"),
        ("filename,wave,x,y\na.png,E,1,high\n", "expected a number for y in labels.csv, found 'high'"),
        ("filename,wave,x,y\na.png,E,1,inf\n", "found 'inf'"),
        ("filename,wave,x,y\na.png,E,200,2\n", r"inside the 200 x 100 image, found E at \(200, 2\)"),
        ("filename,wave,x,y\na.png,A,1,-0.5\n", r"found A at \(1, -0\.5\)"),
        ("filename,wave,x,y\na.png,E,1,2\na.png,E,1.0,2\n", r"the E peak at \(1, 2\) is in labels\.csv twice"),
        ("filename,x1,y1,x2,y2\na.png,1,,3,4\n", "expected a number for y in labels.csv, found ''"),
        ("filename,wave,x,y,cm_s_per_px,y_baseline\na.png,E,1,2,0.8,\n", "expected both cm_s_per_px and y_baseline"),
        (
            "filename,wave,x,y,cm_s_per_px,y_baseline\na.png,E,1,2,0,50\n",
            "a positive cm_s_per_px in labels.csv, found 0",
        ),
        (
            "filename,wave,x,y,cm_s_per_px,y_baseline\na.png,E,1,2,0.8,50\na.png,A,9,2,0.9,50\n",
            "expected one calibration in labels.csv, found 2 that differ",
        ),
    ],
)
def test_says_what_is_wrong_with_a_label(tmp_path, text, message):
    with pytest.raises(UnusableFileError, match=message):
        label(tmp_path, text)


def test_names_the_columns_it_understands(tmp_path):
    (tmp_path / "labels.csv").write_text("file,peak\na.png,3\n")
    with pytest.raises(UnusableFileError, match=r"filename,wave,x,y or filename,x1,y1,x2,y2, found file,peak"):
        read_label_rows(tmp_path / "labels.csv")


def test_refuses_a_spreadsheet_under_the_name_of_a_csv(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"PK\x03\x04\xff\xfe\x00\x81")
    with pytest.raises(UnusableFileError, match="expected"):
        read_label_rows(tmp_path / "labels.csv")
