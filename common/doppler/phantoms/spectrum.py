"""The spectrum that a scanner makes of transmitral flow: a distribution of velocities in each column, as brightness."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .flow import Beats
from .screen import TraceLayout


@dataclass(frozen=True)
class SpectrumLook:
    """How the scanner is set and what disturbs it.

    Attributes:
        band: thickness of the bright modal band, as fraction of the envelope.
        fill: power between band and baseline, as fraction of the band's.
        window_s: time that goes into one spectrum.
        ragged_cm_s: standard deviation of the envelope from column to column.
        edge_cm_s: width over which the band falls off at the envelope, where it is at half its power.
        broadening: power beyond the envelope that makes single bright pixels 5 to 10 cm/s above it.
        walls: power of the wall band, 5 to 15 cm/s on both sides of the baseline.
        wall_filter_cm_s: velocities below are dark; 0 leaves them.
        ghost: power of the mirrored spectrum.
        outflow: power of the grainy outflow in systole.
        clicks: power of the valves' clicks.
        noise_db: noise floor below the band.
        gain_db, dynamic_range_db, reject, gamma: of the way from power to brightness.
        columns_per_s, bins: of the scanner's own spectrum, before it is drawn over the pixels.
        smoothing_px: of the drawn image, along time and along velocity.
        regurgitation: power of a jet that fills all velocities in systole.
        interference: power of columns as high as the strip, of another machine.
    """

    band: float
    fill: float
    window_s: float
    ragged_cm_s: float
    edge_cm_s: float
    broadening: float
    walls: float
    wall_filter_cm_s: float
    ghost: float
    outflow: float
    clicks: float
    noise_db: float
    gain_db: float
    dynamic_range_db: float
    reject: float
    gamma: float
    columns_per_s: float
    bins: int
    smoothing_px: tuple[float, float]
    regurgitation: float = 0.0
    interference: float = 0.0


def draw_look(rng: np.random.Generator) -> SpectrumLook:
    """Return random settings, from a clean strip to one that hides its peaks in noise."""
    return SpectrumLook(
        band=rng.uniform(0.08, 0.28),
        fill=10 ** rng.uniform(-3.0, -1.0),
        window_s=rng.uniform(0.01, 0.03),
        ragged_cm_s=rng.uniform(0.0, 2.2),
        edge_cm_s=rng.uniform(0.6, 2.0),
        broadening=10 ** rng.uniform(-2.6, -1.0),
        walls=10 ** rng.uniform(-1.6, 0.1),
        wall_filter_cm_s=float(rng.choice([0.0, rng.uniform(2, 7)], p=[0.25, 0.75])),
        ghost=float(rng.choice([0.0, 10 ** rng.uniform(-2.5, -1.2)], p=[0.3, 0.7])),
        outflow=float(rng.choice([0.0, 10 ** rng.uniform(-2.0, -0.5)], p=[0.2, 0.8])),
        clicks=float(rng.choice([0.0, 10 ** rng.uniform(-1.2, 0.2)], p=[0.3, 0.7])),
        noise_db=rng.uniform(-60, -27),
        gain_db=rng.uniform(-6, 4),
        dynamic_range_db=rng.uniform(22, 42),
        reject=rng.uniform(0.0, 0.25),
        gamma=rng.uniform(0.8, 1.5),
        columns_per_s=rng.uniform(150, 500),
        bins=int(rng.choice([128, 192, 256])),
        smoothing_px=(rng.uniform(0, 1.2), rng.uniform(0, 0.8)),
    )


def draw_busy_look(rng: np.random.Generator, look: SpectrumLook) -> SpectrumLook:
    """Return a look with a stronger ghost, a regurgitant jet or interference, each by chance."""
    return replace(
        look,
        ghost=float(rng.choice([look.ghost, 10 ** rng.uniform(-1.5, -0.5)], p=[0.6, 0.4])),
        regurgitation=float(rng.choice([0.0, 10 ** rng.uniform(-2.0, 0.0)], p=[0.7, 0.3])),
        interference=float(rng.choice([0.0, 10 ** rng.uniform(-1.5, 0.0)], p=[0.8, 0.2])),
    )


def spectrum_image(
    rng: np.random.Generator, layout: TraceLayout, beats: Beats, look: SpectrumLook
) -> NDArray[np.float32]:
    """Return the (height, width) brightness in [0, 1] of the strip."""
    times_s = np.arange(layout.width) * layout.seconds_per_px
    rows = np.arange(layout.top, layout.top + layout.height)
    velocity = (layout.baseline_row - rows) * layout.cm_s_per_px * (1 if layout.upward else -1)
    power = _power(rng, velocity, times_s, beats, look, layout.height * layout.cm_s_per_px)
    speckle = _speckle(rng, layout, look)
    level_db = 10 * np.log10(power * speckle + 10 ** (look.noise_db / 10) * _speckle(rng, layout, look) + 1e-9)
    grey = np.clip((level_db + look.gain_db) / look.dynamic_range_db + 1, 0, 1)
    grey = np.clip((grey - look.reject) / (1 - look.reject), 0, 1) ** look.gamma
    across, down = look.smoothing_px
    return ndimage.gaussian_filter(grey, (down, across)).astype(np.float32)


def _power(
    rng: np.random.Generator, velocity: NDArray, times_s: NDArray, beats: Beats, look: SpectrumLook, range_cm_s: float
) -> NDArray:
    """Return the (V, T) mean power of inflow, its ghost, outflow (wrapped where it leaves the scale), walls, clicks."""
    inflow, outflow = beats.inflow_cm_s(times_s), beats.outflow_envelope_cm_s(times_s)
    step_s = times_s[1] - times_s[0]
    slowest = ndimage.minimum_filter1d(inflow, 2 * round(look.window_s / 2 / step_s) + 1)
    grain = ndimage.gaussian_filter1d(rng.normal(size=len(times_s)), 0.004 / step_s) * np.sqrt(0.014 / step_s)
    ragged = inflow + look.ragged_cm_s * grain * (inflow > 10)
    power = _flow(velocity, ragged, slowest, look)
    if look.ghost:
        power += look.ghost * ndimage.gaussian_filter(_flow(-velocity, ragged, slowest, look), (3, 1))
    grainy = ndimage.gaussian_filter(rng.exponential(1.0, power.shape), (1.2, 1.2)) ** 2
    for shift in (0.0, range_cm_s):
        power += look.outflow * grainy * ndimage.gaussian_filter(_broad(shift - velocity, outflow), (4, 4))
    power += _walls(rng, velocity, times_s, beats, look) + _clicks(rng, velocity, times_s, beats, look)
    if look.regurgitation:
        # Beyond every scale, so wrapped over all of it; weaker towards the fastest.
        fading = 1 - 0.5 * np.abs(velocity) / np.abs(velocity).max()
        power += look.regurgitation * grainy * fading[:, None] * (outflow > 0.15 * beats.outflow_cm_s)
    if look.interference:
        power += look.interference * (rng.random(len(times_s)) < 0.01)
    if look.wall_filter_cm_s:
        power *= 1 - 0.995 * np.exp(-((velocity / look.wall_filter_cm_s) ** 4))[:, None]
    return power


def _flow(velocity: NDArray, envelope: NDArray, slowest: NDArray, look: SpectrumLook) -> NDArray:
    """Return the power of laminar flow: a bright band whose outer edge, at half its power, is the envelope.

    Within the time of one spectrum the velocity changes: on steep slopes the band reaches down to the `slowest`.
    """
    v, top = velocity[:, None], envelope[None]
    outer = 1 / (1 + np.exp(np.clip((v - top) / (0.4 * look.edge_cm_s), -40, 40)))
    inner_at = slowest[None] * (1 - look.band) - 3
    inner = 1 / (1 + np.exp(np.clip((inner_at - v) / (2 + 0.05 * top), -40, 40)))
    beyond = look.broadening * np.exp(-np.clip(v - top, 0, None) / 4.0) * (v > top)
    return np.where((v > 0) & (top > 3), (look.fill + (1 - look.fill) * inner) * outer + beyond * (v - top < 14), 0.0)


def _broad(velocity: NDArray, envelope: NDArray) -> NDArray:
    """Return the power of flow that is not laminar at the sample volume: all velocities up to the envelope."""
    v, top = velocity[:, None], envelope[None]
    return np.where((v > 0) & (top > 5), (0.25 + 0.75 * v / np.maximum(top, 1)) * (v < top), 0.0)


def _walls(rng: np.random.Generator, velocity: NDArray, times_s: NDArray, beats: Beats, look: SpectrumLook) -> NDArray:
    """Return the power of moving walls: fast in early filling, in atrial contraction, and in systole, slow between."""
    speed = np.full_like(times_s, 2.0)
    for wave in beats.waves:
        speed += rng.uniform(3, 9) * np.exp(-0.5 * ((times_s - wave.time_s) / 0.05) ** 2)
    for r_s, systole_s in zip(beats.r_times_s, beats.systole_s, strict=False):
        speed += rng.uniform(2, 6) * np.exp(-0.5 * ((times_s - r_s - 0.4 * systole_s) / (0.3 * systole_s)) ** 2)
    return look.walls * np.exp(-((np.abs(velocity)[:, None] / (speed + 2.5)) ** 2))


def _clicks(rng: np.random.Generator, velocity: NDArray, times_s: NDArray, beats: Beats, look: SpectrumLook) -> NDArray:
    """Return the power of the valves' clicks: one to three columns, on both sides, that fade away from the baseline."""
    power = np.zeros((len(velocity), len(times_s)))
    if not look.clicks:
        return power
    opening = [wave.time_s - wave.rise_s for wave in beats.waves if wave.name == "E"]
    closing = [r_s + 0.03 for r_s in beats.r_times_s]
    for moment in [*opening, *closing, *(r + s for r, s in zip(beats.r_times_s, beats.systole_s, strict=False))]:
        if rng.random() < 0.6:
            width_s, reach_cm_s = rng.uniform(0.001, 0.005), rng.uniform(8, 45)
            column = np.exp(-0.5 * ((times_s - moment - rng.normal(0, 0.008)) / width_s) ** 2)
            power += look.clicks * rng.uniform(0.2, 1) * np.exp(-np.abs(velocity) / reach_cm_s)[:, None] * column
    return power


def _speckle(rng: np.random.Generator, layout: TraceLayout, look: SpectrumLook) -> NDArray:
    """Return (height, width) factors around 1: exponential, of the grain of the scanner's own columns and bins."""
    columns = max(2, round(layout.width * layout.seconds_per_px * look.columns_per_s))
    native = ndimage.gaussian_filter(rng.exponential(1.0, (look.bins, columns)), (0.4, 0.5))
    zoom = (layout.height / look.bins, layout.width / columns)
    return np.maximum(ndimage.zoom(native, zoom, order=1, grid_mode=True, mode="nearest"), 1e-4)
