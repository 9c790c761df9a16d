"""Simulated echocardiograms in the layouts of EchoNet-Dynamic, CAMUS and HMC-QU, with an exact ejection fraction."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .phantoms import writers as echo_layouts
from .phantoms.heart import Heart, Probe
from .phantoms.look import draw_look

# One in ten cases each is for validation and test, at least two.
HELD_OUT_SHARE = 0.1
STYLES = ("plain", "clinical")
FRAME_RATES_HZ = (20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 80.0)


Writer = Callable[[Path, int, int, Heart, Probe, np.random.Generator, dict], dict[str, Any]]
_WRITERS: dict[str, Writer] = {
    "echonet": echo_layouts.write_echonet,
    "camus": echo_layouts.write_camus,
    "camus_mhd": echo_layouts.write_camus_mhd,
    "hmc_qu": echo_layouts.write_hmc_qu,
}
_FINISHERS: dict[str, Callable[[Path, list[dict[str, Any]]], None]] = {
    "echonet": echo_layouts.finish_echonet,
    "camus": echo_layouts.finish_camus,
    "camus_mhd": echo_layouts.finish_camus,
    "hmc_qu": echo_layouts.finish_hmc_qu,
}


def simulate_echo(
    directory: str | os.PathLike[str],
    cases: int = 60,
    seed: int = 0,
    layout: str = "echonet",
    size: int = 112,
    frames: tuple[int, int] = (100, 220),
    frame_rate_hz: float = 50.0,
    ef_percent: tuple[float, float] = (12.0, 78.0),
    held_out: float = HELD_OUT_SHARE,
    variation: float = 1.0,
    style: str = "plain",
) -> None:
    """Write simulated apical four-chamber echocardiograms as one of three public data sets.

    The left ventricle is half an ellipsoid whose volume falls by exactly the EF in its file; size, wall, heart rate,
    phase, place, tilt, depth, gain and noise vary from case to case and say nothing about the EF.

    Args:
        directory: the data set's folder.
        cases: number of patients, positive.
        seed: the same seed writes the same pictures.
        layout: "echonet" (AVI and CSV), "camus" (NIfTI), "camus_mhd" (the older MetaImage) or "hmc_qu" (AVI and Excel).
        size: rows and columns of a frame.
        frames: fewest and most frames of a video ("echonet").
        frame_rate_hz: frames a second.
        ef_percent: lowest and highest EF, uniform in between.
        held_out: fraction of the cases for validation, and again for test ("echonet").
        variation: how far everything but the EF and the phase varies, from 0 (one heart, one view) to 1; "plain" only.
        style: "plain" hearts in an ideal view, or "clinical" ones, with the beats, views, settings and artefacts that
            patients and scanners have, at 20 to 80 frames a second (`frames` then counts at `frame_rate_hz`).

    Raises:
        ValueError: if layout or style is unknown or there is no case.
    """
    if style not in STYLES:
        raise ValueError(f"style: expected {' or '.join(STYLES)}, found {style!r}")
    if layout not in _WRITERS or cases < 1:
        raise ValueError(f"layout, cases: expected one of {', '.join(_WRITERS)} and a case, found {layout!r}, {cases}")
    root = Path(directory)
    settings = {"size": size, "frames": frames, "rate": frame_rate_hz, "held_out": held_out}
    rows = []
    for index in tqdm(range(cases), desc=f"simulating {layout}"):
        generator = np.random.default_rng((seed, index))
        case = settings
        if style == "plain":
            heart, probe = random_case(generator, size, ef_percent, variation)
        else:
            heart, probe = clinical_case(generator, size, ef_percent)
            rate = float(generator.choice(FRAME_RATES_HZ))
            case = settings | {"rate": rate, "frames": [round(n * rate / frame_rate_hz) for n in frames]}
        rows.append(_WRITERS[layout](root, index, cases, heart, probe, generator, case))
    _FINISHERS[layout](root, rows)


def random_case(
    generator: np.random.Generator,
    size: int = 112,
    ef_percent: tuple[float, float] = (12.0, 78.0),
    variation: float = 1.0,
) -> tuple[Heart, Probe]:
    """Return a heart and a view of it; nothing but the motion tells the EF."""

    def around(low: float, high: float) -> float:
        return (low + high) / 2 + variation * float(generator.uniform(-0.5, 0.5)) * (high - low)

    heart = Heart(
        ef_percent=round(float(generator.uniform(*ef_percent)), 2),
        long_axis_mm=around(70, 92),
        radius_mm=around(20, 28),
        wall_mm=around(7, 11),
        heart_rate_bpm=around(50, 100),
        phase=float(generator.uniform()),
        tilt_rad=variation * float(np.clip(generator.normal(0, 0.1), -0.25, 0.25)),
        apex_mm=(around(0, 12), around(18, 28)),
    )
    probe = Probe(
        size=size,
        depth_mm=around(148, 180),
        half_angle_rad=around(0.65, 0.8),
        gain_db=variation * float(np.clip(generator.normal(0, 2), -4, 4)),
        noise_db=around(-50, -38),
    )
    return heart, probe


def clinical_case(
    generator: np.random.Generator, size: int = 112, ef_percent: tuple[float, float] = (12.0, 78.0)
) -> tuple[Heart, Probe]:
    """Return a heart and a view of it that vary as those of patients do; still, only the motion tells the EF."""

    def uniform(low: float, high: float) -> float:
        return float(generator.uniform(low, high))

    rate, radius = uniform(40, 140), uniform(17, 34)
    half_angle = uniform(0.55, 0.85)
    heart = Heart(
        ef_percent=round(uniform(*ef_percent), 2),
        long_axis_mm=float(np.clip(60 + 1.0 * radius + generator.normal(0, 6), 62, 110)),
        radius_mm=radius,
        wall_mm=uniform(6, 14),
        heart_rate_bpm=rate,
        phase=uniform(0, 1),
        tilt_rad=float(np.clip(generator.normal(0, 0.15), -0.4, 0.4)),
        apex_mm=(uniform(-6, 16), uniform(12, 32)),
        beat=_draw_beat(generator, rate),
        longitudinal_share=uniform(0.12, 0.4),
        offset_mm=uniform(0.0, 0.25) * radius,
        papillary=max(0.0, uniform(-0.1, 0.22)),
        chambers=uniform(0.75, 1.3),
        rocking_rad=float(generator.normal(0, 0.04)),
        drift_mm=uniform(0, 3),
        breath_s=uniform(2.5, 6),
        surroundings=10 ** (uniform(-52, -24) / 20),
        patchy_db=uniform(0, 6),
    )
    probe = Probe(
        size=size,
        depth_mm=uniform(1.0, 1.3) * max(140.0, heart.long_axis_mm + heart.apex_mm[1] + 30.0),
        half_angle_rad=half_angle,
        gain_db=float(np.clip(generator.normal(0, 4), -9, 9)),
        noise_db=uniform(-55, -30),
        mirrored=bool(generator.random() < 0.25),
        top_mm=uniform(-3, 6),
        look=draw_look(generator, half_angle),
    )
    return heart, probe


def _draw_beat(generator: np.random.Generator, rate_bpm: float) -> tuple[tuple[float, float], ...]:
    """Return a volume curve: systole takes more of a fast beat, early and atrial filling share the volume anyhow."""
    systole = float(np.clip(0.22 + 0.0018 * rate_bpm + generator.normal(0, 0.03), 0.25, 0.5))
    early, rest = generator.uniform(0.4, 0.9), 1 - systole
    return (
        (0.0, 0.0),
        (0.22 * systole, generator.uniform(0.08, 0.22)),
        (systole, 1.0),
        (systole + 0.17 * rest, 1 - 0.4 * early),
        (systole + 0.4 * rest, 1 - 0.95 * early),
        (systole + 0.77 * rest, 1 - early),
        (1.0, 0.0),
    )
