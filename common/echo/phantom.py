"""Simulated echocardiograms in the layouts of EchoNet-Dynamic, CAMUS and HMC-QU, with an exact ejection fraction."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from . import phantom_writers as echo_layouts
from .phantom_heart import Heart, Probe

# One in ten cases each is for validation and test, at least two.
HELD_OUT_SHARE = 0.1


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
        held_out: share of the cases for validation, and again for test ("echonet").
        variation: how far everything but the EF and the phase varies, from 0 (one heart, one view) to 1.

    Raises:
        ValueError: if the layout is unknown or there is no case.
    """
    if layout not in _WRITERS or cases < 1:
        raise ValueError(f"layout, cases: expected one of {', '.join(_WRITERS)} and a case, found {layout!r}, {cases}")
    root = Path(directory)
    settings = {"size": size, "frames": frames, "rate": frame_rate_hz, "held_out": held_out}
    rows = []
    for index in tqdm(range(cases), desc=f"simulating {layout}"):
        generator = np.random.default_rng((seed, index))
        heart, probe = random_case(generator, size, ef_percent, variation)
        rows.append(_WRITERS[layout](root, index, cases, heart, probe, generator, settings))
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
