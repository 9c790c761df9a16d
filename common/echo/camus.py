"""CAMUS apical four-chamber sequences, in the NIfTI and in the older MetaImage layout."""

import os
import re
from pathlib import Path
from typing import Any

from ..data.listing import log_skipped, report_unused
from ..data.splits import in_split
from ..data.tables import number
from ..errors import UnusableFileError
from .echonet import EF_PERCENT

# 500 patients in ten contiguous blocks of 50 numbers.
CAMUS_FOLDS = 10
PATIENTS_PER_FOLD = 50
LAYOUTS = ("database_nifti", "training", "")
_PATIENT = r"patient\d+"
_FILES = re.compile(r"Info_[24]CH\.cfg|patient\d+_[24]CH_(half_sequence|sequence|ED|ES)(_gt)?\.(nii\.gz|mhd|z?raw)")


def camus_datalist(
    dataset_dir: str | os.PathLike[str], split: str = "all", fold: int = 0, labelled: bool = True
) -> list[dict[str, Any]]:
    """Return the four-chamber sequences of CAMUS from end-diastole to end-systole.

    Items have "case", "image" (path), "label" (EF in percent), "quality" ("Good", "Medium", "Poor"), "fold" and
    "frame_range": first and last frame, from 0; the first is the higher one where the recording has ES before ED.
    Patients without a usable sequence or EF are left out, each with its reason in the log.

    Args:
        dataset_dir: folder that holds `database_nifti` or `training`, or one of these.
        split: "training", "validation", "test", several joined by "+", "development" (the first two) or "all".
        fold: the test fold, from 0 to 9; folds are blocks of 50 patient numbers.
        labelled: whether an EF is needed; otherwise "label" is absent where it is unusable.

    Raises:
        ValueError: if the split is unknown or the fold is not one of them.

    References:
        Leclerc et al., Deep Learning for Segmentation Using an Open Large-Scale Dataset in 2D Echocardiography,
        IEEE TMI 2019, https://doi.org/10.1109/TMI.2019.2900516
    """
    root = camus_root(Path(dataset_dir))
    items: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    unused: dict[Path, str] = {}
    folders = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")] if root else []
    for folder in sorted(folders):
        try:
            sequence, *others = _sequences(folder)
            items.append(_item(folder, sequence, labelled))
            unused |= dict.fromkeys(others, f"{sequence.name} beside it is used")
        except (UnusableFileError, FileNotFoundError) as error:
            skipped[folder.name] = str(error)
    log_skipped(str(root), skipped)
    report_unused(str(root), unused)
    return in_split(items, split, fold, CAMUS_FOLDS)


def camus_root(dataset_dir: Path) -> Path | None:
    """Return the folder of the patient folders, None if there is none."""
    for layout in LAYOUTS:
        root = dataset_dir / layout
        if root.is_dir() and any(root.glob("patient[0-9]*/Info_4CH.cfg")):
            return root
    return None


def is_of_camus(path: Path, dataset_dir: Path) -> bool:
    """Return whether a file is one that CAMUS has, or lies in a folder that is left out by its own name."""
    root = camus_root(dataset_dir)
    folders = path.relative_to(root).parts[:-1] if root and path.is_relative_to(root) else ()
    if not folders or re.fullmatch(_PATIENT, folders[0]) is None:
        return bool(folders)
    return len(folders) == 1 and _FILES.fullmatch(path.name) is not None


def _item(folder: Path, sequence: Path, labelled: bool) -> dict[str, Any]:
    info = read_info(folder / "Info_4CH.cfg")
    item: dict[str, Any] = {
        "case": folder.name,
        "image": str(sequence),
        "quality": info.get("ImageQuality", "").capitalize(),
        "fold": (int(folder.name.removeprefix("patient")) - 1) // PATIENTS_PER_FOLD % CAMUS_FOLDS,
        "frame_range": _frame_range(info, folder / "Info_4CH.cfg"),
    }
    try:
        item["label"] = number(info.get("EF", info.get("LVef")), "EF (EF or LVef) in percent", *EF_PERCENT)
    except UnusableFileError:
        if labelled:
            raise
    return item


def read_info(path: Path) -> dict[str, str]:
    """Return the "Key: value" lines of an info file."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _sequences(folder: Path) -> list[Path]:
    """Return the four-chamber sequences of a patient, the one to use first."""
    if re.fullmatch(_PATIENT, folder.name) is None:
        raise UnusableFileError("expected a folder patientNNNN")
    names = [f"{folder.name}_4CH_{part}" for part in ("half_sequence.nii.gz", "sequence.nii.gz", "sequence.mhd")]
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        raise UnusableFileError(f"expected {' or '.join(names)}, found none")
    return found


def _frame_range(info: dict[str, str], path: Path) -> tuple[int, int]:
    """Return end-diastole and end-systole as indices from 0."""
    try:
        diastole, systole, count = (int(info[key]) for key in ("ED", "ES", "NbFrame"))
    except (KeyError, ValueError) as error:
        raise UnusableFileError(f"expected whole numbers ED, ES and NbFrame in {path.name}, found {error}") from error
    if not (1 <= diastole <= count and 1 <= systole <= count and diastole != systole):
        raise UnusableFileError(f"expected ED and ES in 1 to {count}, apart, found {diastole} and {systole}")
    return diastole - 1, systole - 1
