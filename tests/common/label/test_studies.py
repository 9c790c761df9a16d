import os
from pathlib import Path

import pytest

from common.label.studies import Studies


@pytest.fixture
def studies(tmp_path):
    folder = tmp_path / "studies"
    (folder / "labels" / "final").mkdir(parents=True)
    for name in ("b.nii.gz", "a.dcm", "1.2.3.1.dcm"):
        (folder / name).write_bytes(name.encode())
    (folder / "labels" / "final" / "a.nii.gz").write_bytes(b"label")
    return Studies(folder, tmp_path / "state", writable=True)


@pytest.fixture
def sent(tmp_path_factory):
    """Write a file as a client sends it."""

    def write(name, content=b"x"):
        path = tmp_path_factory.mktemp("sent") / name
        path.write_bytes(content)
        return path

    return write


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_image_is_found_by_its_name(studies):
    assert sorted(studies.list_images()) == ["1.2.3.1", "a", "b"]
    assert studies.image("1.2.3.1").name == "1.2.3.1.dcm"
    assert studies.label("a", "final").read_bytes() == b"label"
    assert studies.get_image_info("b")["path"] == str(studies.folder / "b.nii.gz")
    assert studies.status() == {"total": 3, "completed": 1, "label_tags": {"final": 1}}
    assert studies.get_unlabeled_images() == ["1.2.3.1", "b"]
    found = studies.json()["objects"]["a"]
    assert found["image"]["ext"] == ".dcm" and found["labels"] == {"final": {"ext": ".nii.gz", "info": {}}}


def test_what_is_not_there_is_not_found(studies):
    with pytest.raises(FileNotFoundError, match="no image"):
        studies.image("c")
    for name, tag in (("b", "final"), ("a", "original")):
        with pytest.raises(FileNotFoundError, match="no label"):
            studies.label(name, tag)


@pytest.mark.parametrize("name", ["../state/secret", "/etc/passwd", "..", "labels/final/a", ".hidden"])
def test_a_path_is_no_name_whether_a_file_is_there_or_not(studies, name):
    for call in (studies.image, lambda n: studies.label(n, "final"), lambda n: studies.label("a", n)):
        with pytest.raises(ValueError, match="expected a"):
            call(name)


def test_what_cannot_be_served_is_named_once(studies, tmp_path, caplog):
    (tmp_path / "outside.dcm").touch()
    (studies.folder / "link.dcm").symlink_to(tmp_path / "outside.dcm")
    (studies.folder / "b.nii").touch()
    (studies.folder / "._a.dcm").touch()
    (studies.folder / "notes.txt").touch()
    for _ in range(2):
        assert sorted(studies.list_images()) == ["1.2.3.1", "a"]
    assert sorted(record.getMessage().split(" is not served")[0] for record in caplog.records) == sorted(
        str(studies.folder / name) for name in ("b.nii", "link.dcm", "notes.txt")
    )


def test_labels_behind_a_link_that_leads_out_are_not_served_or_written(studies, tmp_path, sent):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.nii.gz").touch()
    (studies.folder / "labels" / "original").symlink_to(tmp_path / "outside")
    assert studies.labels("original") == {}
    with pytest.raises(PermissionError, match="leads out"):
        studies.save_label("a", "original", sent("x.nii.gz", b"new"), {})
    assert (tmp_path / "outside" / "a.nii.gz").read_bytes() == b""


def test_an_image_is_added_under_its_name_or_the_one_given(studies, sent):
    assert studies.add_image("", sent("c.nii.gz", b"c")) == "c"
    assert studies.add_image("1.2.3", sent("x.NII", b"d")) == "1.2.3"
    assert studies.image("c").read_bytes() == b"c"
    assert studies.image("1.2.3").name == "1.2.3.nii"


@pytest.mark.parametrize("name", ["b", "B"])
@pytest.mark.parametrize("suffix", [".nii.gz", ".dcm"])
def test_a_study_is_never_replaced(studies, name, suffix, sent):
    before = tree(studies.folder)
    with pytest.raises(FileExistsError, match="none is replaced"):
        studies.add_image(name, sent(f"x{suffix}", b"other"))
    assert tree(studies.folder) == before


@pytest.mark.parametrize(
    ("name", "file_name"),
    [
        ("../x", "a.nii"),
        ("/tmp/x", "a.nii"),
        ("labels/final/b", "a.nii"),
        ("x", "main.py"),
        ("x", "a"),
        ("main.py", "x.pt"),
    ],
)
def test_nothing_is_added_elsewhere_or_of_another_kind(studies, tmp_path, name, file_name, sent):
    before = tree(tmp_path)
    with pytest.raises(ValueError):
        studies.add_image(name, sent(file_name))
    assert tree(tmp_path) == before


def test_a_file_that_cannot_be_written_whole_is_not_there(studies, sent, monkeypatch):
    def full(source, target):
        Path(target).write_bytes(b"half")
        raise OSError("no space left")

    before = tree(studies.folder)
    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OSError, match="no space"):
        studies.add_image("x", sent("x.nii"))
    assert tree(studies.folder) == before


def test_a_label_that_is_replaced_is_kept_in_the_state_folder(studies, tmp_path, sent):
    studies.save_label("a", "final", sent("mask.nrrd", b"better"), {"by": "x"})
    assert studies.label("a", "final").read_bytes() == b"better"
    assert studies.label_info("a", "final")["by"] == "x"
    [kept] = (tmp_path / "state" / "replaced_labels" / "final").iterdir()
    assert kept.read_bytes() == b"label" and kept.name.endswith("-a.nii.gz")


def test_a_label_needs_its_image(studies, sent):
    with pytest.raises(FileNotFoundError):
        studies.save_label("c", "final", sent("mask.nii.gz", b""), {})
    with pytest.raises(ValueError, match="tag"):
        studies.save_label("a", "../../x", sent("mask.nii.gz", b""), {})


def test_read_only_studies_stay_as_they_are(studies, tmp_path, sent):
    before = tree(tmp_path)
    closed = Studies(studies.folder, tmp_path / "state")
    with pytest.raises(PermissionError, match="--writable"):
        closed.add_image("c", sent("c.nii", b""))
    with pytest.raises(PermissionError, match="--writable"):
        closed.save_label("a", "final", sent("a.nii", b""), {})
    assert closed.json()["objects"] and closed.status()
    assert tree(tmp_path) == before


def test_studies_on_a_medium_that_is_read_only_are_served(studies):
    os.chmod(studies.folder, 0o555)
    try:
        assert len(Studies(studies.folder, studies.state).list_images()) == 3
    finally:
        os.chmod(studies.folder, 0o755)
