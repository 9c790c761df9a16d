"""Simulated short-axis cine MR with exact ejection fractions, in the layout of a public data set."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..files import write_csv
from .phantom_chest import CineSettings
from .phantom_heart import simulate_heart
from .phantom_writers import write_acdc_patient, write_dicom_patient

_REDUCED_EF, _PRESERVED_EF = (15.0, 45.0), (52.0, 72.0)


def simulate_cine_mr(
    directory: str | os.PathLike[str],
    cases: int = 20,
    seed: int = 0,
    layout: str = "acdc",
    size: int = 128,
    frames: int = 20,
    sections: int = 10,
    field_of_view_mm: float = 300.0,
    reduced_fraction: float = 1 / 3,
    limit: int | None = None,
) -> list[dict[str, object]]:
    """Write simulated patients and return their truth: case, ef (percent) and label (1 reduced, 0 preserved).

    Reduced ejection fractions are uniform in 15 to 45 %, preserved ones in 52 to 72 %. The same settings write the
    same files.

    Args:
        directory: where to write; `database/training/patientNNN` (acdc) or `patientNNN/*.dcm` with labels.csv (dicom).
        cases: number of patients.
        seed: draws everything.
        layout: "acdc" or "dicom".
        size: rows and columns.
        frames: frames of a heart beat.
        sections: short-axis sections, from the base to beyond the apex.
        field_of_view_mm: width of the picture.
        reduced_fraction: share of patients with reduced ejection fraction; from 6 cases on at least 3 of each class.
        limit: write the first so many of the patients only, each as in the whole data set; None writes all.

    Raises:
        ValueError: if the layout is unknown or a number out of its range.
    """
    settings = CineSettings(size, frames, sections, field_of_view_mm)
    if layout not in ("acdc", "dicom"):
        raise ValueError(f"expected layout acdc or dicom, found {layout!r}.")
    fractions = _ejection_fractions(cases, seed, reduced_fraction)
    root = Path(directory)
    truth: list[dict[str, object]] = []
    for number, ef in enumerate(tqdm(fractions[:limit], desc="simulating cine MR", unit="patient"), start=1):
        rng = np.random.default_rng([seed, number])
        case = f"patient{number:03d}"
        cine = simulate_heart(rng, ef, settings)
        if layout == "acdc":
            write_acdc_patient(root / "database" / "training" / case, cine, reduced=ef < 50.0)
        else:
            write_dicom_patient(root / case, cine, rng)
        truth.append({"case": case, "ef": round(ef, 3), "label": int(ef < 50.0)})
    if layout == "dicom":
        write_csv(root / "labels.csv", [{"patient_id": row["case"], "ef": row["ef"]} for row in truth])
    return truth


def _ejection_fractions(cases: int, seed: int, reduced_fraction: float) -> list[float]:
    if cases < 1 or not 0.0 <= reduced_fraction <= 1.0:
        raise ValueError(f"expected cases >= 1 and a share of 0 to 1, found {cases} and {reduced_fraction}.")
    rng = np.random.default_rng(seed)
    reduced = round(cases * reduced_fraction)
    if cases >= 6 and 0.0 < reduced_fraction < 1.0:
        reduced = int(np.clip(reduced, 3, cases - 3))
    fractions = np.concatenate(
        [rng.uniform(*_REDUCED_EF, size=reduced), rng.uniform(*_PRESERVED_EF, size=cases - reduced)]
    )
    return [float(ef) for ef in rng.permutation(fractions)]
