"""What, by scale and shape, is no mitral inflow: said in words beside the measurements."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .beats import Beat

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
