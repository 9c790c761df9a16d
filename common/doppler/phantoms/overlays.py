"""What a few echo carts draw over a spectrum besides: traced envelopes, letters, cross hairs, boxes, a sweep's gap."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .flow import Beats
from .screen import TraceLayout

COLOURS = ((240, 220, 60), (90, 200, 240), (230, 230, 230), (240, 120, 60))
KEPT_FREE_S, KEPT_FREE_PX = 0.06, 14.0


def draw_overlays(rng: np.random.Generator, draw: Any, layout: TraceLayout, beats: Beats, font: Any) -> None:
    """Draw each overlay by chance; none that is opaque covers a peak.

    Args:
        rng: source of chance.
        draw: Pillow's drawing on the screen.
        layout: of the strip.
        beats: whose waves are traced and named.
        font: of letters.
    """
    chosen: list[tuple[float, Callable[..., None]]] = [
        (0.2, _draw_envelope), (0.3, _draw_letters), (0.2, _draw_cross_hair), (0.3, _draw_box), (0.15, _draw_gap),
        (0.15, _draw_breathing),
    ]  # fmt: skip
    for chance, overlay in chosen:
        if rng.random() < chance:
            overlay(rng, draw, layout, beats, font)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    return COLOURS[rng.integers(len(COLOURS))]


def _draw_envelope(rng: np.random.Generator, draw: Any, layout: TraceLayout, beats: Beats, font: Any) -> None:
    """Draw the outline that the scanner traces by itself, over all or a part of the strip."""
    first, last = sorted(rng.uniform(0, layout.width, 2)) if rng.random() < 0.5 else (0, layout.width)
    columns = np.arange(round(first), round(last), 2)
    error = rng.normal(0, 1.5, len(columns)) + rng.uniform(-1, 5)
    velocity = beats.inflow_cm_s(columns * layout.seconds_per_px)
    rows = [layout.row(value) for value in np.maximum(velocity + error * (velocity > 10), 0)]
    if len(columns) > 1:
        draw.line(list(zip((columns + layout.left).tolist(), rows, strict=True)), fill=_colour(rng))


def _peaks(layout: TraceLayout, beats: Beats) -> list[tuple[str, float, float]]:
    named = [(one.name, layout.column(one.time_s), layout.row(one.velocity_cm_s)) for one in beats.waves]
    return [(name, x, y) for name, x, y in named if name != "L" and layout.holds(x)]


def _draw_letters(rng: np.random.Generator, draw: Any, layout: TraceLayout, beats: Beats, font: Any) -> None:
    colour, above = _colour(rng), 1.4 * font.size * (1 if layout.upward else -0.3)
    for name, x, y in _peaks(layout, beats):
        if rng.random() < 0.4:
            draw.text((x + rng.uniform(-3, 8), y - above), name, fill=colour, font=font)


def _draw_cross_hair(rng: np.random.Generator, draw: Any, layout: TraceLayout, beats: Beats, font: Any) -> None:
    """Draw a dotted line down and one across the strip, on a peak or anywhere."""
    x = layout.left + rng.uniform(0, 1) * layout.width
    y = layout.top + rng.uniform(0.05, 0.95) * layout.height
    peaks = _peaks(layout, beats)
    if peaks and rng.random() < 0.6:
        _, x, y = peaks[rng.integers(len(peaks))]
    colour, pitch = _colour(rng), int(rng.integers(3, 8))
    draw.point([(x, row) for row in range(layout.top, layout.top + layout.height, pitch)], fill=colour)
    draw.point([(column, y) for column in range(layout.left, layout.left + layout.width, pitch)], fill=colour)


def _draw_box(rng: np.random.Generator, draw: Any, layout: TraceLayout, beats: Beats, font: Any) -> None:
    """Draw measured values on black in a corner of the strip."""
    width, lines = round(rng.uniform(9, 14) * font.size), int(rng.integers(2, 7))
    height = round(1.3 * font.size * lines)
    left = layout.left + 4 if rng.random() < 0.3 else layout.left + layout.width - width - 4
    top = layout.top + 4 if rng.random() < 0.7 else layout.top + layout.height - height - 14
    covered = (left - KEPT_FREE_PX, left + width + KEPT_FREE_PX, top - KEPT_FREE_PX, top + height + KEPT_FREE_PX)
    if any(covered[0] < x < covered[1] and covered[2] < y < covered[3] for _, x, y in _peaks(layout, beats)):
        return
    colour = _colour(rng)
    draw.rectangle([left, top, left + width, top + height], fill=(0, 0, 0), outline=colour)
    for line in range(lines):
        text = f"{rng.choice(['Vmax', 'E', 'A', 'DecT', 'PG'])} {rng.uniform(0.3, 180):.3g}"
        draw.text((left + 4, top + 1.3 * font.size * line), text, fill=colour, font=font)


def _draw_gap(rng: np.random.Generator, draw: Any, layout: TraceLayout, beats: Beats, font: Any) -> None:
    """Draw the dark or bright bar at which a running sweep writes, away from the peaks."""
    x, width = layout.left + rng.uniform(0.1, 0.9) * layout.width, int(rng.integers(2, 20))
    free_px = KEPT_FREE_S / layout.seconds_per_px
    if all(not x - free_px < peak_x < x + width + free_px for _, peak_x, _ in _peaks(layout, beats)):
        fill = (0, 0, 0) if rng.random() < 0.6 else (90, 110, 90)
        draw.rectangle([x, layout.top, x + width, layout.top + layout.height - 1], fill=fill)


def _draw_breathing(rng: np.random.Generator, draw: Any, layout: TraceLayout, beats: Beats, font: Any) -> None:
    columns = np.arange(layout.width)
    rate_hz, phase, level = rng.uniform(0.2, 0.4), rng.uniform(0, 6), rng.uniform(0.05, 0.95)
    swing = 0.04 * np.sin(2 * np.pi * rate_hz * columns * layout.seconds_per_px + phase)
    rows = layout.top + layout.height * np.clip(level + swing, 0.01, 0.99)
    draw.line(list(zip((columns + layout.left).tolist(), rows.tolist(), strict=True)), fill=_colour(rng))
