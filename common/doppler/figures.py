"""Figures of Doppler peaks: the marked trace, agreement with the reference, and the choice of the tolerance."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..figure import figure
from .beats import SURE, Beat, Peak
from .rows import WAVES, PeakRow

COLOURS = {"E": "#ff9d3c", "A": "#4fc3f7"}


def draw_bland_altman(path: str | os.PathLike[str], peaks: Sequence[PeakRow], wave: str) -> None:
    """Write mean against difference of the matched peaks of a wave, with bias and 95 % limits of agreement.

    References:
        Bland and Altman, Lancet 1986.
    """
    used = [p for p in peaks if p.wave == wave and math.isfinite(p.difference_cm_s)]
    mean = np.array([(p.velocity_cm_s + p.reference_velocity_cm_s) / 2 for p in used])
    difference = np.array([p.difference_cm_s for p in used])
    title = f"{wave} wave: {len(used)} peaks in {len({p.case for p in used})} images"
    with figure(path, 4.6, 3.4, title) as made:
        axes = made.add_subplot()
        axes.scatter(mean, difference, s=12, alpha=0.6, color=COLOURS[wave], edgecolor="0.3", linewidth=0.3)
        if len(used) > 1:
            bias, spread = float(difference.mean()), float(difference.std(ddof=1))
            for value, style in ((bias, "-"), (bias + 1.96 * spread, "--"), (bias - 1.96 * spread, "--")):
                axes.axhline(value, color="0.25", linestyle=style, linewidth=1)
                axes.annotate(
                    f"{value:+.1f}", (1.0, value), xycoords=("axes fraction", "data"), va="bottom", ha="right"
                )
        axes.set(xlabel="mean of model and reference (cm/s)", ylabel="model - reference (cm/s)")


def draw_sweep(path: str | os.PathLike[str], table: Sequence[Mapping[str, Any]]) -> None:
    """Write F1 of both waves against the tolerance, which no paper of this group publishes."""
    with figure(path, 4.6, 3.0, "F1") as made:
        _plot_sweep(made.add_subplot(), table)


def _plot_sweep(axes: Any, table: Sequence[Mapping[str, Any]]) -> None:
    for wave in WAVES:
        rows = [row for row in table if row["wave"] == wave]
        axes.plot(
            [100 * row["velocity_fraction"] for row in rows], [row["f1"] for row in rows], "o-", label=wave,
            color=COLOURS[wave],
        )  # fmt: skip
    axes.set(xlabel="tolerance (% of the velocity range and of a beat)", ylabel="F1", ylim=(0, 1.02))
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)


def draw_trace(
    path: str | os.PathLike[str], trace: NDArray, beats: Sequence[Beat], row: Mapping[str, Any], caption: str
) -> None:
    """Write a trace with its peaks marked, velocities beside them, and axes in cm/s and s where they are known.

    Where the screen's own ticks made the scale, the axes have theirs, so that the numbers can be compared. A wave with
    a confidence below 0.5, which counts in no mean, has a question mark.

    Args:
        path: file to write.
        trace: (H, W) brightness in [0, 1] of the cropped trace, resampled to any size; no other part of the screen.
        beats: in image pixels.
        row: `box` in image pixels, `calibration`, and maybe `ticks`: cm/s and s from one of the screen to the next, and
            `r_peaks`, image columns.
        caption: heading, with the means.
    """
    with figure(path, 9, 4.2, caption) as made:
        _plot_trace(made.add_subplot(), trace, beats, row)


def _plot_trace(axes: Any, trace: NDArray, beats: Sequence[Beat], row: Mapping[str, Any]) -> None:
    left, top, right, bottom = row["box"]
    zero, cm_s_per_px, seconds_per_px = row["calibration"]
    own = row.get("ticks", (math.nan, math.nan))
    edges = (left - 0.5, right + 0.5, bottom + 0.5, top - 0.5)
    axes.imshow(trace, cmap="gray", vmin=0, vmax=1, extent=edges, aspect="auto", interpolation="bilinear")
    for wave, peaks in (("E", [b.e for b in beats if b.e]), ("A", [b.a for b in beats if b.a])):
        for peak in peaks:
            _mark(axes, wave, peak, zero, (peak.x - left) / (right - left))
    for column in row.get("r_peaks", ()):
        axes.annotate("R", (column, edges[3]), va="bottom", ha="center", fontsize=8, annotation_clip=False)
    if math.isfinite(cm_s_per_px):
        axes.axhline(zero, color="#6fb3e0", linewidth=0.8)
        ticks = _ticks((zero - bottom) * cm_s_per_px, (zero - top) * cm_s_per_px, own[0], most=12)
        axes.set_yticks([zero - v / cm_s_per_px for v in ticks], [f"{v:g}" for v in ticks])
    axes.set_ylabel("cm/s" if math.isfinite(cm_s_per_px) else "image row (no calibration)")
    if math.isfinite(seconds_per_px):
        seconds = _ticks(0, (right - left) * seconds_per_px, own[1], most=10)
        axes.set_xticks([left + s / seconds_per_px for s in seconds], [f"{s:g}" for s in seconds])
    axes.set_xlabel("s" if math.isfinite(seconds_per_px) else "image column")
    axes.tick_params(axis="y", right=True, labelright=True)
    axes.set(xlim=edges[:2], ylim=edges[2:])


def _mark(axes: Any, wave: str, peak: Peak, zero: float, position: float) -> None:
    axes.plot(peak.x, peak.y, "+", color=COLOURS[wave], markersize=11, markeredgewidth=1.8)
    known = math.isfinite(peak.velocity_cm_s)
    text = (f"{wave} {peak.velocity_cm_s:.0f}" if known else wave) + ("" if peak.confidence >= SURE else "?")
    below = known and peak.y > zero
    side = "left" if position < 0.03 else "right" if position > 0.97 else "center"
    axes.annotate(
        text, (peak.x, peak.y), xytext=(0, -12 if below else 7), textcoords="offset points", ha=side,
        color=COLOURS[wave], fontsize=8, alpha=0.5 + 0.5 * peak.confidence,
    )  # fmt: skip


def _ticks(low: float, high: float, own: float, most: int) -> list[float]:
    """Return all multiples of the screen's own distance of ticks, or round ones where it has none or too many."""
    if not math.isfinite(own) or (high - low) / own > 2 * most:
        return _round_ticks(low, high, most)
    return [own * number for number in range(math.ceil(low / own), math.floor(high / own) + 1)]


def _round_ticks(low: float, high: float, most: int) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(value) for value in ticks if low <= value <= high]
