"""The files of EchoNet-Dynamic, CAMUS and HMC-QU, written from simulated hearts."""

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...files import replacing, write_csv
from .heart import SEGMENTS, Heart, Probe, ejected_share, render, semi_axes_mm, volume_ml

TRACED_CHORDS = 20
CAMUS_PATIENTS = 500
QUALITIES = ("Good", "Medium", "Poor")
NOISE_DB_OF_QUALITY = {"Good": -50.0, "Medium": -42.0, "Poor": -32.0}
SHARE_OF_INFARCTIONS = 72 / 109  # in HMC-QU


def write_echonet(
    root: Path, index: int, cases: int, heart: Heart, probe: Probe, generator: np.random.Generator, settings: dict
) -> dict[str, Any]:
    """Write one video; return its row of FileList.csv and, under "tracings", its rows of VolumeTracings.csv."""
    count = int(generator.integers(settings["frames"][0], settings["frames"][1] + 1))
    times = np.arange(count) / settings["rate"]
    name = f"0X{generator.integers(0, 2**63):016X}"
    write_video(root / "Videos" / f"{name}.avi", render(heart, probe, times, generator), settings["rate"])
    volumes = volume_ml(*semi_axes_mm(heart, np.array([1.0, 0.0])))
    held_out = min(max(2, round(settings["held_out"] * cases)), max(cases // 3, 1))
    split = "TEST" if index < held_out else "VAL" if index < 2 * held_out else "TRAIN"
    return {
        "FileName": name,
        "EF": heart.ef_percent,
        "ESV": round(float(volumes[0]), 3),
        "EDV": round(float(volumes[1]), 3),
        "FrameHeight": probe.size,
        "FrameWidth": probe.size,
        "FPS": settings["rate"],
        "NumberOfFrames": count,
        "Split": split,
        "tracings": _tracings(name, heart, probe, times),
    }


def finish_echonet(root: Path, rows: list[dict[str, Any]]) -> None:
    """Write both tables."""
    write_csv(root / "VolumeTracings.csv", [line for row in rows for line in row["tracings"]])
    write_csv(root / "FileList.csv", [{k: v for k, v in row.items() if k != "tracings"} for row in rows])


def _tracings(name: str, heart: Heart, probe: Probe, times: NDArray) -> list[dict[str, Any]]:
    """Return the long axis and the chords across it at the fullest and the emptiest frame, in pixels."""
    ejected, lines = ejected_share(heart, times), []
    for frame in (int(ejected.argmin()), int(ejected.argmax())):
        a, b = (float(axis[0]) for axis in semi_axes_mm(heart, ejected[frame : frame + 1]))
        shares = np.concatenate([[np.nan], (np.arange(TRACED_CHORDS) + 0.5) / TRACED_CHORDS])
        for share in shares:
            half = 0.0 if math.isnan(share) else b * math.sqrt(1 - (1 - share) ** 2)
            ends = [(0.0, 0.0), (a, 0.0)] if math.isnan(share) else [(share * a, half), (share * a, -half)]
            (x1, y1), (x2, y2) = (_pixel(heart, probe, along, across) for along, across in ends)
            lines.append({"FileName": f"{name}.avi", "X1": x1, "Y1": y1, "X2": x2, "Y2": y2, "Frame": frame})
    return lines


def _pixel(heart: Heart, probe: Probe, along_mm: float, across_mm: float) -> tuple[float, float]:
    """Return the (column, row) of a place given along the long axis, from the apex, and across it."""
    cosine, sine = math.cos(heart.tilt_rad), math.sin(heart.tilt_rad)
    x = heart.apex_mm[0] + along_mm * sine + across_mm * cosine
    depth = heart.apex_mm[1] + along_mm * cosine - across_mm * sine
    scale = probe.size / probe.depth_mm
    column = (x + probe.depth_mm / 2) * scale
    return round(probe.size - column if probe.mirrored else column, 3), round((depth - probe.top_mm) * scale, 3)


def write_camus(
    root: Path, index: int, cases: int, heart: Heart, probe: Probe, generator: np.random.Generator, settings: dict
) -> dict[str, Any]:
    """Write one patient, end-diastole to end-systole, one in ten the other way round."""
    quality = QUALITIES[int(generator.choice(3, p=(0.55, 0.33, 0.12)))]
    heart = replace(heart, phase=0.0)
    # Half a beat: systole takes 0.35 of it.
    count = max(8, round(0.35 * 60 / heart.heart_rate_bpm * settings["rate"]) + 1)
    times = np.linspace(0, 0.35 * 60 / heart.heart_rate_bpm, count)
    frames = render(heart, replace(probe, noise_db=NOISE_DB_OF_QUALITY[quality]), times, generator)
    backwards = bool(generator.random() < 0.1)
    volumes = volume_ml(*semi_axes_mm(heart, np.array([0.0, 1.0])))
    info = {
        "ED": count if backwards else 1,
        "ES": 1 if backwards else count,
        "NbFrame": count,
        "Sex": "F" if generator.random() < 0.5 else "M",
        "Age": int(generator.integers(20, 90)),
        "ImageQuality": quality,
        "FrameRate": settings["rate"],
    }
    name = f"patient{1 + index * CAMUS_PATIENTS // cases if cases <= CAMUS_PATIENTS else index + 1:04d}"
    frames = frames[::-1] if backwards else frames
    spacing = probe.depth_mm / probe.size
    if settings.get("metaimage"):
        folder = root / "training" / name
        info |= {"LVedv": round(float(volumes[0]), 1), "LVesv": round(float(volumes[1]), 1), "LVef": heart.ef_percent}
        _write_metaimage(folder / f"{name}_4CH_sequence.mhd", frames, spacing)
    else:
        folder = root / "database_nifti" / name
        info |= {"EF": heart.ef_percent}
        _write_nifti(folder / f"{name}_4CH_half_sequence.nii.gz", frames, spacing)
    with replacing(folder / "Info_4CH.cfg") as temporary:
        temporary.write_text("".join(f"{key}: {value}\n" for key, value in info.items()), encoding="utf-8")
    return {"case": name}


def write_camus_mhd(
    root: Path, index: int, cases: int, heart: Heart, probe: Probe, generator: np.random.Generator, settings: dict
) -> dict[str, Any]:
    """Write one patient in the older layout."""
    return write_camus(root, index, cases, heart, probe, generator, {**settings, "metaimage": True})


def _write_nifti(path: Path, frames: NDArray[np.uint8], spacing_mm: float) -> None:
    import nibabel

    affine = np.diag([spacing_mm, spacing_mm, 1, 1])
    with replacing(path) as temporary:
        nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(frames.T), affine), temporary)


