import math

import pytest

from common.data.tables import number, read_table
from common.errors import UnusableFileError

ROWS = [{"case": "Jürgen 1", "ef": "55.5"}, {"case": "b", "ef": ""}]


def saved(tmp_path, data):
    path = tmp_path / "t.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_reads_one_table_in_every_form(tmp_path, encoding, delimiter, ending):
    lines = [f"case{delimiter} ef ", f"Jürgen 1{delimiter}55.5", f"b{delimiter}"]
    assert read_table(saved(tmp_path, (ending.join(lines) + ending).encode(encoding))) == ROWS


@pytest.mark.parametrize("order", ["le", "be"])
def test_reads_utf_16_in_both_orders_of_bytes(tmp_path, order):
    text = "\ufeffcase,ef\nJürgen 1,55.5\nb,\n"
    assert read_table(saved(tmp_path, text.encode(f"utf-16-{order}"))) == ROWS


def test_drops_a_trailing_delimiter_and_empty_rows(tmp_path):
    text = "case,ef,\n\nJürgen 1,55.5,\nb,,\n,,\n , \n\n"
    assert read_table(saved(tmp_path, text)) == ROWS


def test_a_quoted_cell_may_hold_delimiters_and_line_ends(tmp_path):
    text = 'case;note;ef\na;"x; y\nz";"55,5"\n'
    assert read_table(saved(tmp_path, text)) == [{"case": "a", "note": "x; y\nz", "ef": "55,5"}]


def test_excels_first_line_names_the_delimiter(tmp_path):
    path = saved(tmp_path, 'sep=;\r\ncase;"ef, percent"\r\na;55,5\r\n')
    assert read_table(path) == [{"case": "a", "ef, percent": "55,5"}]
    with pytest.raises(UnusableFileError, match="line 4: expected 2 cells"):
        read_table(saved(tmp_path, "sep=;\na;b\n1;2\n1;2;3\n"))


def test_a_column_name_with_a_comma_leaves_the_tab_as_the_only_delimiter(tmp_path):
    assert read_table(saved(tmp_path, "case\tef, %\na\t55\nb\t60\n"))[1] == {"case": "b", "ef, %": "60"}


def test_a_table_of_one_column_needs_no_delimiter(tmp_path):
    assert read_table(saved(tmp_path, "case\na\nb c\n")) == [{"case": "a"}, {"case": "b c"}]


def test_cells_that_a_short_row_lacks_are_empty(tmp_path):
    assert read_table(saved(tmp_path, "case,wave,x\na\nb,E,3\n"))[0] == {"case": "a", "wave": "", "x": ""}


def test_a_header_alone_has_no_rows(tmp_path):
    assert read_table(saved(tmp_path, "case,ef\n")) == read_table(saved(tmp_path, "case,ef")) == []


