"""What `python -m monai.bundle run` is told, checked: MONAI takes unknown settings and rewritten paths without a word.

MONAI's command line reads values as Python: a folder `2024` becomes a number, `a,b` a tuple, `$x` an expression that is
run, `@x` and `%x` references, and `#` begins a part of a config.
"""

import difflib
import itertools
import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from .errors import DivergedError, FailedCasesError
from .files import check_apart

PACKAGE = Path(__file__).resolve().parent
OF_MONAI = ("run_id", "init_id", "final_id", "meta_file", "config_file", "logging_file", "args_file", "tracking")

logger = logging.getLogger(__name__)


def check_command_line(arguments: Sequence[str] | None = None) -> None:
    """Check the settings of this process where it is MONAI's command line, and let our errors end it in one sentence.

    Args:
        arguments: words of the command line, the program first; those of this process by default.

    Raises:
        ValueError: for a folder that MONAI would take for something else, naming what to write.
        OutputFolderError: if results would be written into the input.
    """
    words = list(sys.argv if arguments is None else arguments)
    if not words or Path(words[0]).parts[-3:] != ("monai", "bundle", "__main__.py"):
        return
    sys.excepthook = _one_sentence
    settings = dict(_settings(words[1:]))
    for name, text in settings.items():
        if name.endswith("_dir"):
            _check_folder(name, text)
    _warn_of_unknown(settings)
    if {"dataset_dir", "output_dir"} <= settings.keys():
        check_apart(Path(settings["output_dir"]), Path(settings["dataset_dir"]))


def _settings(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each `--name value` and `--name=value`."""
    for word, following in itertools.pairwise([*words, ""]):
        if word.startswith("--"):
            name, equals, text = word[2:].partition("=")
            yield name, text if equals else following


def _check_folder(name: str, text: str) -> None:
    from fire.parser import DefaultParseValue

    if "#" in text:
        raise ValueError(
            f"--{name} {text}: expected a path without #, at which MONAI cuts it; rename or link the folder"
        )
    value = DefaultParseValue(text)
    if not isinstance(value, str) or text[:1] in ("$", "@", "%"):
        kind = type(value).__name__ if not isinstance(value, str) else "expression or reference"
        raise ValueError(f"--{name} {text}: expected a path, found what MONAI reads as {kind}; write ./{text}")


def _warn_of_unknown(settings: Mapping[str, str]) -> None:
    config = _merged_config(settings.get("config_file", ""))
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
    from fire.parser import DefaultParseValue

    value = DefaultParseValue(text)
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
    return (
        isinstance(error, (ValueError, FileNotFoundError, FailedCasesError, DivergedError))
        and bool(frames)
        and Path(frames[-1].filename).resolve().is_relative_to(PACKAGE)
    )
