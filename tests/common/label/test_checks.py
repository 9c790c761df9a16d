import pytest

from common.label.checks import SUFFIXES, checked_name, checked_tag, inside, read_object, split_name

HOSTILE = [
    "", ".", "..", "../x", "..\\x", "a/b", "a\\b", "/etc/passwd", "C:\\x", "~", "~root", ".hidden", "._scan", "-rf",
    "$HOME", "$(id)", "`id`", "a;b", "a|b", "a&b", "a\x00b", "a\nb", "a\tb", " a", "a ", "a  b", "a.", "a..b", "%2e%2e",
    "file:///etc/passwd", "http://x", "a*", "a?", "<a>", "a:b", "a'b", 'a"b', "{a}", "a#b", "@a", "=1+1", "\u202ea",
    "x" * 201, "é" * 101, "label_server/main", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_what_may_be_a_path_or_a_command_is_no_name(name):
    with pytest.raises(ValueError):
        checked_name(name)
    with pytest.raises(ValueError):
        checked_tag(name)
    with pytest.raises(ValueError):
        split_name(f"{name.rsplit('/')[-1]}.py")


@pytest.mark.parametrize(
    "name", ["a", "patient001_4d", "1.2.3.4", "MGHNICU_010-VISIT_01", "Fall Müller (2)", "a+b,c=d@e"]
)
def test_what_people_call_their_files_is_a_name(name):
    assert checked_name(name) == name


@pytest.mark.parametrize("tag", ["a.b", "a b", "é", "x" * 33, "_a"])
def test_a_tag_is_stricter_than_a_name(tag):
    assert checked_tag("final") == "final"
    with pytest.raises(ValueError, match="expected a tag"):
        checked_tag(tag)


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [("a.nii.gz", ("a", ".nii.gz")), ("1.2.3.dcm", ("1.2.3", ".dcm")), ("S.NII.GZ", ("S", ".nii.gz")),
     ("/tmp/x/a.seg.nrrd", ("a.seg", ".nrrd")), ("C:\\x\\a.avi", ("a", ".avi")), ("../../a.png", ("a", ".png"))],
)  # fmt: skip
def test_the_name_of_a_file_is_taken_without_folders_and_suffix(file_name, expected):
    assert split_name(file_name) == expected


@pytest.mark.parametrize(
    "file_name", ["a.py", "a.nii.gz.py", "a", "", ".nii.gz", "a.tar", "a.zip", "a.json", "a.pt", "a.nii\x00"]
)
def test_a_file_of_another_kind_has_no_place_among_the_studies(file_name):
    with pytest.raises(ValueError):
        split_name(file_name)
    assert not {".py", ".pt", ".json", ".csv", ".zip", ".tar", ".so"} & set(SUFFIXES)


def test_a_link_is_where_it_leads(tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "secret").touch()
    (tmp_path / "studies" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "studies" / "file").touch()
    assert inside(tmp_path / "studies", tmp_path / "studies" / "file")
    assert not inside(tmp_path / "studies", tmp_path / "studies" / "link")
    assert not inside(tmp_path / "studies", tmp_path / "studies" / ".." / "secret")


def test_json_is_an_object_of_numbers_that_are_numbers():
    assert read_object("") == read_object(b"{}") == {}
    assert read_object('{"threshold": 0.5}') == {"threshold": 0.5}


@pytest.mark.parametrize(
    "text", ["{", "[1]", "1", "null", '"a"', '{"a": NaN}', '{"a": -Infinity}', b"\xff", "[" * 100000, "{'a': 1}"]
)
def test_other_json_is_refused(text):
    with pytest.raises(ValueError, match="expected a JSON object"):
        read_object(text)
