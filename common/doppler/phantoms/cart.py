"""Whole screens of an echo cart: spectral strip, 2D picture, scales, ECG, texts and caliper marks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .flow import Beats, draw_beats
from .overlays import draw_overlays
from .screen import DopplerScreen, TraceLayout, _b_mode
from .spectrum import draw_busy_look, draw_look, spectrum_image

# Width and height of the screens that carts export.
SIZES = ((1024, 768), (1024, 768), (800, 600), (1016, 708), (1280, 960), (1440, 1080))
# A strip of 902 pixels shows 284 of them a second at 75 mm/s.
SECONDS_PER_WIDTH = 902 / 284 * 75
SWEEPS_MM_S = (25, 33, 50, 67, 75, 75, 100, 100, 150)
TICKS_CM_S = (10, 20, 20, 20, 40, 50)
LINE_COLOURS = ((230, 230, 230), (120, 150, 190), (210, 160, 60), (170, 170, 170), (90, 200, 120))
ECG_COLOURS = ((70, 220, 90), (235, 235, 235), (230, 210, 60))
SETTINGS = ("SIMULATED", "TIS0.8 MI 0.9", "S5-1/Adult", "37Hz", "17.0cm", "2D", "Gen", "Gn 60", "PW", "50%", "1.6MHz",
            "WF 150Hz", "SV4.0mm", "10.3cm", "75mm/s")  # fmt: skip
VALUES = ("MV E Vel", "MV A Vel", "MV E/A", "MV Dec Time", "MV Dec Slope", "MV PHT", "MVA (PHT)", "MV A Dur")


@dataclass(frozen=True)
class _Strip:
    """What is drawn on and around the strip: its layout, its beats, ticks, and the font."""

    layout: TraceLayout
    beats: Beats
    tick_cm_s: float
    sweep_mm_s: int
    font: Any
    line: tuple[int, int, int]


def draw_busy_screen(rng: np.random.Generator) -> DopplerScreen:
    """Return a screen of the cart style with what few screens have: see :mod:`.overlays`, :func:`draw_busy_look`."""
    return draw_cart_screen(rng, rng.spawn(1)[0])


def draw_cart_screen(rng: np.random.Generator, more: np.random.Generator | None = None) -> DopplerScreen:
    """Return a random whole screen; all that is on it is drawn by chance, its answer is exact.

    A wave is in the answer if its peak is at least 3 pixels and 25 ms inside the strip, whatever lies over it.

    Args:
        rng: source of chance.
        more: source of chance of what only busy screens have.
    """
    width, height = SIZES[rng.integers(len(SIZES))]
    strip = _strip(rng, width, height, more)
    layout, beats = strip.layout, strip.beats
    screen = np.zeros((height, width, 3), np.float32)
    sector = (round(0.3 * width), 8, round(rng.uniform(0.62, 0.72) * width), layout.top - 14)
    _put(screen, sector[0], sector[1], _b_mode(rng, sector[3] - sector[1] + 1, sector[2] - sector[0] + 1))
    look = draw_look(rng)
    grey = spectrum_image(rng, layout, beats, draw_busy_look(more, look) if more else look)
    _put(screen, layout.left, layout.top, _coloured(rng, grey))
    picture = _furnished(rng, screen, sector, strip, more)
    peaks: dict[str, list[tuple[float, float]]] = {"E": [], "A": []}
    velocities: dict[str, list[float]] = {"E": [], "A": []}
    durations: dict[str, list[float]] = {"E": [], "A": []}
    for wave in beats.waves:
        x = layout.column(wave.time_s)
        if wave.name in peaks and layout.holds(x):
            peaks[wave.name].append((x, layout.row(wave.velocity_cm_s)))
            velocities[wave.name].append(wave.velocity_cm_s)
            durations[wave.name].append(wave.fall_s if wave.name == "E" else wave.rise_s + wave.fall_s)
    return DopplerScreen(picture, layout, sector, peaks, velocities, strip.tick_cm_s, durations)


def _strip(rng: np.random.Generator, width: int, height: int, more: np.random.Generator | None) -> _Strip:
    left, right = round(width * rng.uniform(0.03, 0.09)), round(width * rng.uniform(0.88, 0.93))
    top, bottom = round(height * rng.uniform(0.42, 0.52)), round(height * rng.uniform(0.91, 0.96))
    sweep_mm_s = int(SWEEPS_MM_S[rng.integers(len(SWEEPS_MM_S))])
    duration_s = SECONDS_PER_WIDTH / sweep_mm_s * rng.uniform(0.9, 1.1)
    beats = draw_beats(rng, duration_s, more)
    above = max(wave.velocity_cm_s for wave in beats.waves) * rng.uniform(1.12, 2.0)
    below = above * (rng.uniform(0.25, 0.6) if rng.random() < 0.8 else rng.uniform(0.1, 1.2))
    rows, columns = bottom - top, right - left
    upward = bool(rng.random() < 0.9)
    cm_s_per_px = (above + below) / rows
    baseline_row = float(top + round((above if upward else below) / cm_s_per_px))
    layout = TraceLayout(left, top, columns, rows, baseline_row, cm_s_per_px, duration_s / columns, upward)
    ticks = [one for one in TICKS_CM_S if 4 <= (above + below) / one <= 16] or [20]
    font = _font(round(height / 60 * rng.uniform(0.9, 1.25)))
    line = LINE_COLOURS[rng.integers(len(LINE_COLOURS))]
    return _Strip(layout, beats, float(ticks[rng.integers(len(ticks))]), sweep_mm_s, font, line)


def _coloured(rng: np.random.Generator, grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (H, W, 3) brightness in a grey or a tinted map of 0 to 255."""
    exponents = ((1, 1, 1), (1, 1, 1), (0.8, 1.05, 1.6), (0.75, 1.2, 2.2), (1.3, 1.05, 0.85))[rng.integers(5)]
    return 255 * np.stack([grey**exponent for exponent in exponents], axis=-1)


