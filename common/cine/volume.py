"""Cine cardiac MR as one array of sections and frames, and which sections of it are usable."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import UnusableFileError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cine:
    """A stack of parallel sections, each filmed over one heart beat.

    Attributes:
        frames: (S, T, H, W) float32; S runs along the normal, T over the heart beat.
        spacing_mm: distance between rows, between columns, and between sections along the normal.
        affine: (4, 4), from indices (row, column, section) to right-anterior-superior millimetres.
        trigger_times_ms: (S, T) time after the R wave, or None where the files do not tell.
        sections_skipped: (index along the normal among all sections found, reason).
    """

    frames: np.ndarray
    spacing_mm: tuple[float, float, float]
    affine: np.ndarray
    trigger_times_ms: np.ndarray | None = None
    sections_skipped: list[tuple[int, str]] = field(default_factory=list)


def pixel_fault(frames: Sequence[np.ndarray] | np.ndarray) -> str | None:
    """Return why the frames (H, W) of one section cannot serve, or None if they can."""
    bad = sum(int((~np.isfinite(frame)).sum()) for frame in frames if not np.issubdtype(frame.dtype, np.integer))
    if bad:
        return f"{bad} pixels are NaN or infinite"
    constant = [k for k, frame in enumerate(frames) if frame.min() == frame.max()]
    if len(constant) == len(frames):
        return "the image is constant (standard deviation 0)"
    if constant:
        return f"frame {constant[0] + 1} of {len(frames)} is constant (standard deviation 0)"
    return None


def drop_faulty(
    source: Path,
    sections: Sequence[Sequence[np.ndarray] | np.ndarray],
    numbers: list[int],
    skipped: list[tuple[int, str]],
) -> tuple[list[int], list[tuple[int, str]]]:
    """Return which of `sections` are usable, and `skipped` with those that are not.

    Args:
        source: file or folder, for the messages.
        sections: each T frames (H, W).
        numbers: index of each section along the normal among all that were found.
        skipped: sections that were left out before, with reasons.

    Raises:
        UnusableFileError: if none is left.
    """
    faults = [pixel_fault(section) for section in sections]
    usable = [k for k, fault in enumerate(faults) if fault is None]
    skipped = sorted(skipped + [(numbers[k], fault) for k, fault in enumerate(faults) if fault is not None])
    report_skipped(source, skipped)
    if not usable:
        raise no_usable_section(source, skipped)
    return usable, skipped


def report_skipped(source: Path, skipped: list[tuple[int, str]]) -> None:
    """Log each section that is left out and why."""
    for number, reason in skipped:
        _LOG.warning("%s: section %d skipped: %s", source, number, reason)


def no_usable_section(source: Path, skipped: list[tuple[int, str]], remedy: str = "") -> UnusableFileError:
    """Return the error that lists why every section of `source` was left out."""
    reasons = "; ".join(f"section {number}: {reason}" for number, reason in skipped[:5]) or "no section"
    more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
    return UnusableFileError(
        f"{source}: expected at least one whole short-axis section, found none ({reasons}{more}); "
        + (remedy or "export the cine series of this patient again.")
    )
