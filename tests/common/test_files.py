import hashlib
import json
import tempfile

import numpy as np
import pytest

from common.errors import UnusableFileError
from common.files import (
    append_csv,
    as_given,
    read_csv,
    read_sealed_json,
    replacing,
    write_csv,
    write_json,
    write_sealed_json,
)
from tests.full_disk import full_disk


def test_a_failure_keeps_the_old_file_and_leaves_no_partial_one(tmp_path):
    target = tmp_path / "result.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), replacing(target) as temporary:
        temporary.write_text("ne")
        raise RuntimeError("half way")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_temporary_name_keeps_double_suffixes(tmp_path):
    with replacing(tmp_path / "deep" / "mask.nii.gz") as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.write_bytes(b"mask")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["mask.nii.gz"]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), np.float32("inf")])
def test_json_writes_infinity_as_null(tmp_path, value):
    write_json(tmp_path / "a.json", {"x": value})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": None}


def test_json_takes_numpy_and_writes_nan_as_null(tmp_path):
    write_json(tmp_path / "a.json", {"x": np.float32(0.5), "y": [np.int64(3), float("nan")], "z": np.arange(2)})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 0.5, "y": [3, None], "z": [0, 1]}


def test_csv_round_trip_keeps_rows_and_an_empty_table_keeps_its_header(tmp_path):
    write_csv(tmp_path / "a.csv", [{"case": "p1", "ef": 55}, {"case": "p2", "note": "x, y"}])
    assert read_csv(tmp_path / "a.csv") == [
        {"case": "p1", "ef": "55", "note": ""},
        {"case": "p2", "ef": "", "note": "x, y"},
    ]
    write_csv(tmp_path / "b.csv", [], columns=["case", "reason"])
    assert (tmp_path / "b.csv").read_text().strip() == "case,reason"


def test_names_that_are_not_in_utf_8_are_written(tmp_path):
    strange = b"p\xe9".decode("utf-8", "surrogateescape")
    write_json(tmp_path / f"{strange}.json", {"case": strange})
    assert json.loads((tmp_path / f"{strange}.json").read_text(encoding="utf-8"))["case"] == strange
    write_csv(tmp_path / "a.csv", [{"case": strange}])
    assert read_csv(tmp_path / "a.csv") == [{"case": r"p\udce9"}]


def test_a_writer_that_wrote_nothing_leaves_no_empty_file(tmp_path):
    (tmp_path / "a.nii").write_text("old")
    with pytest.raises(OSError, match="found nothing written; is the disk full"), replacing(tmp_path / "a.nii") as path:
        path.touch()
    assert (tmp_path / "a.nii").read_text() == "old"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1"])
def test_text_is_no_formula_in_a_spreadsheet_and_numbers_stay_numbers(tmp_path, text):
    write_csv(tmp_path / "a.csv", [{"case": text, "value": -0.5}])
    (row,) = read_csv(tmp_path / "a.csv")
    assert row == {"case": f"'{text}", "value": "-0.5"}
    write_csv(tmp_path / "again.csv", [as_given(row)])  # what was read is written as it was
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "a.csv").read_text()


def test_a_number_that_names_a_case_stays_text_as_it_was_read():
    row = {"case": "101", "value": "-0.5", "ef": "35.10", "flag": "False", "doubts": "'-5 is low"}
    assert as_given(row) == {**row, "value": -0.5, "doubts": "-5 is low"}


def test_rows_are_added_one_by_one_below_one_header(tmp_path):
    for case in ("a", "b"):
        append_csv(tmp_path / "a.csv", {"case": case, "value": 1}, ["case", "value"])
    assert read_csv(tmp_path / "a.csv") == [{"case": "a", "value": "1"}, {"case": "b", "value": "1"}]


def test_a_row_that_does_not_fit_on_the_disk_leaves_the_rows_before_it_whole(tmp_path):
    rows = [{"case": name, "value": name * 30} for name in "abc"]
    append_csv(tmp_path / "a.csv", rows[0], ["case", "value"])
    before = (tmp_path / "a.csv").read_bytes()
    with (
        full_disk(len(before) + 9),
        pytest.raises(OSError, match="expected to write a whole file, found no more room on the disk"),
    ):
        append_csv(tmp_path / "a.csv", rows[1], ["case", "value"])
    assert (tmp_path / "a.csv").read_bytes() == before
    append_csv(tmp_path / "a.csv", rows[2], ["case", "value"])
    assert read_csv(tmp_path / "a.csv") == [rows[0], rows[2]]
    with full_disk(3), pytest.raises(OSError, match="expected to write a whole file, found no more room on the disk"):
        append_csv(tmp_path / "b.csv", rows[0], ["case", "value"])
    assert not (tmp_path / "b.csv").exists()


