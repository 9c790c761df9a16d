import math

import pytest

from common.doppler import DopplerCalibration, doppler_label, read_label_rows
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
        ("filename,wave,x,y\na.png,E,,\n", "expected x of E as a number from 0 to 199, found ''"),
        (
            "filename,wave,x,y\na.png,E,1,high\n",
            "a.png: expected y of E as a number from 0 to 99, found 'high'; cor",
        ),
        ("filename,wave,x,y\na.png,E,1,inf\n", "found 'inf'"),
        ("filename,wave,x,y\na.png,E,200,2\n", "expected x of E as a number from 0 to 199, found '200'"),
        ("filename,wave,x,y\na.png,A,1,-0.5\n", "expected y of A as a number from 0 to 99, found '-0.5'"),
        ("filename,wave,x,y\na.png,E,1,2\na.png,E,1.0,2\n", r"found E at \(1, 2\) and E at \(1, 2\) in labels"),
        ("filename,wave,x,y\na.png,E,1,2\na.png,E,2.5,3\n", r"found E at \(2.5, 3\) and E at \(1, 2\) in labels"),
        ("filename,wave,x,y\na.png,E,1,2\na.png,A,1,2\n", r"found A at \(1, 2\) and E at \(1, 2\) in labels"),
        (
            "filename,wave,x,y,cm_s_per_px,y_baseline\na.png,E,1,50.5,0.8,50\n",
            r"expected peaks away from the baseline, found E at \(1, 50.5\) on it",
        ),
        (
            "filename,wave,x,y,patient_id\na.png,E,1,2,p7\na.png,A,9,2,p8\n",
            "expected one patient_id in labels.csv, found p7, p8",
        ),
        ("filename,x1,y1,x2,y2\na.png,1,,3,4\n", "expected y of E as a number from 0 to 99, found ''"),
        (
            "filename,wave,x,y,cm_s_per_px,y_baseline\na.png,E,1,2,0.8,\n",
            "expected all of cm_s_per_px, y_baseline in labels.csv, found y_baseline empty",
        ),
        (
            "filename,wave,x,y,cm_s_per_px,y_baseline\na.png,E,1,2,0,50\n",
            "expected cm_s_per_px as a number from 0.001 to 100, found '0'",
        ),
        (
            "filename,wave,x,y,cm_s_per_px,y_baseline\na.png,E,1,2,0.8,50\na.png,A,9,2,0.9,50\n",
            "expected one value of cm_s_per_px, y_baseline, seconds_per_px in labels.csv, found 2 that differ",
        ),
    ],
)
def test_says_what_is_wrong_with_a_label(tmp_path, text, message):
    with pytest.raises(UnusableFileError, match=message):
        label(tmp_path, text)


REGION = "filename,wave,x,y,x0,y0,x1,y1,cm_s_per_px,y_baseline\n"


def test_the_trace_comes_from_its_corners(tmp_path):
    found = label(tmp_path, REGION + "a.png,E,60,40,10,20,189,89,1.5,70\na.png,A,80,50,10.0,20,189,89,1.50,70\n")
    assert found.box == (10, 20, 189, 89) and found.calibration[:2] == (70, 1.5)
    assert label(tmp_path, REGION + "a.png,E,60,40,,,,,,\n").box is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("E,60,40,10,20,189,,,", "expected all of x0, y0, x1, y1 in labels.csv, found y1 empty"),
        ("E,60,40,10,20,200,89,,", "expected x1 as a number from 0 to 199, found '200'"),
        ("E,60,40,-1,20,189,89,,", "expected x0 as a number from 0 to 199, found '-1'"),
        ("E,60,40,189,20,10,89,,", r"expected x0 < x1 and y0 < y1"),
        ("E,60,40,10,20,20,89,,", r"16 pixels apart"),
        ("E,60,19,10,20,189,89,,", r"expected peaks inside x 10 to 189, y 20 to 89, found E at \(60, 19\)"),
        ("E,60,40,a,20,189,89,,", "expected x0 as a number from 0 to 199, found 'a'"),
        ("E,60,40,10,20,189,89,1e7,70", "expected cm_s_per_px as a number from 0.001 to 100, found '1e7'"),
        ("E,60,40,10,20,189,89,40,70", r"ends between 40 and 700 cm/s, found 2000 cm/s: a wrong scale"),
        ("E,60,40,10,20,189,89,0.2,70", "found 10 cm/s: tissue Doppler or a wrong scale"),
        ("E,60,40,10,20,189,89,1.5,400", "expected y_baseline as a number from -100 to 200, found '400'"),
        ("E,60,40,10,20,189,89,1.5,180", "expected the baseline near rows 20 to 89 of the trace, found row 180"),
    ],
)
def test_says_what_is_wrong_with_a_trace(tmp_path, row, message):
    with pytest.raises(UnusableFileError, match=message):
        label(tmp_path, f"{REGION}a.png,{row}\n")


