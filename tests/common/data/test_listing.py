import logging
import os

import pytest

from common.data.listing import case_name, forget_reports, log_skipped, printable, report_unused, visible_files


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(root, **options):
    return [path.relative_to(root).as_posix() for path in visible_files(root, **options)]


def test_lists_files_in_order_and_no_hidden_ones(tmp_path):
    touch(tmp_path, "b.mha", "._b.mha", ".DS_Store", "Thumbs.db", "desktop.ini", "a/2.mha", "a/1.mha")
    touch(tmp_path, "__MACOSX/b.mha", ".git/b.mha", "a/.b.mha")
    assert names(tmp_path) == ["a/1.mha", "a/2.mha", "b.mha"]
    assert names(tmp_path, recursive=False) == ["b.mha"]


def test_follows_linked_files_and_folders(tmp_path):
    touch(tmp_path / "store", "p1/x.mha", "y.mha")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "p1").symlink_to(tmp_path / "store" / "p1")
    (tmp_path / "data" / "y.mha").symlink_to(tmp_path / "store" / "y.mha")
    assert names(tmp_path / "data") == ["p1/x.mha", "y.mha"]
    (tmp_path / "entry").symlink_to(tmp_path / "data")
    assert names(tmp_path / "entry") == ["p1/x.mha", "y.mha"]
    assert names(tmp_path / "data", recursive=False) == ["y.mha"]


def test_a_circle_of_links_ends_and_no_case_occurs_twice(tmp_path, caplog):
    touch(tmp_path, "z/case.mha")
    (tmp_path / "z" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "z")
    assert names(tmp_path) == ["z/case.mha"]
    assert "again: leads to a folder that is listed already" in caplog.text


def test_folders_that_all_link_to_each_other_are_listed_once(tmp_path):
    folders = [tmp_path / str(n) for n in range(12)]
    for folder in folders:
        touch(folder, "x")
    for folder in folders:
        for other in folders:
            (folder / f"to{other.name}").symlink_to(other)
    assert len(names(tmp_path)) == 12
    assert len(names(folders[0])) == 12


def test_a_link_that_leads_nowhere_is_warned_of(tmp_path, caplog):
    touch(tmp_path, "a.mha")
    (tmp_path / "b.mha").symlink_to(tmp_path / "absent.mha")
    os.mkfifo(tmp_path / "pipe")
    assert names(tmp_path) == ["a.mha"]
    assert "b.mha: not used: a link that leads nowhere" in caplog.text
    assert "pipe: not used" in caplog.text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("S.NII.GZ", "S"),
        ("s.nii", "s"),
        ("1.2.3.1", "1.2.3.1"),
        ("1.2.3.2.dcm", "1.2.3.2"),
        ("p.1.dcm", "p.1"),
        ("scan.gz", "scan.gz"),
        (".nii", ".nii"),
        ("a/b/c.mha", "c.mha"),
    ],
)
def test_only_known_suffixes_are_no_part_of_a_case_name(name, expected):
    assert case_name(name, (".nii", ".nii.gz", ".dcm")) == expected


def test_names_what_was_not_used_once_with_its_reason(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    report_unused(tmp_path, {tmp_path / "p" / f"{n}.webm": f"reason {n}" for n in range(12)})
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warned[0] == f"{tmp_path}: not used p/0.webm: reason 0"
    assert len(warned) == 11 and warned[-1] == f"{tmp_path}: not used 2 more"
    assert [caplog.text.count(f"p/{n}.webm: reason {n}") for n in range(12)] == [1] * 12


def test_a_folder_that_is_listed_again_is_not_reported_again_within_a_run(tmp_path, caplog):
    for _ in range(2):
        report_unused(tmp_path, {tmp_path / "a.webm": "no reader"})
    report_unused(tmp_path, {tmp_path / "a.webm": "no reader", tmp_path / "b.webm": "no reader"})
    assert [message[-17:] for message in caplog.messages] == ["a.webm: no reader", "b.webm: no reader"]
    forget_reports()
    report_unused(tmp_path, {tmp_path / "a.webm": "no reader"})
    assert len(caplog.messages) == 3


def test_says_nothing_where_nothing_was_left_out(tmp_path, caplog):
    report_unused(tmp_path, {})
    log_skipped("table", {})
    assert caplog.text == ""
    log_skipped("table", {"a": "no label"})
    assert "table: left out a: no label" in caplog.text


def test_names_that_are_not_in_utf_8_reach_the_log(tmp_path, caplog):
    strange = os.fsencode(tmp_path) + b"/p\xe9.mha"
    with open(strange, "w"):
        pass
    (path,) = visible_files(tmp_path)
    report_unused(tmp_path, {path: "no reader"})
    assert "not used p\\udce9.mha: no reader" in caplog.text
    caplog.text.encode("utf-8")


def test_printable_keeps_letters_of_every_language_and_escapes_what_moves_the_cursor():
    assert printable("Jürgen 病人 $x$") == "Jürgen 病人 $x$"
    assert printable("a\nb\x1b[2J\udcff") == r"a\nb\x1b[2J\udcff"
