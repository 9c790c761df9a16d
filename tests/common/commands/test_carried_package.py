import importlib
import sys

import pytest

from common.commands import carried_package
from common.commands.carried_package import carried_name, carried_sources, renamed


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A small package `common`, of which the method `cine` needs one folder and one module, and `echo` another."""
    files = {
        "__init__.py": '"""All."""\n',
        "files.py": '"""Files."""\n\nfrom .errors import ENDING\n\n\ndef suffix():\n    return ENDING\n',
        "errors.py": '"""Errors."""\n\nENDING = ".txt"\n',
        "unused.py": '"""No one asks for this."""\n',
        "cine/__init__.py": '"""Cine."""\n\nfrom .first import First as First\n',
        "cine/first.py": (
            '"""See :class:`common.training.Loss` and `python -m common simulate`."""\n\n'
            "from ..training import Loss\n\n\nclass First:\n    def value(self):\n"
            "        from ..files import (\n            suffix,\n        )\n\n"
            "        return Loss.value + suffix()\n"
        ),
        "echo/__init__.py": '"""Echo."""\n\nfrom ..unused import nothing\n',
        "training/__init__.py": '"""Training."""\n\nfrom .loss import Loss as Loss\n',
        "training/loss.py": '"""Loss."""\n\n\nclass Loss:\n    value = "loss"\n',
    }
    root = tmp_path / "common"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr(carried_package, "SOURCE", root)
    return root


def test_a_name_brings_its_package_and_those_that_it_imports_and_nothing_else(shared):
    paths = list(carried_sources('{"_target_": "common.cine.First"}'))
    assert paths == sorted(paths)
    assert set(paths) == {
        "__init__.py", "files.py", "errors.py", "cine/__init__.py", "cine/first.py", "training/__init__.py",
        "training/loss.py",
    }  # fmt: skip


def test_the_carried_copy_runs_under_its_own_name(shared, tmp_path, monkeypatch):
    package = carried_name("heart", "1.0.0-rc1")
    assert package == "heart_common.v1_0_0_rc1"
    folder = tmp_path / "unpacked" / package.replace(".", "/")
    for path, data in carried_sources('"common.cine.First"').items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    monkeypatch.syspath_prepend(str(tmp_path / "unpacked"))
    first = importlib.import_module(f"{package}.cine").First
    assert first().value() == "loss.txt"
    assert first.__module__ == "heart_common.v1_0_0_rc1.cine.first"
    assert "common.cine.first" not in sys.modules


def test_a_package_that_is_not_there_is_refused(shared):
    with pytest.raises(ValueError, match=r"common\.nowhere: expected a package"):
        carried_sources('"common.nowhere.Name"')


def test_only_names_of_common_are_renamed(shared):
    text = '{"a": "common.cine.First", "b": "uncommon.cine.First", "c": "my.common.cine.First", "d": "in common."}'
    assert renamed(text, "B_common.v1") == text.replace('"common.', '"B_common.v1.')
