"""`python -m common simulate B DIR`: the phantom of a bundle's demo, with settings as they are typed."""

import ast
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from pydoc import locate
from typing import Any

from .study_file import read_study
from .terminal import say


def simulate(bundle: str, directory: Path, settings: Sequence[str]) -> int:
    """Write the phantom of `bundle` to `directory`; `settings` are `--name value` pairs for it. Return the status."""
    call = read_study(bundle, "demo")["data"]["data"]
    phantom: Any = locate(call.pop("_target_"))
    typed, known = pairs(settings), signature(phantom).parameters.keys() - {"directory"}
    if unknown := typed.keys() - known:
        names = [", ".join(f"--{name}" for name in sorted(group)) for group in (known, unknown)]
        raise SystemExit(f"expected settings among {names[0]}, found {names[1]}")
    try:
        phantom(**{**call, **typed, "directory": str(directory)})
    except ValueError as error:  # a value out of its range
        raise SystemExit(str(error)) from error
    say(f"simulated cases for {bundle} are in {directory}")
    return 0


def pairs(words: Sequence[str]) -> dict[str, Any]:
    """Return `--name value` words as a dictionary, values read as Python literals where they are."""
    if len(words) % 2 or not all(name.startswith("--") for name in words[::2]):
        raise SystemExit(f"expected settings as --name value, found: {' '.join(words)}")
    return {name[2:].replace("-", "_"): typed(value) for name, value in zip(words[::2], words[1::2], strict=True)}


def typed(text: str) -> Any:
    """Return a word as the Python literal that it is, or else as it stands."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