@pytest.mark.parametrize("data", [b"", b"\n \n", "\ufeff".encode(), "\ufeff".encode("utf-16-le")])
def test_refuses_an_empty_file(tmp_path, data):
    with pytest.raises(UnusableFileError, match=r"t\.csv: expected a table .* found an empty file"):
        read_table(saved(tmp_path, data))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            "case,ef\nJürgen,1\n".encode("cp850"),
            "line 2: .* not in utf-8 nor, without doubt, in latin-1; save it again",
        ),
        ("case,ef\nx,1\nJürgen,1\n".encode("mac_roman"), "line 3: .* not in utf-8 nor"),
        ("case,ef\nПациент,1\n".encode("cp1251"), "line 2: .* not in utf-8 nor"),
        ("case,ef\n病人,1\n".encode("gbk"), "line 2: .* not in utf-8 nor"),
        (b"\xff\xfec\x00a\x00s\x00e", "line 1: .* not in utf-16; save it again"),
        (b"\xff\xfec\x00\n\x00\x00\xdc\n\x00", "found bytes that are not in utf-16; save it again"),
        ("case,ef\na,1\n".encode("utf-16-le"), "binary file .or UTF-16 without a byte order mark"),
        ("case,ef\na,1\n".encode("utf-32"), "control characters"),
        (b"PK\x03\x04case,ef\n1,2", "binary file"),
        (b"case,ef\na\x00,1\n", "binary file"),
    ],
)
def test_refuses_what_is_no_text_or_could_be_several_by_file_line_and_encoding(tmp_path, data, reason):
    with pytest.raises(UnusableFileError, match=rf"t\.csv.*{reason}"):
        read_table(saved(tmp_path, data))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("case,ef\na,55,5\n", r"line 2: expected 2 cells \(case, ef\), found 3; put cells .* decimal comma"),
        ("case,ef\n\n\na,1\nb,1,2\n", "line 5: expected 2 cells"),
        ("case,ef,EF\na,1,2\n", "line 1: expected every column once, found 'EF', 'ef'"),
        ("a,b;c\n1,2;3\n", "line 1: expected one delimiter, found comma and semicolon in 'a,b;c'"),
        ('case,ef\na,"1\nb,2\n', "line 3: expected cells of a table"),
        ("case,ef,label\na,55,1\nb,5", "line 3: expected 3 cells, found 2 and no end of line, as if the file were cut"),
    ],
)
def test_refuses_what_does_not_fit_by_its_line(tmp_path, text, reason):
    with pytest.raises(UnusableFileError, match=rf"t\.csv, {reason}"):
        read_table(saved(tmp_path, text))


def test_refuses_a_huge_file_and_a_folder_before_reading_them(tmp_path, monkeypatch):
    monkeypatch.setattr("common.data.tables.LARGEST_TABLE_BYTES", 10)
    with pytest.raises(UnusableFileError, match="at most"):
        read_table(saved(tmp_path, "case,ef\na,1\n"))
    with pytest.raises(UnusableFileError, match="no such file"):
        read_table(tmp_path)
    with pytest.raises(UnusableFileError, match=r"absent\.csv: .* no such file"):
        read_table(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("55.5", 55.5),
        (" 55,5 ", 55.5),
        ("-0,25", -0.25),
        ("0,125", 0.125),
        ("55,1234", 55.1234),
        ("1e-3", 0.001),
        ("1,5E2", 150.0),
        (".5", 0.5),
        ("7", 7.0),
        (3, 3.0),
        (2.5, 2.5),
    ],
)
def test_numbers_have_a_decimal_point_or_comma(text, value):
    assert number(text, "ef") == value


def test_three_digits_after_a_comma_are_decimals_only_where_thousands_are_impossible():
    assert number("55,123", "EF in percent", 0, 100) == 55.123
    with pytest.raises(UnusableFileError, match=r"found '55,123', which has two meanings"):
        number("55,123", "volume in ml", 0)


@pytest.mark.parametrize(
    "text", ["", None, "n/a", "nan", "inf", "1e999", "1_000", "1,234.5", "1.234,5", "٣", "5 %", "0x10", "--5", True]
)
def test_refuses_what_is_no_finite_number_and_names_the_column(text):
    with pytest.raises(UnusableFileError, match="expected EF as a number, found"):
        number(text, "EF")


def test_refuses_a_value_outside_of_its_range():
    assert (number("0", "EF", 0, 100), number("100", "EF", 0, 100)) == (0.0, 100.0)
    for text in ("-0.1", "100.1", "1e300"):
        with pytest.raises(UnusableFileError, match=f"expected EF as a number from 0 to 100, found '{text}'"):
            number(text, "EF", 0, 100)
    with pytest.raises(UnusableFileError, match="a number of at least 0"):
        number("-1", "x", low=0)
    with pytest.raises(UnusableFileError, match="a number of at most 5"):
        number("6", "x", high=5)
    assert math.isclose(number("1e300", "x"), 1e300)


@pytest.mark.parametrize("text", ["9" * 5000, "x" * 5000])
def test_a_long_cell_is_named_by_its_beginning(text):
    with pytest.raises(UnusableFileError) as caught:
        number(text, "pitch", 0, 1)
    assert f"{text[0] * 60}..." in str(caught.value) and len(str(caught.value)) < 200