def _write_metaimage(path: Path, frames: NDArray[np.uint8], spacing_mm: float) -> None:
    import SimpleITK

    path.parent.mkdir(parents=True, exist_ok=True)
    image = SimpleITK.GetImageFromArray(frames)
    image.SetSpacing((spacing_mm, spacing_mm, 1))
    SimpleITK.WriteImage(image, os.fspath(path))


def write_hmc_qu(
    root: Path, index: int, cases: int, heart: Heart, probe: Probe, generator: np.random.Generator, settings: dict
) -> dict[str, Any]:
    """Write one video, two of three with infarcted neighbouring segments; return its cells of the sheet."""
    infarcted = np.zeros(SEGMENTS, bool)
    if generator.random() < SHARE_OF_INFARCTIONS:
        infarcted[_neighbours(generator)] = True
    ef = float(generator.uniform(55, 72))
    heart = replace(heart, ef_percent=ef, phase=0.0, infarcted=tuple(bool(flag) for flag in infarcted))
    beat = round(60 / heart.heart_rate_bpm * settings["rate"])
    start = int(generator.integers(0, 5))
    times = (np.arange(beat + start + 4) - start) / settings["rate"]
    # The sheet's names have a blank that the files' names have too.
    name = f"ES{index + 1:05d} _4CH_1"
    write_video(root / "A4C" / f"{name}.avi", render(heart, probe, times, generator), settings["rate"])
    words = ["MI" if flag else "non-MI" for flag in infarcted]
    return {"cells": [name, *words, start + 1, None, start + beat + 1, "ü"]}


def _neighbours(generator: np.random.Generator) -> slice:
    first = int(generator.integers(0, SEGMENTS - 2))
    return slice(first, first + int(generator.integers(2, 4)))


def finish_hmc_qu(root: Path, rows: list[dict[str, Any]]) -> None:
    """Write the sheet with its two header rows."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append([None, "A4C segments", None, None, None, None, None, "One cardiac cycle", None, None, "Mask"])
    sheet.append(["ECHO", "SEG3", 9, 14, 16, 12, 6, "Reference Frame", None, "End of Cycle", None])
    for row in rows:
        sheet.append(row["cells"])
    with replacing(root / "A4C.xlsx") as temporary:
        book.save(temporary)


def finish_camus(root: Path, rows: list[dict[str, Any]]) -> None:
    """Every patient's folder is complete in itself."""


def write_video(path: Path, frames: NDArray[np.uint8], frame_rate_hz: float) -> None:
    """Write (T, H, W) grey or (T, H, W, 3) RGB frames as Motion JPEG, in which EchoNet and HMC-QU come.

    H and W are even numbers.
    """
    import av

    layout = "rgb24" if frames.ndim == 4 else "gray"
    with replacing(path) as temporary, av.open(os.fspath(temporary), "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=round(frame_rate_hz))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuvj420p"
        stream.codec_context.options = {"qmin": "2", "qmax": "3"}
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=layout)))
        container.mux(stream.encode(None))
