"""Sections of a data set, and the cases that a listing leaves out with their reasons."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UnusableFileError

SECTIONS = ("training", "validation", "test", "development", "all")
NAMED_IN_LOG = 10

logger = logging.getLogger(__name__)


def section_of_folds(items: Sequence[dict[str, Any]], section: str, fold: int, folds: int) -> list[dict[str, Any]]:
    """Return the items of a section by their key "fold": `fold` is the test, the next one the validation.

    "development" is everything but the test, "training" everything but test and validation.

    Raises:
        ValueError: if the section is unknown or the fold is not one of them.
    """
    check_section(section)
    if not 0 <= fold < folds:
        raise ValueError(f"fold: expected a number from 0 to {folds - 1}, found {fold}")
    validation = (fold + 1) % folds
    wanted = {
        "training": set(range(folds)) - {fold, validation},
        "validation": {validation},
        "test": {fold},
        "development": set(range(folds)) - {fold},
        "all": set(range(folds)),
    }[section]
    return [item for item in items if item["fold"] in wanted]


def check_section(section: str) -> None:
    """Raise a ValueError unless `section` is one of SECTIONS."""
    if section not in SECTIONS:
        raise ValueError(f"section: expected one of {', '.join(SECTIONS)}, found {section!r}")


def percent(text: Any, name: str) -> float:
    """Return a number from 0 to 100.

    Raises:
        UnusableFileError: if `text` is missing, no number, or outside.
    """
    try:
        value = float(str(text).strip())
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 100:
        raise UnusableFileError(f"expected {name} as a number from 0 to 100, found {text!r}")
    return value


def log_skipped(source: str, skipped: Mapping[str, str]) -> None:
    """Warn of each case that a listing leaves out and why, the first ten by name."""
    for case, reason in list(skipped.items())[:NAMED_IN_LOG]:
        logger.warning("%s: left out %s: %s", source, case, reason)
    if len(skipped) > NAMED_IN_LOG:
        logger.warning("%s: left out %d more cases", source, len(skipped) - NAMED_IN_LOG)
