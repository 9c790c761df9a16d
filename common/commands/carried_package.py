"""The part of this package that one bundle needs, as a package of the bundle's own: what a zip carries.

Two bundles in one process must not share the import name of their code: Python imports a name once, so the second
bundle would silently run the first one's code, or that of a foreign `common` folder in the working directory. So the
copy in a zip is called `BUNDLE_common`. The same holds for two versions of one bundle: the code stands in
`BUNDLE_common/vVERSION`, and `BUNDLE_common` itself has no `__init__.py`. It is a namespace package, to which every
folder on `sys.path` adds its part (PEP 420): unpacked in two folders, `B_common.v0_1_0` and `B_common.v0_2_0` are two
packages under one roof, whichever came first. Inside, all imports are relative.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
NAME = SOURCE.name

_MENTION = re.compile(rf"(?<![\w.]){NAME}\.(?=[a-z_]+\.[A-Za-z_])")
_MENTIONED = re.compile(rf"(?<![\w.]){NAME}\.[a-z_]+\.[A-Za-z_]\w*")


def carried_name(bundle: str, version: str) -> str:
    """Return the import name of the package that version `version` of `bundle` carries, e.g. `B_common.v0_1_0`."""
    return f"{bundle}_{NAME}.v{re.sub(r'[^0-9A-Za-z]', '_', version)}"


def mentioned(text: str) -> set[str]:
    """Return the names `common.<kind>.<Name>` in a config or a text."""
    return set(_MENTIONED.findall(text))


def renamed(text: str, package: str) -> str:
    """Return `text` with every `common.<kind>.` in it as `PACKAGE.<kind>.`."""
    return _MENTION.sub(f"{package}.", text)


def carried_sources(names: Iterable[str], package: str) -> dict[str, str]:
    """Return the sources of all modules that `names` need, by path in the package.

    Args:
        names: dotted names as configs use them, `common.<kind>.<Name>`.
        package: import name of the carried package.

    Raises:
        ValueError: if a name is not in `common`, or a module imports `common` in another way than `from ... import`.
    """
    modules = needed_modules(names)
    folders = {parent for module in modules for parent in module.relative_to(SOURCE).parents}
    sources = {str(folder / "__init__.py"): _reduced_init(SOURCE / folder, modules) for folder in folders}
    sources |= {str(module.relative_to(SOURCE)): module.read_text(encoding="utf-8") for module in modules}
    return {path: renamed(_with_relative_imports(path, text), package) for path, text in sorted(sources.items())}


def needed_modules(names: Iterable[str]) -> set[Path]:
    """Return the module files that hold `names`, and all that those import, directly or not."""
    found: set[Path] = set()
    waiting = [_module_of(name) for name in sorted(names)]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += [_module_of(name) for name in _imported_names(module)]
    return found


def outer_imports(modules: Iterable[Path]) -> set[str]:
    """Return the top-level names of the packages outside `common` that `modules` import, also inside functions."""
    outer = set()
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                outer |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                outer.add(node.module.split(".")[0])
    return outer - {NAME}


def _module_of(name: str) -> Path:
    """Return the file of the module that is, or holds, the dotted `name`; an `__init__` only passes names on."""
    place = SOURCE
    parts = name.split(".")[1:]
    for number, part in enumerate(parts):
        if (place / f"{part}.py").is_file():
            return place / f"{part}.py"
        if (place / part).is_dir():
            place = place / part
            continue
        for statement in _statements(place):
            if any((alias.asname or alias.name) == part for alias in statement.names):
                return _module_of(".".join([str(statement.module), *parts[number:]]))
        break
    raise ValueError(f"{name}: expected a name of {NAME}, found none in {place}")


def _imported_names(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.level or _is_own(node.module)):
            if node.level:
                raise ValueError(f"{module}:{node.lineno}: expected `from {NAME}...`, found a relative import")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import) and any(_is_own(alias.name) for alias in node.names):
            raise ValueError(f"{module}:{node.lineno}: expected `from {NAME}... import ...`, found `import {NAME}...`")


def _reduced_init(folder: Path, modules: set[Path]) -> str:
    """Return the `__init__` of a folder with those of its imports that lead to one of `modules`."""
    init = folder / "__init__.py"
    text = init.read_text(encoding="utf-8")
    lines = [f'"""{ast.get_docstring(ast.parse(text))}"""\n']
    for statement in _statements(folder):
        if _module_of(f"{statement.module}.{statement.names[0].name}") in modules:
            lines.append(str(ast.get_source_segment(text, statement)))
    return "\n".join(lines).rstrip("\n") + "\n"


def _statements(folder: Path) -> list[ast.ImportFrom]:
    """Return the imports of a folder's `__init__`, which may hold nothing else."""
    init = folder / "__init__.py"
    statements = []
    for node in ast.parse(init.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and _is_own(node.module):
            statements.append(node)
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            raise ValueError(f"{init}:{node.lineno}: expected `from {NAME}... import ...` only; move it to a module")
    return statements


def _with_relative_imports(path: str, text: str) -> str:
    """Return the source of the module at `path` with each `from common.x import` as `from ..x import`."""
    lines = text.splitlines(keepends=True)
    dots = "." * len(Path(path).parts)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and _is_own(node.module):
            line = lines[node.lineno - 1]
            inner = str(node.module)[len(NAME) + 1 :]
            lines[node.lineno - 1] = line.replace(f"from {node.module} ", f"from {dots}{inner} ", 1)
    return "".join(lines)


def _is_own(module: str | None) -> bool:
    return module is not None and (module == NAME or module.startswith(f"{NAME}."))
