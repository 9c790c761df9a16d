"""Peaks of one image to beats: each E with the A that follows it, and their means."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

LONGEST_GAP_S = 1.2
LONGEST_GAP_BEATS = 0.9
LONGEST_INTERVAL = 1.5
# A wave that is more likely wrong than right in position or name is listed, and counts in no mean.
SURE = 0.5


class Peak(NamedTuple):
    """A peak: image pixels, confidence in [0, 1], velocity (NaN without calibration), duration (NaN if not seen).

    The duration is the deceleration time of an E, or how long an A lasts.
    """

    x: float
    y: float
    confidence: float
    velocity_cm_s: float = math.nan
    duration_s: float = math.nan


class Beat(NamedTuple):
    """An E wave with its A wave; either may be missing, but not both."""

    e: Peak | None
    a: Peak | None

    @property
    def e_to_a(self) -> float:
        """Return the ratio of the velocities; NaN unless both waves are there and calibrated."""
        return self.e.velocity_cm_s / self.a.velocity_cm_s if self.e and self.a and self.a.velocity_cm_s else math.nan


def pair_beats(e_peaks: Sequence[Peak], a_peaks: Sequence[Peak], seconds_per_px: float = math.nan) -> list[Beat]:
    """Return the beats in order of time.

    An A belongs to the last E before it, the nearest A to that E if there are several, unless it is further away than
    0.9 of the median beat or 1.2 s: then an E between them was missed. What stays alone is a beat with one wave.

    Args:
        e_peaks, a_peaks: peaks of one image, in any order.
        seconds_per_px: of the columns; NaN if unknown.
    """
    e_sorted, a_left = sorted(e_peaks, key=lambda p: p.x), sorted(a_peaks, key=lambda p: p.x)
    limit_px = _longest_gap_px(e_sorted, seconds_per_px)
    beats = []
    for index, e in enumerate(e_sorted):
        end = e_sorted[index + 1].x if index + 1 < len(e_sorted) else math.inf
        following = [a for a in a_left if e.x < a.x < end and a.x - e.x <= limit_px]
        beats.append(Beat(e, following[0] if following else None))
        a_left = [a for a in a_left if not following or a is not following[0]]
    beats += [Beat(None, a) for a in a_left]
    return sorted(beats, key=_time)


def summarise_beats(beats: Sequence[Beat], seconds_per_px: float = math.nan) -> dict[str, Any]:
    """Return what goes into a report: means of E and A in cm/s over their beats, E/A, and how many beats they rest on.

    Waves with a confidence below 0.5 count in none of these; `doubtful_waves` is their number.
    E/A is the mean E over the mean A of the beats that have both. Deceleration time and duration of A are means in ms
    over the beats that show them; `_sd` is the spread of each over the beats (n - 1). What cannot be had is None.
    """
    sure = sure_beats(beats)
    e_peaks, a_peaks = [beat.e for beat in sure if beat.e], [beat.a for beat in sure if beat.a]
    e, a = ([peak.velocity_cm_s for peak in peaks] for peaks in (e_peaks, a_peaks))
    decelerations, durations = (
        [1000 * peak.duration_s for peak in peaks if math.isfinite(peak.duration_s)] for peaks in (e_peaks, a_peaks)
    )
    both = [(beat.e.velocity_cm_s, beat.a.velocity_cm_s) for beat in sure if beat.e and beat.a]
    mean_e, mean_a = (_mean([pair[index] for pair in both]) for index in range(2))
    return {
        "e_mean_cm_s": _known(_mean(e)),
        "a_mean_cm_s": _known(_mean(a)),
        "e_to_a": _known(mean_e / mean_a if mean_a else math.nan),
        "e_waves": len(e),
        "a_waves": len(a),
        "beats_with_both": len(both),
        "doubtful_waves": sum(bool(wave) for beat in beats for wave in beat) - len(e) - len(a),
        "e_sd_cm_s": _known(_spread(e)),
        "a_sd_cm_s": _known(_spread(a)),
        "deceleration_ms": _known(_mean(decelerations)),
        "deceleration_sd_ms": _known(_spread(decelerations)),
        "a_duration_ms": _known(_mean(durations)),
        "a_duration_sd_ms": _known(_spread(durations)),
        "heart_rate_bpm": _known(heart_rate_bpm([peak.x for peak in e_peaks], seconds_per_px)),
    }


def sure_beats(beats: Sequence[Beat]) -> list[Beat]:
    """Return the beats with those waves alone whose confidence is at least 0.5."""
    kept = [Beat(*(wave if wave and wave.confidence >= SURE else None for wave in beat)) for beat in beats]
    return [beat for beat in kept if beat.e or beat.a]


def heart_rate_bpm(e_columns: Sequence[float], seconds_per_px: float) -> float:
    """Return 60 over the mean interval between neighbouring E peaks, NaN with fewer than two or without a time scale.

    An interval longer than one and a half times the median skips a beat and is left out.
    """
    intervals = np.diff(np.sort(e_columns)) * seconds_per_px
    used = intervals[intervals <= LONGEST_INTERVAL * np.median(intervals)] if len(intervals) else intervals
    return float(60 / used.mean()) if len(used) else math.nan


def _longest_gap_px(e_sorted: Sequence[Peak], seconds_per_px: float) -> float:
    intervals = np.diff([peak.x for peak in e_sorted])
    by_beat = LONGEST_GAP_BEATS * float(np.median(intervals)) if len(intervals) else math.inf
    by_time = LONGEST_GAP_S / seconds_per_px if math.isfinite(seconds_per_px) else math.inf
    return min(by_beat, by_time)


def _time(beat: Beat) -> float:
    first = beat.e or beat.a
    return first.x if first else math.inf


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _known(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
