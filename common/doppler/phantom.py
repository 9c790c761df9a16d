"""Simulated transmitral Doppler screens with known peaks, as DICOM or PNG, with labels.csv."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..files import replacing, write_csv
from .phantom_screen import DopplerScreen, draw_screen
from .phantom_writers import write_doppler_dicom

FORMS = ("dicom", "png")


def simulate_doppler(
    directory: str | os.PathLike[str],
    cases: int = 60,
    unlabelled: int = 0,
    seed: int = 0,
    form: str = "dicom",
) -> list[dict[str, Any]]:
    """Write simulated screens and return their truth: case, wave, x, y (image pixels) and velocity_cm_s of each peak.

    The folder gets `labelled/`, `unlabelled/` and `labels.csv` with `filename,wave,x,y` and, for PNG, the calibration
    that DICOM files carry themselves. The same settings write the same files.

    Args:
        directory: where to write.
        cases: number of labelled screens; of these some are in atrial fibrillation (no A), some have fused waves.
        unlabelled: number of further screens for the first stage.
        seed: draws everything.
        form: "dicom" or "png".

    Raises:
        ValueError: if `form` is unknown or a number negative.
    """
    if form not in FORMS or cases < 0 or unlabelled < 0:
        raise ValueError(f"expected form dicom or png and counts over 0, found {form!r}, {cases} and {unlabelled}.")
    root = Path(directory)
    truth: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for number in tqdm(range(cases + unlabelled), desc="simulating Doppler", unit="screen"):
        rng = np.random.default_rng([seed, number])
        folder, case = ("labelled", f"doppler{number:04d}") if number < cases else ("unlabelled", f"extra{number:04d}")
        screen = draw_screen(rng)
        filename = f"{folder}/{case}.{'dcm' if form == 'dicom' else 'png'}"
        _write(root / filename, screen, case, rng)
        if number < cases:
            truth += _truth(case, screen)
            rows += _rows(filename, screen, with_calibration=form == "png")
    if cases:
        write_csv(root / "labels.csv", rows)
    return truth


def _write(path: Path, screen: DopplerScreen, case: str, rng: np.random.Generator) -> None:
    if path.suffix == ".dcm":
        write_doppler_dicom(path, screen, case, rng)
        return
    from PIL import Image

    layout = screen.layout
    part = screen.pixels[layout.top : layout.top + layout.height, layout.left : layout.left + layout.width]
    with replacing(path) as temporary:
        Image.fromarray(part).save(temporary)


def _truth(case: str, screen: DopplerScreen) -> list[dict[str, Any]]:
    return [
        {"case": case, "wave": wave, "x": x, "y": y, "velocity_cm_s": velocity}
        for wave, points in screen.peaks.items()
        for (x, y), velocity in zip(points, screen.velocities_cm_s[wave], strict=True)
    ]


def _rows(filename: str, screen: DopplerScreen, with_calibration: bool) -> list[dict[str, Any]]:
    layout = screen.layout
    # A picture holds the trace only, so its points count from the corner of the trace.
    left, top = (layout.left, layout.top) if with_calibration else (0, 0)
    calibration = {
        "cm_s_per_px": layout.cm_s_per_px,
        "y_baseline": layout.baseline_row - top,
        "seconds_per_px": layout.seconds_per_px,
    }
    extra = calibration if with_calibration else {}
    return [
        {"filename": filename, "wave": wave, "x": round(x - left, 3), "y": round(y - top, 3), **extra}
        for wave, points in screen.peaks.items()
        for x, y in points
    ]
