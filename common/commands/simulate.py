"""`python -m common simulate B DIR`: the phantom of a bundle's demo, with settings as they are typed."""

import ast
import re
import textwrap
from collections.abc import Callable, Sequence
from inspect import getdoc, signature
from pathlib import Path
from pydoc import locate
from typing import Any

from .study_file import read_study
from .terminal import say

_LINK = re.compile(r":\w+:`(\w+)`")


def simulate(bundle: str, directory: Path, settings: Sequence[str]) -> int:
    """Write the phantom of `bundle` to `directory`; `settings` are `--name value` pairs for it. Return the status."""
    if directory.is_dir() and any(directory.iterdir()):
        raise SystemExit(f"{directory}: expected a new or empty folder, found one with files; cases would mix")
    phantom, known = _phantom(bundle)
    typed = pairs(settings)
    if unknown := typed.keys() - known:
        names = [", ".join(f"--{name}" for name in sorted(group)) for group in (known, unknown)]
        raise SystemExit(f"expected settings among {names[0]}, found {names[1]}")
    try:
        phantom(**{**known, **typed, "directory": str(directory)})
    except ValueError as error:  # a value out of its range
        raise SystemExit(str(error)) from error
    except TypeError as error:  # text where a number is expected
        raise SystemExit(f"expected settings as --help says, found {typed}: {error}") from error
    say(f"simulated cases for {bundle} are in {directory}")
    return 0


def settings_in_words(bundle: str) -> str:
    """Return the settings of the phantom of `bundle`, with what is used where they are not typed and their meaning."""
    phantom, known = _phantom(bundle)
    arguments = re.search(r"^Args:\n(.*?)(?:\n\n|\Z)", getdoc(phantom) or "", re.DOTALL | re.MULTILINE)
    said = re.findall(r"^ {4}([\w, ]+): (.+(?:\n {5,}.*)*)", arguments[1] if arguments else "", re.MULTILINE)
    meanings = {name: _LINK.sub(r"\1", " ".join(text.split())) for names, text in said for name in names.split(", ")}
    lines = []
    for name, value in known.items():
        word = str(value).replace(" ", "")
        lines.append(f"  --{name} " + (word if re.fullmatch(r"[\w.-]+", word) else f'"{word}"'))
        lines += textwrap.wrap(meanings.get(name, ""), 100, initial_indent=" " * 8, subsequent_indent=" " * 8)
    return "\n".join([f"settings, each with its default for {bundle}:", *lines])


def _phantom(bundle: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the phantom of the bundle's demo and the settings it takes, with their defaults."""
    call = read_study(bundle, "demo")["data"]["data"]
    phantom: Any = locate(call.pop("_target_"))
    own = {name: one.default for name, one in signature(phantom).parameters.items() if one.kind != one.VAR_KEYWORD}
    return phantom, {name: value for name, value in {**own, **call}.items() if name != "directory"}


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
