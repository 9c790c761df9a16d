"""What, by scale and shape, is no mitral inflow, and what of a reading is doubtful: said beside the measurements."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .beats import Beat
from .naming import ECG_COSTS, against_ecg

# Wide limits: patients have an E of 40 to 190 cm/s and an A of 30 to 110. Tissue moves at 5 to 20; a stenotic valve
# lets blood pass at 2.5 m/s, and continuous wave Doppler of 3 m/s is another jet.
LIMITS = {
    "e_mean_cm_s": ("E", "cm/s", 25.0, 250.0),
    "a_mean_cm_s": ("A", "cm/s", 15.0, 250.0),
    "deceleration_ms": ("deceleration time", "ms", 50.0, 450.0),
    # The diastolic wave of a pulmonary vein, taken for an A, lasts longer than any A.
    "a_duration_ms": ("duration of A", "ms", 60.0, 210.0),
    "heart_rate_bpm": ("heart rate", "a minute", 30.0, 220.0),
}
# With every breath tricuspid inflow changes by a quarter and more, mitral inflow by less; beats of fibrillation too.
MOST_CHANGE, LEAST_BEATS = 0.45, 3
# An E rises in 60 to 110 ms and falls in 120 to 300, an A in about the same time on both sides; backwards they do not.
MOST_RISE_OVER_FALL = 1.1
# Beats of the screens that the weights were trained on, and the columns that a second of them had at least.
TRAINED_BPM = (45.0, 120.0)
LEAST_PX_PER_S = 21.0
# A peak that is nearer to the end of the velocity scale than this part of the trace's height may be cut off or wrapped.
AT_END = 0.03
# A baseline further outside the trace than this part of its height.
OUTSIDE = 0.02
# Waves that look alike, E and A named by turns, and follow each other like that may be one wave a beat.
ALIKE, EVEN, LONGEST_AE_S = 0.15, 0.2, 0.47
# Intervals of fibrillation vary by more than this, of sinus rhythm by less.
REGULAR, ENOUGH_WAVES = 0.06, 4
# A hardly changes from beat to beat, nor does the systole after it: largest over smallest velocity, longest over
# shortest time to the next E.
MOST_A_CHANGE, MOST_AE_CHANGE, ENOUGH_A = 1.45, 1.2, 3
# The rate of the R peaks, over that of E. It may be lower, where R peaks were missed.
MOST_RATE_BY_ECG = 1.25
# Waves whose time since the R peak is not that of their name, over all.
MOST_AGAINST_ECG = 1 / 3
# Tops that fit into no beat, over the waves that do.
MOST_UNUSED = 1 / 3


def unlike_inflow(means: Mapping[str, Any], beats: Sequence[Beat], rise_over_fall: float = math.nan) -> str:
    """Return in words what is unlike mitral inflow; empty if nothing is.

    Args:
        means: of :func:`common.doppler.summarise_beats`.
        beats: on which they rest.
        rise_over_fall: of the waves, see :func:`common.doppler.doppler_row`; NaN if not seen.
    """
    strange = [
        f"{name} {means[key]:.0f} {unit}"
        for key, (name, unit, least, most) in LIMITS.items()
        if means[key] is not None and not least <= means[key] <= most
    ]
    e = [beat.e.velocity_cm_s for beat in beats if beat.e and beat.a and math.isfinite(beat.e.velocity_cm_s)]
    if len(e) >= LEAST_BEATS and max(e) > 0 and 1 - min(e) / max(e) > MOST_CHANGE:
        strange.append(f"E of beats with an A from {min(e):.0f} to {max(e):.0f} cm/s, as of a tricuspid valve")
    if rise_over_fall > MOST_RISE_OVER_FALL:
        strange.append(f"waves rise {rise_over_fall:.1f} times as long as they fall, as in a trace that runs backwards")
    return f"unlike mitral inflow: {', '.join(strange)}" if strange else ""


def reading_doubts(means: Mapping[str, Any], beats: Sequence[Beat], row: Mapping[str, Any]) -> list[str]:
    """Return in words why the waves of a trace may have been read wrongly.

    Args:
        means: of :func:`common.doppler.summarise_beats`.
        beats: on which they rest.
        row: of :func:`common.doppler.doppler_row`.
    """
    doubts = []
    if row["rainbow"]:
        doubts.append("the trace is in colours of a rainbow, in which brighter is not stronger: export it in grey")
    zero, _, seconds_per_px = row["calibration"]
    _, top, _, bottom = row["box"]
    height = bottom - top + 1
    if zero < top - OUTSIDE * height or zero > bottom + OUTSIDE * height:
        doubts.append(f"the baseline, row {zero:.0f}, lies outside the trace, rows {top} to {bottom}")
    if row["seen_px_per_s"] < LEAST_PX_PER_S:
        seconds = (row["box"][2] - row["box"][0] + 1) * seconds_per_px
        doubts.append(f"{seconds:.0f} s on one screen are more than the network can see apart: take a faster sweep")
    rate = means["heart_rate_bpm"]
    if rate and not TRAINED_BPM[0] <= rate <= TRAINED_BPM[1]:
        doubts.append(f"heart rate {rate:.0f} a minute: trained were {TRAINED_BPM[0]:.0f} to {TRAINED_BPM[1]:.0f}")
    beats_px = np.diff(row["r_peaks"])
    of_ecg = 60 / (float(np.median(beats_px)) * seconds_per_px) if len(beats_px) else math.nan
    if rate and of_ecg > MOST_RATE_BY_ECG * rate:
        doubts.append(f"heart rate {rate:.0f} a minute by E, {of_ecg:.0f} by the ECG: waves may be missing or misnamed")
    waves = sorted((peak, name) for beat in beats for peak, name in zip(beat, "EA", strict=True) if peak)
    against = _against_ecg(waves, row["r_peaks"], seconds_per_px)
    if against > 1 and against >= MOST_AGAINST_ECG * len(waves):
        doubts.append(
            f"{against} of {len(waves)} waves do not fit the ECG: another flow, a reversed trace or wrong names"
        )
    cut = [name for peak, name in waves if min(peak.y - top, bottom - peak.y) < AT_END * height]
    if cut:
        doubts.append(
            f"{len(cut)} {' and '.join(sorted(set(cut), reverse=True))} at the end of the velocity scale may be cut "
            "off or wrapped: take a larger scale"
        )
    if row["unused_tops"] > 0 and row["unused_tops"] >= MOST_UNUSED * len(waves):
        doubts.append(f"tops that look like waves and fit into no beat: {row['unused_tops']}; waves may be missing")
    columns = {name: [peak.x for peak, of in waves if of == name] for name in "EA"}
    intervals = np.diff(columns["E"])
    if not columns["A"] and len(intervals) >= ENOUGH_WAVES - 1 and intervals.std() < REGULAR * intervals.mean():
        doubts.append("one wave in every regular beat: E and A in one, no A, or another flow than mitral inflow")
    a = [peak.velocity_cm_s for peak, name in waves if name == "A"]
    if len(a) >= ENOUGH_A and max(a) > MOST_A_CHANGE * min(a):
        doubts.append(f"A from {min(a):.0f} to {max(a):.0f} cm/s: one of them may be an E")
    to_next_e = _gaps(waves, "AE")
    if len(to_next_e) > 1 and max(to_next_e) > MOST_AE_CHANGE * min(to_next_e):
        doubts.append("A at uneven distances from the next E: some of them may be an E, as in fibrillation")
    if _are_alike(waves, seconds_per_px):
        doubts.append("E and A are alike and evenly spaced: they may be the one wave of twice as many beats")
    return doubts


def _against_ecg(waves: Sequence[tuple[Any, str]], r_peaks: Sequence[float], seconds_per_px: float) -> int:
    """Return how many waves are as far from where the ECG has waves of their name as to cost half the most or more."""
    times_s = seconds_per_px * np.array([[peak.x] * 2 for peak, _ in waves]).reshape(-1, 2)
    costs = against_ecg(times_s, seconds_per_px * np.array(r_peaks))
    return sum(cost["EA".index(name)] >= ECG_COSTS / 2 for cost, (_, name) in zip(costs, waves, strict=True))


def _gaps(waves: Sequence[tuple[Any, str]], names: str) -> list[float]:
    """Return the columns between neighbouring waves of these two names."""
    return [after.x - before.x for (before, one), (after, other) in pairwise(waves) if one + other == names]


def _are_alike(waves: Sequence[tuple[Any, str]], seconds_per_px: float) -> bool:
    gaps = {names: [columns * seconds_per_px for columns in _gaps(waves, names)] for names in ("EA", "AE")}
    if min(map(len, gaps.values())) < 2:
        return False
    ea_s, ae_s = (max(float(np.median(gaps[names])), 1e-3) for names in ("EA", "AE"))
    e, a = (float(np.mean([peak.velocity_cm_s for peak, of in waves if of == name])) for name in "EA")
    return ae_s < LONGEST_AE_S and abs(math.log(ea_s / ae_s)) < EVEN and abs(math.log(e / a)) < ALIKE
