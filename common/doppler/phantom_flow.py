"""Transmitral flow, beat after beat: when E and A peak, how high, and the velocity envelope between."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Rhythm = str
RHYTHMS = ("sinus", "fusion", "fibrillation")


@dataclass(frozen=True)
class Wave:
    """One inflow wave: its name (E or A), time and height of the peak, and the times of its rise and fall."""

    name: str
    time_s: float
    velocity_cm_s: float
    rise_s: float
    fall_s: float


@dataclass(frozen=True)
class Flow:
    """The flow on one screen: inflow waves (positive), times of the R peaks, and systolic outflow in cm/s."""

    duration_s: float
    waves: list[Wave]
    r_times_s: list[float]
    outflow_cm_s: float
    rhythm: Rhythm
    systole_s: list[float] = field(default_factory=list)


def draw_flow(rng: np.random.Generator, duration_s: float, rhythm: Rhythm) -> Flow:
    """Return a random flow: sinus rhythm, fast sinus rhythm with fused waves, or atrial fibrillation without A.

    Args:
        rng: source of chance.
        duration_s: time on the screen.
        rhythm: one of RHYTHMS.
    """
    heart_rate = {"sinus": (52, 88), "fusion": (96, 112), "fibrillation": (60, 105)}[rhythm]
    interval_s = 60 / rng.uniform(*heart_rate)
    e_cm_s = rng.uniform(50, 125)
    a_cm_s = np.clip(e_cm_s / rng.uniform(0.65, 2.0), 30, 115)
    spread = 0.18 if rhythm == "fibrillation" else 0.03
    rise_s, fall_s = rng.uniform(0.06, 0.085), rng.uniform(0.13, 0.22)
    waves, r_times, systoles = [], [], []
    r_s = -rng.uniform(0, interval_s)
    while r_s < duration_s + 0.5:
        beat_s = interval_s * float(np.clip(rng.normal(1, spread), 0.6, 1.5))
        systole_s = 0.36 * np.sqrt(beat_s)
        r_times.append(r_s)
        systoles.append(systole_s)
        # Filling begins after isovolumic relaxation; the atrium contracts just before the next R peak.
        e_height = e_cm_s * rng.normal(1, 0.1 if rhythm == "fibrillation" else 0.035)
        e_time_s, a_time_s = r_s + systole_s + 0.12, r_s + beat_s - 0.055
        # However fast the heart, both peaks stay visible: neither wave covers the other's top.
        gap_s = max(a_time_s - e_time_s, 0.05)
        waves.append(Wave("E", e_time_s, e_height, rise_s, min(fall_s, 1.2 * gap_s)))
        if rhythm != "fibrillation":
            a_rise_s = min(rng.uniform(0.065, 0.08), 0.9 * gap_s)
            a_height = a_cm_s * rng.normal(1, 0.035)
            waves.append(Wave("A", max(a_time_s, e_time_s + gap_s), a_height, a_rise_s, 0.075))
        r_s += beat_s
    return Flow(duration_s, waves, r_times, rng.uniform(50, 110), rhythm, systoles)


def inflow_cm_s(flow: Flow, times_s: NDArray) -> NDArray:
    """Return the (N,) inflow envelope: at each time the fastest wave, so that each peak keeps its height."""
    envelope = np.zeros_like(times_s)
    for wave in flow.waves:
        since = times_s - wave.time_s
        phase = np.clip(np.where(since < 0, -since / wave.rise_s, since / wave.fall_s), 0, 1)
        envelope = np.maximum(envelope, wave.velocity_cm_s * np.cos(0.5 * np.pi * phase) ** 1.3)
    return envelope


def outflow_cm_s(flow: Flow, times_s: NDArray) -> NDArray:
    """Return the (N,) outflow envelope of systole, positive although it flows away."""
    envelope = np.zeros_like(times_s)
    for r_s, systole_s in zip(flow.r_times_s, flow.systole_s, strict=True):
        phase = np.clip((times_s - r_s - 0.06) / (systole_s - 0.06), 0, 1)
        envelope = np.maximum(envelope, flow.outflow_cm_s * np.sin(np.pi * phase) ** 0.8)
    return envelope


def ecg_mv(flow: Flow, times_s: NDArray) -> NDArray:
    """Return an (N,) ECG: P (not in fibrillation), QRS and T as Gaussians around each R peak."""
    trace = np.zeros_like(times_s)
    shapes = [(-0.16, 0.022, 0.15), (-0.025, 0.008, -0.12), (0, 0.010, 1.0), (0.028, 0.010, -0.22), (0.27, 0.045, 0.28)]
    for r_s in [*flow.r_times_s, flow.r_times_s[-1] + 0.8]:
        for delay_s, width_s, height_mv in shapes[1 if flow.rhythm == "fibrillation" else 0 :]:
            trace += height_mv * np.exp(-0.5 * ((times_s - r_s - delay_s) / width_s) ** 2)
    return trace
