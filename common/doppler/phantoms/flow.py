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


@dataclass(frozen=True)
class InflowWave:
    """One wave of mitral inflow with the slopes that a reader measures.

    Attributes:
        name: "E" or "A"; "L" for mid-diastolic flow, which nobody measures.
        time_s: of the peak.
        velocity_cm_s: of the peak.
        rise_s: from zero to the peak.
        fall_s: from the peak along the straight slope to zero: the deceleration time of an E.
        step: height, as fraction of the peak, below which the slope is three times flatter; 0 without a step.
        end_s: when the valve closes.
        rounding: part of `fall_s` over which the top turns into the straight slope.
    """

    name: str
    time_s: float
    velocity_cm_s: float
    rise_s: float
    fall_s: float
    step: float = 0.0
    end_s: float = np.inf
    rounding: float = 0.1

    def envelope_cm_s(self, times_s: NDArray) -> NDArray:
        """Return the (N,) velocities of the wave: a rounded top on a steep rise and a straight fall."""
        since = times_s - self.time_s
        rise = np.sin(0.5 * np.pi * np.clip(1 + since / self.rise_s, 0, 1)) ** 1.5
        rounding = self.rounding * self.fall_s
        straight = self.fall_s - rounding / 2  # so that the line, extended, meets zero at fall_s
        fall = np.where(
            since < rounding, 1 - since**2 / (2 * rounding * straight), 1 - (since - rounding / 2) / straight
        )
        fall = np.where(fall < self.step, self.step - (self.step - fall) / 3, fall)
        is_open = np.clip((self.end_s - times_s) / 0.04, 0, 1)
        return self.velocity_cm_s * np.where(since < 0, rise, np.clip(fall, 0, 1)) * is_open


@dataclass(frozen=True)
class Beats:
    """Beats on a screen: their waves, R peaks, ends of systole, and what the valves and the outflow tract do.

    Attributes:
        waves: in order of time; they may lie outside the screen.
        r_times_s: R peaks, one more than there are beats.
        systole_s: length of each systole.
        outflow_cm_s: peak velocity of systolic outflow.
        rhythm: one of RHYTHMS.
    """

    waves: list[InflowWave]
    r_times_s: list[float]
    systole_s: list[float]
    outflow_cm_s: float
    rhythm: Rhythm

    def inflow_cm_s(self, times_s: NDArray) -> NDArray:
        """Return the (N,) envelope: at each time the fastest wave, so that each peak keeps its height."""
        return np.max([np.zeros_like(times_s), *(wave.envelope_cm_s(times_s) for wave in self.waves)], axis=0)

    def outflow_envelope_cm_s(self, times_s: NDArray) -> NDArray:
        """Return the (N,) outflow of systole, positive although it flows away."""
        flow = Flow(0.0, [], self.r_times_s[:-1], self.outflow_cm_s, self.rhythm, self.systole_s)
        return outflow_cm_s(flow, times_s)

    def ecg_mv(self, times_s: NDArray) -> NDArray:
        """Return the (N,) ECG."""
        return ecg_mv(Flow(0.0, [], self.r_times_s, 0.0, self.rhythm), times_s)


@dataclass(frozen=True)
class Habits:
    """What differs between hearts besides their waves.

    Attributes:
        systole: its length in s where a beat lasts 1 s.
        relaxation_s: from the end of systole to the begin of E.
        lead_s: by which A comes earlier before the R peak.
        early: fraction of the beats that come early.
        relaxing: height of a wave before E, as fraction of E; 0 without.
    """

    systole: float = 0.36
    relaxation_s: float = 0.06
    lead_s: float = 0.0
    early: float = 0.0
    relaxing: float = 0.0


def _draw_habits(rng: np.random.Generator) -> Habits:
    return Habits(
        rng.uniform(0.32, 0.4),
        rng.uniform(0.04, 0.11),
        rng.uniform(-0.03, 0.05),
        float(rng.choice([0.0, 0.12], p=[0.75, 0.25])),
        float(rng.choice([0.0, rng.uniform(0.15, 0.35)], p=[0.8, 0.2])),
    )


