"""Simulated transmitral Doppler screens with known peaks, as DICOM or pictures, with labels.csv."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ...files import replacing, write_csv
from .cart import draw_busy_screen, draw_cart_screen
from .screen import DopplerScreen, draw_screen
from .writers import write_doppler_dicom

FORMS = ("dicom", "png", "screen")
PLAIN_FRACTION = 0.1


def draw_mixed_screen(rng: np.random.Generator) -> DopplerScreen:
    """Return a screen of the cart or the busy style, as often, or, one time in ten, of the plain one."""
    draw = rng.random()
    if draw < PLAIN_FRACTION:
        return draw_screen(rng)
    return draw_busy_screen(rng) if draw < (1 + PLAIN_FRACTION) / 2 else draw_cart_screen(rng)


STYLES: dict[str, Callable[[np.random.Generator], DopplerScreen]] = {
    "plain": draw_screen,
    "cart": draw_cart_screen,
    "busy": draw_busy_screen,
    "mixed": draw_mixed_screen,
}


def simulate_doppler(
    directory: str | os.PathLike[str],
    cases: int = 60,
    unlabelled: int = 0,
    seed: int = 0,
    form: str = "dicom",
    style: str = "plain",
) -> list[dict[str, Any]]:
    """Write simulated screens and return their truth: case, wave, x, y (image pixels) and velocity_cm_s of each peak.

    Of the cart style also `duration_ms`: the deceleration time of an E, the duration of an A.

    The folder gets `labelled/`, `unlabelled/` and `labels.csv` with `filename,wave,x,y`, `duration_ms` where known and,
    for pictures, what DICOM files say themselves: the calibration and, of whole screens, the corners of the trace. The
    same settings write the same files.

    Args:
        directory: where to write.
        cases: number of labelled screens; of these some are in atrial fibrillation (no A), some have fused waves.
        unlabelled: number of further screens for the first stage.
        seed: draws everything.
        form: "dicom", "png" (pictures of the trace alone) or "screen" (pictures of the whole screen, PNG or JPEG).
        style: "plain" drawings, screens as those of an echo "cart", "busy" ones with what few screens have, or "mixed":
            one in ten plain, half of the others busy.

    Raises:
        ValueError: if `form` or `style` is unknown or a number negative.
    """
    if form not in FORMS or style not in STYLES or cases < 0 or unlabelled < 0:
        raise ValueError(
            f"expected form {' or '.join(FORMS)}, style {' or '.join(STYLES)} and counts of at least 0, "
            f"found {form!r}, {style!r}, {cases} and {unlabelled}."
        )
    root = Path(directory)
    truth: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for number in tqdm(range(cases + unlabelled), desc="simulating Doppler", unit="screen"):
        rng = np.random.default_rng([seed, number])
        folder, case = ("labelled", f"doppler{number:04d}") if number < cases else ("unlabelled", f"extra{number:04d}")
        screen = STYLES[style](rng)
        suffix = {"dicom": "dcm", "png": "png"}.get(form) or str(rng.choice(["png", "jpg"]))
        filename = f"{folder}/{case}.{suffix}"
        _write(root / filename, screen, case, rng, form)
        if number < cases:
            truth += _truth(case, screen)
            rows += _rows(filename, screen, form)
    if cases:
        write_csv(root / "labels.csv", rows)
    return truth


def _write(path: Path, screen: DopplerScreen, case: str, rng: np.random.Generator, form: str) -> None:
    if form == "dicom":
        write_doppler_dicom(path, screen, case, rng)
        return
    from PIL import Image

    layout = screen.layout
    rows, columns = slice(layout.top, layout.top + layout.height), slice(layout.left, layout.left + layout.width)
    with replacing(path) as temporary:
        Image.fromarray(screen.pixels if form == "screen" else screen.pixels[rows, columns]).save(temporary)


def _truth(case: str, screen: DopplerScreen) -> list[dict[str, Any]]:
    return [
        {"case": case, "wave": wave, "x": x, "y": y, "velocity_cm_s": velocity, **duration}
        for wave, points in screen.peaks.items()
        for (x, y), velocity, duration in zip(
            points, screen.velocities_cm_s[wave], _durations(screen, wave), strict=True
        )
    ]


def _durations(screen: DopplerScreen, wave: str) -> list[dict[str, float]]:
    known = [{"duration_ms": round(1000 * duration_s, 2)} for duration_s in screen.durations_s.get(wave, [])]
    return known or [{}] * len(screen.peaks[wave])


def _rows(filename: str, screen: DopplerScreen, form: str) -> list[dict[str, Any]]:
    layout = screen.layout
    # Points in a picture of the trace alone count from its corner.
    left, top = (layout.left, layout.top) if form == "png" else (0, 0)
    scale = {
        "cm_s_per_px": layout.cm_s_per_px,
        "y_baseline": layout.baseline_row - top,
        "seconds_per_px": layout.seconds_per_px,
    }
    corners = (layout.left, layout.top, layout.left + layout.width - 1, layout.top + layout.height - 1)
    extra = {"dicom": {}, "png": scale, "screen": dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True)) | scale}
    rows: list[dict[str, Any]] = [
        {"wave": wave, "x": round(x - left, 3), "y": round(y - top, 3), **duration}
        for wave, points in screen.peaks.items()
        for (x, y), duration in zip(points, _durations(screen, wave), strict=True)
    ]
    # An empty row says that there is no wave.
    return [{"filename": filename, **row, **extra[form]} for row in rows or [{"wave": "", "x": "", "y": ""}]]