def test_corners_and_the_wide_form_do_not_mix(tmp_path):
    with pytest.raises(UnusableFileError, match=r"x1 and y1 to be either a peak or a corner.*filename,wave,x,y"):
        label(tmp_path, "filename,x0,y0,x1,y1,x2,y2\na.png,1,2,30,40,60,50\n")


@pytest.mark.parametrize("columns", ["x0,y0,x1,y1", "cm_s_per_px,y_baseline", "x1,y0,x0,y1,note"])
def test_an_inference_needs_no_peaks_in_its_table(tmp_path, columns):
    (tmp_path / "labels.csv").write_text(f"filename,{columns}\n" + "a.png" + ",1" * len(columns.split(",")) + "\n")
    assert list(read_label_rows(tmp_path / "labels.csv", with_peaks=False)) == ["a.png"]
    with pytest.raises(UnusableFileError, match="expected the columns filename,wave,x,y"):
        read_label_rows(tmp_path / "labels.csv")


def test_reads_decimal_commas_and_semicolons(tmp_path):
    text = "filename;wave;x;y;cm_s_per_px;y_baseline\r\na.png;E;60,125;40,5;1,500;70,25\r\n;;;;;\r\n"
    found = label(tmp_path, text)
    assert found.peaks["E"] == [(60.125, 40.5)] and found.calibration[:2] == (70.25, 1.5)


def test_names_the_columns_it_understands(tmp_path):
    (tmp_path / "labels.csv").write_text("file,peak\na.png,3\n")
    with pytest.raises(UnusableFileError, match=r"filename,wave,x,y or filename,x1,y1,x2,y2, found file,peak"):
        read_label_rows(tmp_path / "labels.csv")


def test_refuses_a_spreadsheet_under_the_name_of_a_csv(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"PK\x03\x04\xff\xfe\x00\x81")
    with pytest.raises(UnusableFileError, match="expected"):
        read_label_rows(tmp_path / "labels.csv")


OWN = ((10, 20, 189, 89), DopplerCalibration(70, 1.5, 0.005))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("E,60,40,1.5,70,0.005", ""),
        ("E,60,40,1.51,71,", ""),
        (
            "E,60,40,1.2,70,",
            r"what the file itself says \(1.5 cm/s a row, .* found 1.2, 70 and nan",
        ),
        ("E,60,40,1.5,75,", "found 1.5, 75 and nan; leave these columns empty for DICOM files"),
        ("E,60,40,1.5,70,0.01", "found 1.5, 70 and 0.01"),
        ("E,60,95,,,", r"expected peaks inside x 10 to 189, y 20 to 89, found E at \(60, 95\)"),
        ("E,60,70.2,,,", "expected peaks away from the baseline"),
    ],
)
def test_labels_agree_with_what_a_dicom_file_says_of_its_trace(row, message):
    columns = ("wave", "x", "y", "cm_s_per_px", "y_baseline", "seconds_per_px")
    rows = [dict(zip(columns, row.split(","), strict=True))]
    if message:
        with pytest.raises(UnusableFileError, match=message):
            doppler_label(rows, (100, 200), "a.dcm", OWN)
    else:
        assert doppler_label(rows, (100, 200), "a.dcm", OWN).peaks["E"] == [(60, 40)]
