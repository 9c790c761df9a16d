import ast
import importlib
import sys

import pytest

from common.commands import carried_package
from common.commands.carried_package import (
    carried_name,
    carried_sources,
    mentioned,
    needed_modules,
    outer_imports,
    renamed,
)


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A small package `common` of two folders, of which one name needs three modules and two need none of them."""
    files = {
        "__init__.py": '"""All."""\n',
        "files.py": '"""Files."""\n\n\ndef suffix():\n    return ".txt"\n',
        "unused.py": '"""No one asks for this."""\n',
        "readers/__init__.py": (
            '"""Readers."""\n\nfrom common.readers.first import First as First\n'
            "from common.readers.other import Other as Other\n"
        ),
        "readers/first.py": (
            '"""See :class:`common.losses.Loss` and `python -m common simulate`."""\n\nimport json\n\n'
            "from common.losses import Loss\n\n\nclass First:\n    def value(self):\n"
            "        from common.files import (\n            suffix,\n        )\n\n"
            "        return Loss.value + json.dumps(suffix())\n"
        ),
        "readers/other.py": '"""Other."""\n\nimport math\n\nfrom common.unused import nothing\n\nOther = math.pi\n',
        "losses/__init__.py": '"""Losses."""\n\nfrom common.losses.loss import Loss as Loss\n',
        "losses/loss.py": '"""Loss."""\n\n\nclass Loss:\n    value = "loss"\n',
    }
    root = tmp_path / "common"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr(carried_package, "SOURCE", root)
    return root


def test_a_name_brings_what_its_module_imports_and_nothing_else(shared):
    modules = needed_modules(["common.readers.First"])
    assert {str(path.relative_to(shared)) for path in modules} == {"readers/first.py", "losses/loss.py", "files.py"}
    assert outer_imports(modules) == {"json"}


def test_the_carried_copy_runs_under_its_own_name(shared, tmp_path, monkeypatch):
    package = carried_name("heart", "1.0.0-rc1")
    assert package == "heart_common.v1_0_0_rc1"
    folder = tmp_path / "unpacked" / package.replace(".", "/")
    sources = carried_sources(["common.readers.First"], package)
    for path, text in sources.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "unpacked"))
    first = importlib.import_module(f"{package}.readers").First
    assert first().value() == 'loss".txt"'
    assert first.__module__ == "heart_common.v1_0_0_rc1.readers.first"
    assert "common.readers.first" not in sys.modules
    assert not hasattr(importlib.import_module(f"{package}.readers"), "Other")


def test_sources_are_sorted_and_texts_in_them_name_the_carried_package(shared):
    sources = carried_sources(["common.readers.First"], "heart_common.v1")
    assert list(sources) == sorted(sources)
    assert ast.get_docstring(ast.parse(sources["readers/first.py"])) == (
        "See :class:`heart_common.v1.losses.Loss` and `python -m common simulate`."
    )


@pytest.mark.parametrize("name", ["common.readers.Missing", "common.nowhere.Name", "common.readers"])
def test_a_name_that_is_not_there_is_refused(shared, name):
    with pytest.raises(ValueError, match=name):
        needed_modules([name])


@pytest.mark.parametrize("line", ["import common.files", "from .files import suffix", "import json, common"])
def test_imports_that_cannot_be_rewritten_are_refused(shared, line):
    (shared / "losses" / "loss.py").write_text(f'"""Loss."""\n\n{line}\n')
    with pytest.raises(ValueError, match=r"loss\.py:3: expected `from common"):
        needed_modules(["common.losses.Loss"])


def test_an_init_that_does_more_than_pass_on_is_refused(shared):
    with (shared / "losses" / "__init__.py").open("a") as stream:
        stream.write("\nprint('surprise')\n")
    with pytest.raises(ValueError, match=r"__init__\.py:5: expected .* only"):
        carried_sources(["common.losses.loss"], "heart_common.v1")


def test_only_names_of_common_are_renamed():
    text = '{"a": "common.losses.Loss", "b": "uncommon.losses.Loss", "c": "my.common.losses.Loss", "d": "in common."}'
    assert mentioned(text) == {"common.losses.Loss"}
    assert renamed(text, "B_common.v1") == text.replace('"common.', '"B_common.v1.')