@pytest.mark.parametrize("write", [write_json, write_sealed_json], ids=lambda write: write.__name__)
def test_json_that_does_not_fit_on_the_disk_leaves_the_old_one(tmp_path, write):
    write(tmp_path / "a.json", {"a": 1})
    before = (tmp_path / "a.json").read_bytes()
    with full_disk(10), pytest.raises(OSError, match="expected to write a whole file, found no more room on the disk"):
        write(tmp_path / "a.json", {"b": "x" * 100})
    assert (tmp_path / "a.json").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


SEALED = {"threshold": 0.25, "size": [4, 5], "name": "é", "nothing": float("nan"), "deep": {"b": np.float32(2), "a": 1}}
CANONICAL = '{"deep":{"a":1,"b":2.0},"name":"\\u00e9","nothing":null,"size":[4,5],"threshold":0.25}'


def test_a_sealed_json_carries_the_sum_of_its_canonical_content_on_its_first_line(tmp_path):
    write_sealed_json(tmp_path / "a.json", SEALED)
    expected = hashlib.sha256(CANONICAL.encode()).hexdigest()
    assert (tmp_path / "a.json").read_text().splitlines()[1] == f'  "content_sha256": "{expected}",'
    assert read_sealed_json(tmp_path / "a.json", "values", "write them again") == json.loads(CANONICAL)


def test_no_flipped_bit_of_a_sealed_json_changes_a_value_without_a_word(tmp_path):
    write_sealed_json(tmp_path / "a.json", SEALED)
    content, refused = (tmp_path / "a.json").read_bytes(), 0
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "a.json").write_bytes(damaged)
        try:
            found = read_sealed_json(tmp_path / "a.json", "values", "write them again")
        except UnusableFileError as error:
            refused += 1
            assert str(error).startswith(f"{tmp_path}/a.json: expected values") and "write them again" in str(error)
        else:
            assert {key: found[key] for key in json.loads(CANONICAL)} == json.loads(CANONICAL)
    assert refused > 7 * len(content)


def test_a_json_that_was_edited_on_purpose_is_read_without_its_first_line(tmp_path):
    write_sealed_json(tmp_path / "a.json", SEALED)
    lines = (tmp_path / "a.json").read_text().replace("0.25", "0.5").splitlines()
    (tmp_path / "a.json").write_text("\n".join(lines))
    with pytest.raises(UnusableFileError, match="If you edited it on purpose, remove its line content_sha256"):
        read_sealed_json(tmp_path / "a.json", "values", "write them again")
    (tmp_path / "a.json").write_text("\n".join(lines[:1] + lines[2:]))
    assert read_sealed_json(tmp_path / "a.json", "values", "write them again")["threshold"] == 0.5


@pytest.mark.parametrize("text", ["[1, 2]", "3", '{"a": 1}'])
def test_json_without_a_digest_is_read_as_it_is(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert read_sealed_json(tmp_path / "a.json", "values", "write them again") == json.loads(text)


@pytest.mark.parametrize("content", [b"{", b"\xff{}", b"", b"[" * 100_000], ids=["cut", "no text", "empty", "deep"])
def test_json_that_cannot_be_read_is_named(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UnusableFileError, match=r"a\.json: expected values, found a damaged file; write them again"):
        read_sealed_json(tmp_path / "a.json", "values", "write them again")


def test_two_processes_write_beside_each_other_though_one_removes_the_folder_of_both(tmp_path, monkeypatch):
    make, asked = tempfile.mkdtemp, []

    def removed_just_before(dir):
        asked.append(dir)
        if len(asked) == 1:
            dir.rmdir()
        return make(dir=dir)

    monkeypatch.setattr("common.files.tempfile.mkdtemp", removed_just_before)
    write_json(tmp_path / "a.json", 1)
    assert json.loads((tmp_path / "a.json").read_text()) == 1 and len(asked) == 2
