"""What the file of a study may say: a misspelt name would be ignored, and another study run than was meant."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import StudyError

_MANY = 30  # names; of more only those like the unknown one are shown
Types = dict[str, Any]
# Name -> type; those that must be there first.
_STUDY: Types = {"title": str, "intro": str, "seeds": list, "stages": dict, "arms": dict, "metrics": (dict, list)}
_MORE_STUDY: Types = {"data": dict, "inputs": dict, "settings": dict, "folds": list, "average": str}
_MORE_STUDY |= {"cases": str, "differences": bool, "published": dict, "held_out": dict, "leading": list, "own": list}
_PARTS: dict[str, tuple[Types, Types]] = {
    "stages": ({"run_id": str, "configs": list}, {"overrides": dict, "title": str, "shipped": bool}),
    "arms": ({}, {"stages": list, "of": str, "settings": dict, "needs": list, "method": str}),
    "inputs": ({"what": str}, {"default": (str, type(None))}),
}
_KINDS: dict[Any, str] = {str: "a text", list: "a list", dict: "an object", bool: "true or false"}
_KINDS |= {(dict, list): "an object or a list", (str, type(None)): "a text or null"}


def check_study(path: Path, content: Any) -> None:
    """Check the content of a study's file before `of` and `like` are resolved.

    Raises:
        StudyError: if a name is missing, unknown or of another type, or refers to what is not there.
    """
    _check_entries(f"{path}", content, _STUDY, _MORE_STUDY)
    for part, (required, more) in _PARTS.items():
        for name, spec in content.get(part, {}).items():
            _check_entries(f"{path}: {part}: {name}", spec, required, more)
    for name, call in content.get("data", {}).items():
        found = call if isinstance(call, dict) else {}
        like = found.get("like")
        if not (isinstance(like, list) and len(like) == 2 if "like" in found else "_target_" in found):
            raise StudyError(f"{path}: data: {name}: expected _target_, or like: [STUDY, DATA], found {call!r:.60}")
    for name in ("seeds", "stages", "arms", "metrics"):
        if not content[name]:
            raise StudyError(f"{path}: expected {name}, found none in it")
    for name in ("seeds", "folds"):
        check_known(f"{path}: {name}", [n for n in content.get(name, []) if type(n) is not int or n < 0], ["numbers"])
    check_known(f"{path}: average", {content.get("average", "folds")}, ["folds"])
    for name, arm in content["arms"].items():
        if not {"of", "stages"} & arm.keys():
            raise StudyError(f"{path}: arms: {name}: expected stages, or of with another arm, found neither")
        check_known(f"{path}: arms: {name}: of", [arm["of"]] if "of" in arm else [], content["arms"].keys() - {name})
        check_known(f"{path}: arms: {name}: stages", arm.get("stages", []), content["stages"])
        check_known(f"{path}: arms: {name}: needs", arm.get("needs", []), content.get("inputs", {}))
    for name, figures in content.get("published", {}).items():
        check_known(f"{path}: published: {name}", figures, content["metrics"])
    check_known(f"{path}: leading", content.get("leading", []), content["metrics"])
    check_known(f"{path}: own", content.get("own", []), content["arms"])


def check_known(what: str, found: Collection[Any], known: Collection[Any]) -> None:
    """Check names against those there are.

    Raises:
        StudyError: if one is another; `what` begins the message.
    """
    unknown = [name for name in found if name not in known]
    if unknown:
        near = difflib.get_close_matches(str(unknown[0]), known, n=3) if len(known) > _MANY else known
        expected = listed(near) or ("another name" if known else "none, as this study has none")
        raise StudyError(f"{what}: expected {expected}, found {listed(unknown)}")


def listed(names: Iterable[object]) -> str:
    """Return names joined by commas, each in quotes where one of them is more than a word, as it may hold a comma."""
    words = [str(name) for name in names]
    plain = all(re.fullmatch(r"[\w.#+-]+", word) for word in words)
    return ", ".join(words if plain else [f'"{word}"' for word in words])


def _check_entries(where: str, found: Any, required: Mapping[str, Any], more: Mapping[str, Any]) -> None:
    if not isinstance(found, dict):
        raise StudyError(f"{where}: expected an object in braces, found {found!r:.60}")
    known = {**required, **more}
    check_known(where, found, known)
    for name in required:
        if name not in found:
            raise StudyError(f"{where}: expected {name}, found none")
    for name, value in found.items():
        if not isinstance(value, known[name]):
            raise StudyError(f"{where}: {name}: expected {_KINDS[known[name]]}, found {value!r:.60}")
