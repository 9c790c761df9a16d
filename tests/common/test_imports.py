"""The import rule of `common`: one way, no method from another, no shared folder from a method, no cycle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import common

ROOT = Path(common.__file__).parent
METHODS = {"adc", "cine", "doppler", "echo", "rf"}
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py")


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def own_imports(path):
    """Dotted names of the modules of `common` that a module imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            names = [folder / alias.name for alias in node.names]
            inside = [name for name in names if name.with_suffix(".py").is_file()]
            found |= {name_of(name.with_suffix(".py")) for name in inside}
            if len(inside) < len(names):
                found.add(".".join(folder.relative_to(ROOT).parts))
    return found


GRAPH = {name_of(path): own_imports(path) for path in MODULES}


def test_every_import_is_relative_so_that_a_package_works_under_any_name():
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not [name for name in names if name.split(".")[0] == "common"], path


def test_modules_import_modules_and_not_what_a_package_passes_on():
    for name, imported in GRAPH.items():
        assert {other for other in imported if (ROOT / other).is_dir()} == set(), name


def test_no_method_imports_another_and_no_shared_folder_a_method():
    for name, imported in GRAPH.items():
        folder = name.split(".")[0]
        foreign = {other.split(".")[0] for other in imported} & METHODS - {folder}
        assert not foreign, f"{name} imports {foreign}"


def test_there_is_no_cycle_between_modules_or_folders():
    assert list(TopologicalSorter(GRAPH).static_order())
    folders = {}
    for name, imported in GRAPH.items():
        folder = name.split(".")[0]
        folders.setdefault(folder, set()).update({other.split(".")[0] for other in imported} - {folder})
    assert list(TopologicalSorter(folders).static_order())


def test_no_folder_holds_more_than_25_modules():
    for folder in {path.parent for path in MODULES}:
        assert len(list(folder.glob("*.py"))) <= 26, folder  # with its __init__