def draw_beats(rng: np.random.Generator, duration_s: float, more: np.random.Generator | None = None) -> Beats:
    """Return random beats as patients of an echo laboratory have them, from before the screen to after it.

    E 45 to 190 cm/s, E/A 0.6 to 2.3, deceleration time 110 to 300 ms; breathing changes E by up to a sixth to either
    side; fibrillation has no A; in fast hearts A sits on the slope of E; some have an L wave or flow in diastasis.
    With `more`, a second source of chance, systole, relaxation and the time from A to the R peak differ between
    patients as widely as in life, some beats come early, and some relax with a small wave of flow before E.
    """
    habits = _draw_habits(more) if more else Habits()
    rhythm = str(rng.choice(RHYTHMS, p=(0.72, 0.14, 0.14)))
    interval_s = 60 / rng.uniform(*{"sinus": (48, 92), "fusion": (92, 118), "fibrillation": (58, 110)}[rhythm])
    e_cm_s, breath, breath_phase = 45 + 145 * rng.beta(1.6, 2.8), rng.uniform(0, 0.17), rng.uniform(0, 6)
    a_cm_s = float(np.clip(e_cm_s / rng.uniform(0.6, 2.3), 30, 110))
    rise_s, fall_s, step = rng.uniform(0.055, 0.1), rng.uniform(0.11, 0.3), rng.choice([0.0, rng.uniform(0.25, 0.6)])
    a_rise_s, a_fall_s = rng.uniform(0.045, 0.08), rng.uniform(0.055, 0.1)
    e_top, a_top = rng.uniform(0.05, 0.3), rng.uniform(0.05, 0.4)
    has_l, spread = rng.random() < 0.12, 0.2 if rhythm == "fibrillation" else 0.03
    waves, r_times, systoles = [], [], []
    r_s = -rng.uniform(0.2, 1.2) * interval_s
    while r_s < duration_s + 0.5:
        beat_s = interval_s * float(np.clip(rng.normal(1, spread), 0.65, 1.6))
        beat_s *= 0.7 if more and rhythm == "sinus" and more.random() < habits.early else 1.0
        systole_s = habits.systole * np.sqrt(beat_s)
        r_times.append(r_s)
        systoles.append(systole_s)
        height = float(e_cm_s * (1 + breath * np.sin(1.4 * r_s + breath_phase)) * rng.normal(1, 0.03))
        e_time_s, closed_s = float(r_s + systole_s + habits.relaxation_s + rise_s), r_s + beat_s + 0.03
        e = InflowWave("E", e_time_s, height, rise_s, fall_s * rng.normal(1, 0.04), step, closed_s, e_top)
        waves.append(e)
        if habits.relaxing:
            moment = e_time_s - rise_s - 0.02 - 0.5 * habits.relaxation_s
            waves.append(InflowWave("L", moment, habits.relaxing * e_cm_s, 0.03, 0.05))
        r_s += beat_s
        if has_l and beat_s > 0.8:
            waves.append(InflowWave("L", e.time_s + 0.9 * fall_s + 0.1, 0.22 * e_cm_s, 0.08, 0.14, 0.0, closed_s))
        a = InflowWave(
            "A",
            r_s - rng.uniform(0.05, 0.07) - habits.lead_s,
            a_cm_s * rng.normal(1, 0.05),
            a_rise_s,
            a_fall_s,
            rounding=a_top,
        )
        # Where one covers the other's top, nobody could measure two: such waves are one, an E.
        if rhythm != "fibrillation" and _is_apart(e, a) and _is_apart(a, e):
            waves.append(a)
    return Beats(waves, [*r_times, r_s], systoles, rng.uniform(50, 120), rhythm)


def _is_apart(covering: InflowWave, covered: InflowWave) -> bool:
    top_s = covered.time_s + np.array([-0.015, 0.0, 0.015])
    return bool(covering.envelope_cm_s(top_s).max() < 0.8 * covered.velocity_cm_s)
