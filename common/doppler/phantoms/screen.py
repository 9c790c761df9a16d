"""The screen of a scanner with a transmitral Doppler trace, and where everything on it stands."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .flow import RHYTHMS, Flow, draw_flow, ecg_mv, inflow_cm_s, outflow_cm_s

WALL_FILTER_CM_S = 6.0
EDGE_PX, EDGE_S = 3.0, 0.025
# Colour maps that scanners offer for spectra: red, green and blue at full brightness.
TINTS = ((255, 255, 255), (255, 236, 200), (214, 230, 255))


@dataclass(frozen=True)
class TraceLayout:
    """Where the trace stands and what it measures.

    Attributes:
        left, top, width, height: of the spectral region, in pixels.
        baseline_row: row of velocity 0 in the image, fractional.
        cm_s_per_px, seconds_per_px: positive.
        upward: whether inflow is drawn above the baseline.
    """

    left: int
    top: int
    width: int
    height: int
    baseline_row: float
    cm_s_per_px: float
    seconds_per_px: float
    upward: bool

    def column(self, time_s: float) -> float:
        """Return the image column of a time."""
        return self.left + time_s / self.seconds_per_px

    def holds(self, x: float) -> bool:
        """Return whether a peak is far enough inside the trace to be measured: 25 ms and 3 pixels."""
        edge_px = max(EDGE_PX, EDGE_S / self.seconds_per_px)
        return self.left + edge_px <= x <= self.left + self.width - 1 - edge_px

    def row(self, velocity_cm_s: float) -> float:
        """Return the image row of an inflow velocity."""
        return self.baseline_row + (-1 if self.upward else 1) * velocity_cm_s / self.cm_s_per_px


@dataclass(frozen=True)
class DopplerScreen:
    """A simulated screen.

    Attributes:
        pixels: (H, W, 3) uint8.
        layout: of the trace.
        sector: left, top, right, bottom of the B-mode picture, all inside.
        peaks: (x, y) in image pixels for "E" and "A", in order of time.
        velocities_cm_s: true height of each of the peaks.
        tick_cm_s: from one numbered tick of the velocity scale to the next.
        durations_s: of each of the peaks, where the phantom says so: deceleration times of E, durations of A.
    """

    pixels: NDArray[np.uint8]
    layout: TraceLayout
    sector: tuple[int, int, int, int]
    peaks: dict[str, list[tuple[float, float]]]
    velocities_cm_s: dict[str, list[float]]
    tick_cm_s: float = 20.0
    durations_s: dict[str, list[float]] = field(default_factory=dict)


def draw_screen(rng: np.random.Generator) -> DopplerScreen:
    """Return a random screen: three rhythms, gain, scale, baseline, sweep, direction, colours and size vary."""
    zoom = rng.uniform(0.85, 1.25)
    height, width = round(600 * zoom), round(800 * zoom)
    rhythm = str(rng.choice(RHYTHMS, p=(0.7, 0.15, 0.15)))
    layout, flow = _layout(rng, height, width, rhythm)
    screen = np.zeros((height, width, 3), np.float32)
    sector = (round(0.36 * width), 8, round(0.66 * width), layout.top - 14)
    _place(screen, sector[0], sector[1], _b_mode(rng, sector[3] - sector[1] + 1, sector[2] - sector[0] + 1))
    tint = np.array(TINTS[rng.integers(len(TINTS))], np.float32)
    _place(screen, layout.left, layout.top, _spectrum(rng, layout, flow)[..., None] * tint)
    pixels = _annotate(rng, screen.clip(0, 255).astype(np.uint8), layout, flow)
    peaks: dict[str, list[tuple[float, float]]] = {"E": [], "A": []}
    velocities: dict[str, list[float]] = {"E": [], "A": []}
    for wave in sorted(flow.waves, key=lambda one: one.time_s):
        x, y = layout.column(wave.time_s), layout.row(wave.velocity_cm_s)
        if layout.holds(x):
            peaks[wave.name].append((x, y))
            velocities[wave.name].append(float(wave.velocity_cm_s))
    return DopplerScreen(pixels, layout, sector, peaks, velocities)


def _layout(rng: np.random.Generator, height: int, width: int, rhythm: str) -> tuple[TraceLayout, Flow]:
    left, right = round(width * rng.uniform(0.04, 0.1)), round(width * rng.uniform(0.9, 0.94))
    top, bottom = round(height * rng.uniform(0.4, 0.48)), round(height * rng.uniform(0.93, 0.97))
    flow = draw_flow(rng, rng.uniform(2.2, 4.5), rhythm)
    highest = max(wave.velocity_cm_s for wave in flow.waves)
    above = highest * rng.uniform(1.12, 1.7)
    below = max(rng.uniform(0.25, 0.7) * above, 30)
    rows, columns = bottom - top, right - left
    cm_s_per_px = (above + below) / rows
    upward = bool(rng.random() < 0.85)
    baseline_row = top + (above if upward else below) / cm_s_per_px
    return TraceLayout(left, top, columns, rows, baseline_row, cm_s_per_px, flow.duration_s / columns, upward), flow


def _spectrum(rng: np.random.Generator, layout: TraceLayout, flow: Flow) -> NDArray[np.float32]:
    """Return the (height, width) brightness in [0, 1] of the trace, with speckle, clutter, mirror and aliasing."""
    times_s = np.arange(layout.width) * layout.seconds_per_px
    rows = np.arange(layout.top, layout.top + layout.height)
    velocity = (layout.baseline_row - rows) * layout.cm_s_per_px * (1 if layout.upward else -1)
    folded = layout.height * layout.cm_s_per_px
    inflow, outflow = inflow_cm_s(flow, times_s), outflow_cm_s(flow, times_s)
    power = _band(velocity, inflow) + rng.uniform(0, 0.02) * _band(-velocity, inflow)
    outflow_power = rng.uniform(0.03, 0.3) * (rng.random() < 0.85)
    # Outflow beyond the lower end of the scale comes in again at the upper end.
    for shift in (0.0, folded):
        power += outflow_power * _band(shift - velocity, outflow)
    power += _clutter(rng, velocity, times_s, flow)
    power *= 1 - 0.97 * np.exp(-((velocity / WALL_FILTER_CM_S) ** 4))[:, None]
    noise_floor = 10 ** rng.uniform(-3.6, -2.6)
    # Power of a spectral estimate is exponentially distributed around its mean; neighbours in time share data.
    speckle = ndimage.gaussian_filter(rng.exponential(1.0, power.shape), (0.6, 1.0)) ** 1.6
    level_db = 10 * np.log10((power + noise_floor) * speckle + 1e-6)
    dynamic_range_db, gain_db = (
        rng.uniform(24, 34),
        rng.choice([rng.uniform(-11, -7), rng.uniform(-6, 1)], p=[0.2, 0.8]),
    )
    return np.clip((level_db + gain_db) / dynamic_range_db + 1, 0, 1).astype(np.float32)


def _band(velocity: NDArray, envelope: NDArray) -> NDArray:
    """Return the (V, T) power of laminar flow: most of it just below the envelope, where it falls to half."""
    share = velocity[:, None] / np.maximum(envelope, 1e-3)
    body = 0.05 + 0.95 * np.exp(-(((share - 0.83) / 0.2) ** 2))
    edge = 1 / (1 + np.exp(np.clip((velocity[:, None] - envelope) / 1.2, -40, 40)))
    return np.where((velocity[:, None] > 0) & (envelope > 4), body * edge, 0.0)


def _clutter(rng: np.random.Generator, velocity: NDArray, times_s: NDArray, flow: Flow) -> NDArray:
    """Return (V, T) power of slow walls and of the clicks of the valve as it opens and closes."""
    walls = 0.5 * np.exp(-np.abs(velocity) / 7)[:, None] * (0.6 + 0.4 * np.sin(7 * times_s + rng.uniform(0, 6)))
    clicks = np.zeros_like(times_s)
    for wave in flow.waves:
        moment = wave.time_s - wave.rise_s if wave.name == "E" else wave.time_s + wave.fall_s
        clicks += np.exp(-0.5 * ((times_s - moment) / 0.006) ** 2)
    return walls + rng.uniform(0, 0.35) * np.exp(-np.abs(velocity) / 28)[:, None] * clicks


def _b_mode(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Return a (height, width, 3) grey apical sector with two chambers and a cursor."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    depth, angle = np.hypot(x - width / 2, y + 4) / height, np.arctan2(x - width / 2, y + 4)
    inside = (np.abs(angle) < 0.62) & (depth < 0.98) & (depth > 0.04)
    cavity = (angle / 0.26) ** 2 + ((depth - 0.42) / 0.27) ** 2 < 1
    atrium = (angle / 0.24) ** 2 + ((depth - 0.84) / 0.12) ** 2 < 1
    tissue = np.where(cavity | atrium, 0.05, 0.4 + 0.25 * np.cos(9 * depth)) * (1.1 - 0.4 * depth)
    speckle = ndimage.gaussian_filter(rng.exponential(1.0, tissue.shape), (0.7, 1.3))
    grey = np.where(inside, 255 * np.clip(tissue * speckle, 0, 1), 0)
    cursor = inside & (np.abs(x - width / 2 - 0.03 * (y - height / 2)) < 0.6) & (y % 8 < 5)
    return np.where(cursor, 220, grey)[..., None].repeat(3, axis=2).astype(np.float32)


def _annotate(
    rng: np.random.Generator, pixels: NDArray[np.uint8], layout: TraceLayout, flow: Flow
) -> NDArray[np.uint8]:
    """Return the screen with baseline, scales, ECG and text; none of it names anybody."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    left, right = layout.left, layout.left + layout.width - 1
    draw.line([(left, round(layout.baseline_row)), (right, round(layout.baseline_row))], fill=(90, 160, 220))
    bottom = layout.top + layout.height - 1
    sign = 1 if layout.upward else -1
    ends = sorted(sign * (layout.baseline_row - row) * layout.cm_s_per_px for row in (layout.top, bottom))
    for velocity in range(20 * round(ends[0] / 20), round(ends[1]) + 1, 20):
        row = layout.row(velocity)
        if layout.top <= row <= bottom:
            draw.line([(right + 2, row), (right + 7, row)], fill=(200, 200, 200))
            draw.text((right + 10, row - 6), str(velocity), fill=(200, 200, 200))
    draw.text((right + 6, layout.top - 14), "cm/s", fill=(200, 200, 200))
    for half_seconds in range(int(2 * flow.duration_s) + 1):
        column = layout.column(half_seconds / 2)
        draw.line([(column, bottom - (5 if half_seconds % 2 else 9)), (column, bottom)], fill=(220, 220, 220))
    columns = np.arange(layout.width)
    trace = bottom - 14 - 0.09 * layout.height * ecg_mv(flow, columns * layout.seconds_per_px)
    draw.line(list(zip((columns + left).tolist(), trace.tolist(), strict=True)), fill=(60, 220, 90), width=1)
    beats = np.diff(flow.r_times_s).mean()
    lines = ["SIMULATED", "Adult Echo", f"PW {rng.uniform(1.6, 2.2):.1f} MHz", "SV 4.0 mm", f"HR {60 / beats:.0f} bpm"]
    for index, line in enumerate(lines):
        draw.text((8, 10 + 15 * index), line, fill=(190, 200, 190))
    return np.asarray(picture)


def _place(screen: NDArray, left: int, top: int, part: NDArray) -> None:
    screen[top : top + part.shape[0], left : left + part.shape[1]] = part