def _furnished(
    rng: np.random.Generator,
    screen: NDArray[np.float32],
    sector: tuple[int, int, int, int],
    strip: _Strip,
    more: np.random.Generator | None,
) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    picture = Image.fromarray(screen.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    _draw_colour_box(rng, picture, sector)
    _draw_axes(rng, draw, strip)
    _draw_ecg(rng, draw, strip)
    _draw_texts(rng, draw, strip, picture.size)
    if rng.random() < 0.6:
        _draw_calipers(rng, draw, strip)
    if more:
        draw_overlays(more, draw, strip.layout, strip.beats, strip.font)
    pixels = np.asarray(picture)
    if rng.random() < 0.25:
        pixels = np.rint(ndimage.gaussian_filter(pixels.astype(np.float32), (0.5, 0.5, 0))).astype(np.uint8)
    return _through_jpeg(pixels, int(rng.integers(60, 96))) if rng.random() < 0.5 else pixels


def _draw_colour_box(rng: np.random.Generator, picture: Any, sector: tuple[int, int, int, int]) -> None:
    from PIL import Image

    left, top, right, bottom = sector
    width, height = (right - left) // 4, (bottom - top) // 3
    flow = ndimage.gaussian_filter(rng.normal(size=(height, width)), 6)
    strength = (np.clip(flow / np.abs(flow).max() * 1.5, -1, 1) * 255).astype(np.int16)
    box = np.stack([np.clip(strength, 0, 255), np.abs(strength) // 4, np.clip(-strength, 0, 255)], -1).astype(np.uint8)
    mask = Image.fromarray((np.abs(strength) > 60).astype(np.uint8) * 220)
    picture.paste(Image.fromarray(box), (left + 3 * width // 2, top + height), mask)


def _draw_axes(rng: np.random.Generator, draw: Any, strip: _Strip) -> None:
    """Draw the baseline, the velocity scale at the right (now and then the left) and the time ticks at the bottom."""
    layout, line = strip.layout, strip.line
    left, right, bottom = layout.left, layout.left + layout.width - 1, layout.top + layout.height - 1
    draw.line([(left, layout.baseline_row), (right, layout.baseline_row)], fill=line, width=int(rng.integers(1, 3)))
    edge, outward = (right, 1) if rng.random() < 0.85 else (left, -1)
    length, minor, in_metres = int(rng.integers(4, 11)), rng.random() < 0.3, rng.random() < 0.3
    if rng.random() < 0.3:
        draw.line([(edge + outward, layout.top), (edge + outward, bottom)], fill=line)
    step = strip.tick_cm_s / 2 if minor else strip.tick_cm_s
    reach = int(layout.height * layout.cm_s_per_px / step) + 1
    for index in range(-reach, reach + 1):
        row = round(layout.row(index * step))
        is_major = not (minor and index % 2)
        if not layout.top <= row <= bottom:
            continue
        end = edge + outward * (1 + (length if is_major else length // 2))
        draw.line([(edge + outward, row), (end, row)], fill=(220, 220, 220))
        if is_major:
            value = f"{index * step / 100:g}" if in_metres else f"{index * step:g}"
            anchor = "lm" if outward > 0 else "rm"
            draw.text((end + 4 * outward, row), value, fill=(210, 210, 210), font=strip.font, anchor=anchor)
    draw.text((right + 6, layout.top - 16), "m/s" if in_metres else "cm/s", fill=(210, 210, 210), font=strip.font)
    for index in range(int(5 * layout.width * layout.seconds_per_px) + 1):
        column = round(layout.column(index / 5))
        draw.line([(column, bottom), (column, bottom - (9 if index % 5 == 0 else 4))], fill=(215, 215, 215))


def _draw_ecg(rng: np.random.Generator, draw: Any, strip: _Strip) -> None:
    """Draw the ECG along the upper edge, its spikes and humps in the spectrum, or near the lower edge; or none."""
    position = rng.choice(["top", "bottom", "none"], p=(0.7, 0.2, 0.1))
    if position == "none":
        return
    layout, height = strip.layout, strip.layout.height
    level = layout.top + (rng.uniform(0.06, 0.16) if position == "top" else rng.uniform(0.88, 0.94)) * height
    columns = np.arange(layout.width)
    millivolts = strip.beats.ecg_mv(columns * layout.seconds_per_px)
    rows = level - rng.uniform(0.07, 0.13) * height * millivolts * (1 if rng.random() < 0.85 else -0.6)
    points = list(zip((columns + layout.left).tolist(), rows.tolist(), strict=True))
    draw.line(points, fill=ECG_COLOURS[rng.integers(len(ECG_COLOURS))], width=int(rng.integers(1, 3)))


def _draw_texts(rng: np.random.Generator, draw: Any, strip: _Strip, size: tuple[int, int]) -> None:
    """Draw settings at the left and values at the right, over the strip too, a grey bar, heart rate and sweep."""
    layout, font = strip.layout, strip.font
    pitch, colour = 1.25 * font.size, LINE_COLOURS[rng.integers(3)]
    for index in range(int(rng.integers(8, len(SETTINGS) + 1))):
        draw.text((6, 6 + pitch * index), SETTINGS[index], fill=(190, 200, 190), font=font)
    if rng.random() < 0.5:
        x, y = layout.left + rng.uniform(2, 30), layout.top + rng.uniform(0, 0.5) * layout.height
        for index in range(int(rng.integers(2, 7))):
            draw.text((x, y + pitch * index), SETTINGS[-1 - index], fill=(190, 200, 190), font=font)
    if rng.random() < 0.6:
        x = layout.left + rng.uniform(0.6, 0.8) * layout.width
        y = layout.top + rng.uniform(-0.2, 0.4) * layout.height
        for index in range(int(rng.integers(2, len(VALUES)))):
            text = f"{VALUES[index]}  {rng.uniform(0.3, 180):.3g} {rng.choice(['cm/s', 'm/s', 'ms', ''])}"
            draw.text((x, y + pitch * index), text, fill=colour, font=font)
    bar_top, bar_height = 10, round(0.2 * size[1])
    for step in range(bar_height):
        grey = 255 - 255 * step // bar_height
        draw.line([(size[0] - 26, bar_top + step), (size[0] - 12, bar_top + step)], fill=(grey, grey, grey))
    beat_s = float(np.diff(strip.beats.r_times_s).mean())
    below = layout.top + layout.height + 3
    draw.text((layout.left + layout.width - 90, below), f"{60 / beat_s:.0f} bpm", fill=(80, 220, 90), font=font)
    draw.text((layout.left, below), f"{strip.sweep_mm_s}mm/s", fill=(190, 200, 190), font=font)


def _draw_calipers(rng: np.random.Generator, draw: Any, strip: _Strip) -> None:
    """Draw marks on measured peaks, and some where no peak is; a dotted line along a deceleration slope."""
    layout = strip.layout
    colour, arm = LINE_COLOURS[rng.integers(3)], int(rng.integers(4, 9))
    for index, wave in enumerate(wave for wave in strip.beats.waves if wave.name != "L" and rng.random() < 0.4):
        x, y = layout.column(wave.time_s), layout.row(wave.velocity_cm_s)
        if not layout.left + arm < x < layout.left + layout.width - arm:
            continue
        if rng.random() < 0.2:
            x, y = x + rng.uniform(-60, 60), y + rng.uniform(-40, 40)
        _draw_mark(rng, draw, (x, y), arm, colour)
        draw.text((x + arm, y - 2 * arm), str(index % 4 + 1), fill=colour, font=strip.font)
        if wave.name == "E" and rng.random() < 0.6:
            end = np.array([layout.column(wave.time_s + wave.fall_s), layout.baseline_row])
            for fraction in np.linspace(0, 1, int(rng.integers(10, 25))):
                px, py = (1 - fraction) * np.array([x, y]) + fraction * end
                draw.rectangle([px, py, px + 1, py + 1], fill=colour)
            _draw_mark(rng, draw, (float(end[0]), float(end[1])), arm, colour)


def _draw_mark(
    rng: np.random.Generator, draw: Any, at: tuple[float, float], arm: int, colour: tuple[int, int, int]
) -> None:
    (x, y), turned = at, rng.random() < 0.4
    ends = ((arm, arm), (arm, -arm)) if turned else ((arm, 0), (0, arm))
    for dx, dy in ends:
        draw.line([(x - dx, y - dy), (x + dx, y + dy)], fill=colour)


def _font(size: int) -> Any:
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _through_jpeg(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def _put(screen: NDArray, left: int, top: int, part: NDArray) -> None:
    screen[top : top + part.shape[0], left : left + part.shape[1]] = part
