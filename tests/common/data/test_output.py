import multiprocessing
import os

import pytest

from common.data.output import LOCK, OutputFolder, safe_name
from common.errors import OutputFolderError
from common.files import replacing
from tests.full_disk import full_disk


def write(output, name, text="x"):
    output.file(name).write_text(text)


@pytest.mark.parametrize("place", ["", "inside", ".."])
def test_a_folder_that_is_holds_or_lies_in_the_input_is_refused_before_anything_is_written(tmp_path, place):
    source = tmp_path / "data" / "in"
    source.mkdir(parents=True)
    (source / "a.png").write_text("mine")
    with pytest.raises(OutputFolderError, match="expected a folder apart from the input"):
        OutputFolder(source / place, source).open()
    assert [path.name for path in source.iterdir()] == ["a.png"]


def test_a_link_to_the_input_is_the_input(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "in")
    with pytest.raises(OutputFolderError, match="apart from the input"):
        OutputFolder(tmp_path / "out", tmp_path / "in").open()


def test_the_folder_of_a_single_file_is_refused_and_one_beside_it_taken(tmp_path):
    (tmp_path / "a.png").write_text("mine")
    with pytest.raises(OutputFolderError, match="apart"):
        OutputFolder(tmp_path, tmp_path / "a.png").open()
    OutputFolder(tmp_path / "out", tmp_path / "a.png").open()


def _hold(folder, taken, done):
    output = OutputFolder(folder)
    output.open()
    taken.set()
    done.wait(30)


def test_a_second_run_into_the_folder_is_refused_while_the_first_runs(tmp_path):
    context = multiprocessing.get_context("fork")
    taken, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, taken, done))
    process.start()
    assert taken.wait(30)
    with pytest.raises(OutputFolderError, match="a running process holds"):
        OutputFolder(tmp_path).open()
    process.kill()
    process.join()
    OutputFolder(tmp_path).open()  # a killed run holds nothing


def test_files_of_an_earlier_run_are_set_aside_and_those_of_others_stay(tmp_path):
    first = OutputFolder(tmp_path)
    first.open()
    write(first, "a.json", "first")
    (tmp_path / "mine.json").write_text("mine")
    first.close()
    second = OutputFolder(tmp_path)
    second.open()
    assert not (tmp_path / "a.json").exists() and (tmp_path / "previous" / "a.json").read_text() == "first"
    write(second, "b.json", "second")
    second.close()
    OutputFolder(tmp_path).open()
    assert {path.name for path in (tmp_path / "previous").glob("*.json")} == {"b.json"}
    assert (tmp_path / "mine.json").read_text() == "mine"


def test_files_in_a_folder_of_the_output_are_set_aside_into_one_of_its_name(tmp_path):
    for text in ("first", "second"):
        output = OutputFolder(tmp_path)
        output.open()
        write(output, "dicom/a.dcm", text)
        output.close()
    assert (tmp_path / "dicom" / "a.dcm").read_text() == "second"
    assert (tmp_path / "previous" / "dicom" / "a.dcm").read_text() == "first"
    (tmp_path / "dicom" / "b.dcm").write_text("mine")
    with pytest.raises(OutputFolderError, match="found one of yours"):
        OutputFolder(tmp_path).file("dicom/b.dcm")


def test_what_a_kill_left_half_written_is_removed_and_no_pattern_finds_it(tmp_path):
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.png") as temporary:
        temporary.write_bytes(b"half")
        assert not list(tmp_path.glob("*.png")) and temporary.name == "a.png"
        raise KeyboardInterrupt
    (tmp_path / ".partial" / "left").mkdir(parents=True)
    (tmp_path / ".partial" / "left" / "b.png").write_bytes(b"half")
    OutputFolder(tmp_path).open()
    assert not (tmp_path / ".partial").exists()


def test_a_file_that_this_run_has_not_written_is_not_replaced(tmp_path):
    output = OutputFolder(tmp_path)
    output.open()
    write(output, "a.json")
    write(output, "a.json", "again")
    (tmp_path / "b.json").write_text("mine")
    with pytest.raises(OutputFolderError, match=r"b\.json: expected to write a new file, found one of yours"):
        output.file("b.json")


def test_a_list_of_files_that_was_tampered_with_moves_nothing_outside(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "keep.txt").write_text("mine")
    (tmp_path / "out" / ".written.jsonl").write_text('"../keep.txt"\n"a/../../keep.txt"\n"half\n')
    OutputFolder(tmp_path / "out").open()
    assert (tmp_path / "keep.txt").read_text() == "mine"


def test_safe_names_are_safe_plain_ones_stay_and_no_two_fall_together():
    assert safe_name("MGHNICU_010-VISIT_01") == "MGHNICU_010-VISIT_01" and safe_name("1.2.840.3") == "1.2.840.3"
    names = ["../a", "a", "/a", "a/", "a b", "a_b", "..", ".a", "-a", "ä", "=a", "x" * 300, "x" * 301, ""]
    safe = [safe_name(name) for name in names]
    assert len(set(safe)) == len(names)
    for name in safe:
        assert name == os.path.basename(name) and name[0].isalnum() and len(name) < 120 and name.isascii()


def test_a_name_that_does_not_fit_on_the_disk_spoils_no_other(tmp_path):
    folder = OutputFolder(tmp_path)
    folder.open()
    folder.file("a.json").write_text("a")
    with full_disk(14), pytest.raises(OSError, match="no more room on the disk"):
        folder.file("b.json")
    for name in ("b.json", "c.json"):
        folder.file(name).write_text(name)
    folder.close()
    folder.open()
    assert {path.name for path in (tmp_path / "previous").glob("*.json")} == {"a.json", "b.json", "c.json"}


@pytest.mark.parametrize("place", ["file", "file/folder", "file/a/b"])
def test_a_file_in_place_of_the_folder_is_named(tmp_path, place):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputFolderError, match=rf"{place}: expected a folder to write to, found a file of this name"):
        OutputFolder(tmp_path / place).open()
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_whose_lock_cannot_be_made_is_named(tmp_path):
    (tmp_path / "out" / LOCK).mkdir(parents=True)  # as good as a disk that can only be read, and for any user
    with pytest.raises(OutputFolderError, match="out: expected a folder to write to, found Is a directory; choose"):
        OutputFolder(tmp_path / "out").open()
