"""What `python -m monai.bundle run` is told, taken as it was typed.

MONAI's command line reads values as Python: a folder `2024` becomes a number, `a,b` a tuple, `true` stays a word,
`None` is dropped, `$x` is an expression that is run, `@x` and `%x` are references, `#` begins a part of a config, and
settings that no config has are kept without a word.
"""

import difflib
import itertools
import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from .errors import DivergedError, FailedCasesError
from .files import check_apart

PACKAGE = Path(__file__).resolve().parent
OF_MONAI = ("run_id", "init_id", "final_id", "meta_file", "config_file", "logging_file", "args_file", "tracking")
PATHS = ("bundle_root", "weights", "pretrained", "model")  # and every name that ends in _dir
_RESOLVED_BY_MONAI = ("$", "@", "%")
_SWITCHES = {"true": True, "false": False}
_MORE_WORDS = {"resume": ("auto",)}

logger = logging.getLogger(__name__)


def check_command_line(resolved: MutableMapping[str, Any], arguments: Sequence[str] | None = None) -> None:
    """Check the settings of this process where it is MONAI's command line, and let our errors end it in one sentence.

    The run list of a config calls this first. A workflow that runs inside another one is given its settings by that
    one, so that only the first call of a process does anything but forget what was reported of unused files.

    Args:
        resolved: what is resolved of the config, by id (`__local_refs`); paths go in as they were typed, settings of
            None, which MONAI drops, and `true` and `false`, which it takes for words.
        arguments: words of the command line, the program first; those of this process by default.

    Raises:
        ValueError: for a folder or a switch that MONAI takes for something else, naming what to write; for None where
            a number is.
        OutputFolderError: if results would be written into the input.
    """
    from .data.listing import forget_reports  # with torch, which the help of a command need not wait for

    forget_reports()
    words = list(sys.argv if arguments is None else arguments)
    if not words or Path(words[0]).parts[-3:] != ("monai", "bundle", "__main__.py") or sys.excepthook is _one_sentence:
        return
    sys.excepthook = _one_sentence
    settings = dict(_settings(words[1:]))
    config = _merged_config(settings.get("config_file") or "")
    for name, text in settings.items():
        if name.endswith("_dir") or name in PATHS:
            _check_path(name, text)
            if not text.startswith(_RESOLVED_BY_MONAI):
                resolved[name] = text
        elif _value(text) is None or text == "null":  # as JSON and our pages write it
            _check_none(name, text, config)
            resolved.update({name: None} if name in config else {})
        elif text.lower() in _SWITCHES:
            _check_switch_inside(name, text, config)
            resolved[name] = _SWITCHES[text.lower()]
        elif isinstance(config.get(name), bool) and not text.startswith(_RESOLVED_BY_MONAI):
            _check_switch(name, text)
    _warn_of_unknown(settings, config)
    if {"dataset_dir", "output_dir"} <= settings.keys():
        check_apart(Path(settings["output_dir"]), Path(settings["dataset_dir"]))


def _settings(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each `--name value` and `--name=value`, as Fire tells them; "" where no value follows."""
    for word, following in itertools.pairwise([*words, "--"]):
        if _is_flag(word):
            name, equals, text = word.lstrip("-").partition("=")
            yield name.replace("-", "_"), text if equals else "" if _is_flag(following) else following


def _is_flag(word: str) -> bool:
    return re.match("--|-[a-zA-Z]", word) is not None


def _value(text: str) -> Any:
    """Return what MONAI's command line makes of a word."""
    from fire.parser import DefaultParseValue

    return DefaultParseValue(text)


def _check_path(name: str, text: str) -> None:
    if not text and name != "pretrained":  # which needs none
        raise ValueError(f"--{name}: expected a path, found nothing; write it after --{name}")
    if not name.endswith("_dir"):
        return
    if "#" in text:
        raise ValueError(
            f"--{name} {text}: expected a path without #, at which MONAI cuts it; rename or link the folder"
        )
    if text.startswith(_RESOLVED_BY_MONAI):
        raise ValueError(
            f"--{name} {text}: expected a path, found what MONAI reads as expression or reference; write ./{text}"
        )


def _check_none(name: str, text: str, config: Mapping[str, Any]) -> None:
    if "#" in name:
        raise ValueError(
            f"--{name} {text}: expected a value, found {text}, which MONAI drops or takes for a word inside a part of "
            f"the config; write --{name} '$None'"
        )
    if isinstance(config.get(name), (int, float)):
        raise ValueError(f"--{name} None: expected a value such as {json.dumps(config[name])}, found None")


def _check_switch(name: str, text: str) -> None:
    words = (*_SWITCHES, "0", "1", *_MORE_WORDS.get(name, ()))
    if text.lower() not in words:  # any word counts as true, "no" too
        raise ValueError(f"--{name} {text}: expected true or false, found {text or 'nothing'}")


def _check_switch_inside(name: str, text: str, config: Mapping[str, Any]) -> None:
    if "#" in name and name not in config and _value(text) not in (True, False):  # a component takes the word itself
        raise ValueError(f"--{name} {text}: expected True or False, found a word; write {text.capitalize()}")


def _warn_of_unknown(settings: Mapping[str, str], config: Mapping[str, Any]) -> None:
    known = [*config, *OF_MONAI]
    for name in settings:
        if config and not _is_known(name.lstrip("+"), config) and name not in OF_MONAI:
            near = difflib.get_close_matches(name.split("#")[0], known, n=1)
            meant = f"; did you mean --{near[0]}?" if near else ""
            logger.warning(f"--{name} is no setting of this bundle and has no effect{meant}")


def _is_known(name: str, config: Mapping[str, Any]) -> bool:
    """Return whether the id is in the config; a component (`_target_`) may be given arguments that it lacks."""
    part: Any = config
    for key in name.replace("::", "#").split("#"):
        if isinstance(part, list):
            return True
        if not isinstance(part, Mapping) or key not in part:
            return isinstance(part, Mapping) and "_target_" in part
        part = part[key]
    return True


def _merged_config(text: str) -> dict[str, Any]:
    """Return the top level of the config files in the words of `--config_file`; nothing where one is not JSON."""
    value = _value(text)
    merged: dict[str, Any] = {}
    for path in value if isinstance(value, (list, tuple)) else [value]:
        try:
            merged |= json.loads(Path(str(path)).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
    return merged


def _one_sentence(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the message of the first cause that this package raised on purpose; any other error with its traceback."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    ours = [cause for cause in causes if _is_deliberate(cause)]
    if ours:
        sys.stderr.write(f"{ours[0]}\n")
    else:
        sys.__excepthook__(kind, error, trace)


def _is_deliberate(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    worded = isinstance(error, OSError) and error.errno is None  # a full disk; one of the system's has a number
    return (
        (worded or isinstance(error, (ValueError, FileNotFoundError, FailedCasesError, DivergedError)))
        and bool(frames)
        and Path(frames[-1].filename).resolve().is_relative_to(PACKAGE)
    )
