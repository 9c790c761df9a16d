"""The part of `common` that one bundle needs, as a package of the bundle's own: what a zip carries.

Two bundles in one process must not share the import name of their code: Python imports a name once, so the second
bundle would silently run the first one's code, or that of a foreign `common` folder in the working directory. The copy
in a zip is therefore called `BUNDLE_common`. The same holds for two versions of one bundle: the code stands in
`BUNDLE_common/vVERSION`, and `BUNDLE_common` itself has no `__init__.py`. It is a namespace package, to which every
folder on `sys.path` adds its part (PEP 420): unpacked in two folders, `B_common.v0_1_0` and `B_common.v0_2_0` are two
packages of one namespace.

All imports inside `common` are relative, so whole packages travel as they are: those that the bundle's configs name,
and those that these import.
"""

import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
NAME = SOURCE.name

_MENTION = re.compile(rf"(?<![\w.]){NAME}\.(?=([a-z_]+)\.[A-Za-z_])")
_IMPORT = r"^\s*from \.{{{depth}}}(\w+)"  # of a part of the package, by a module so deep in it


def carried_name(bundle: str, version: str) -> str:
    """Return the import name of the package that version `version` of `bundle` carries, e.g. `B_common.v0_1_0`."""
    return f"{bundle}_{NAME}.v{re.sub(r'[^0-9A-Za-z]', '_', version)}"


def renamed(text: str, package: str) -> str:
    """Return the config or document `text` with every `common.<package>.<Name>` in it named after `package`."""
    return _MENTION.sub(f"{package}.", text)


def carried_sources(text: str) -> dict[str, bytes]:
    """Return path and content of all modules that the configs in `text` need, sorted by path in the package.

    Raises:
        ValueError: if a config names a package that is not in `common`.
    """
    found: dict[str, bytes] = {"__init__.py": (SOURCE / "__init__.py").read_bytes()}
    waiting, seen = sorted(set(_MENTION.findall(text))), set()
    while waiting:
        part = waiting.pop()
        if part in seen:
            continue
        seen.add(part)
        modules = _modules(part)
        found |= {path.relative_to(SOURCE).as_posix(): path.read_bytes() for path in modules}
        for path in modules:
            pattern = _IMPORT.format(depth=len(path.relative_to(SOURCE).parts))
            waiting += re.findall(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(sorted(found.items()))


def _modules(part: str) -> list[Path]:
    """Return the files of the folder, with those in it, or module `part` of `common`."""
    single = SOURCE / f"{part}.py"
    modules = [single] if single.is_file() else sorted((SOURCE / part).rglob("*.py"))
    if not modules:
        raise ValueError(f"{NAME}.{part}: expected a package or module in {SOURCE}, found none")
    return modules
