import pytest

from common.errors import UnusableFileError
from common.label.versions import Versions


@pytest.fixture
def versions(tmp_path):
    made = Versions(tmp_path / "model" / "a_bundle")
    for _ in range(2):
        (made.new() / "model.pt").touch()
    return made


def test_new_weights_lie_beside_the_old_and_are_not_in_use(versions):
    assert len(versions.names()) == 2
    assert versions.weights is None
    assert versions.summary() == {"in_use": "bundle", "versions": {name: {} for name in versions.names()}}


def test_weights_come_into_use_and_go_on_request(versions):
    for name in versions.names():
        versions.use(name)
        assert versions.weights == versions.folder / name / "model.pt"
    versions.use("bundle")
    assert versions.weights is None
    assert len(versions.names()) == 2


@pytest.mark.parametrize("name", ["", "..", "../../x", "20200101-000000", "in_use.json", "/etc"])
def test_only_what_was_trained_here_can_be_used(versions, name):
    with pytest.raises(ValueError, match="expected one of bundle"):
        versions.use(name)


def test_a_training_that_gave_no_weights_is_no_version(versions):
    versions.new()
    assert len(versions.names()) == 2


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"version": "../x"}', '{"version": "20200101-000000"}'])
def test_a_damaged_choice_is_named_and_not_guessed(versions, content):
    (versions.folder / "in_use.json").write_text(content)
    with pytest.raises(UnusableFileError, match=r"in_use\.json"):
        _ = versions.weights
