"""Echocardiography data sets: which layout a folder has, and its cases."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..data.listing import case_name, report_unused, visible_files
from ..errors import NoDataError
from .camus import camus_datalist, camus_root, is_of_camus
from .echonet import echonet_datalist, is_echonet, is_of_echonet
from .hmc_qu import hmc_qu_datalist, is_hmc_qu, is_of_hmc_qu
from .reader import SUFFIXES, is_ultrasound_cine

UNDERSTOOD = (
    "EchoNet-Dynamic or -Pediatric (FileList.csv, Videos/*.avi), CAMUS (database_nifti/patientNNNN or "
    "training/patientNNNN), HMC-QU (A4C.xlsx, A4C/*.avi)"
)
# What describes a data set.
_DOCUMENTS = {".csv", ".tsv", ".xls", ".xlsx", ".txt", ".md", ".pdf", ".html", ".json", ".xml", ".cfg", ".docx", ".py"}


def echo_datalist(
    dataset_dir: str | os.PathLike[str],
    split: str = "training",
    fold: int = 0,
    folds: int = 10,
    labelled: bool = True,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return the cases of a split of an echo data set, whichever of the known layouts the folder has.

    Files that the layout has no place for are named in the log.

    Args:
        dataset_dir: the folder.
        split: "training", "validation", "test", several joined by "+", "development" (the first two) or "all".
        fold, folds: the test fold, where the layout has folds (CAMUS always has ten).
        labelled: whether a label is needed; otherwise a folder of plain videos and DICOM cines serves too.
        seed: seed of HMC-QU's folds.

    Raises:
        NoDataError: if no case is found; the message names the layouts and the command that simulates one.
        ValueError: if the split is unknown or the fold is not one of them.
    """
    root = Path(dataset_dir)
    if not root.exists():
        raise NoDataError(f"{root}: expected a folder, found none; check --dataset_dir")
    is_own: Callable[[Path, Path], bool] | None = None
    if is_echonet(root):
        items, is_own = echonet_datalist(root, split, fold, folds, labelled, traced=labelled), is_of_echonet
    elif camus_root(root):
        items, is_own = camus_datalist(root, split, fold, labelled), is_of_camus
    elif is_hmc_qu(root):
        items, is_own = hmc_qu_datalist(root, split, fold, folds, seed=seed), is_of_hmc_qu
    else:
        items = [] if labelled else ultrasound_cine_datalist(root)
    if is_own:
        strays = [path for path in visible_files(root) if not is_own(path, root)]
        report_unused(root, {path: _why_unused(path) for path in strays if not _is_companion(path)})
    if not items:
        raise NoDataError(
            f"{root}: no case of split {split!r} found. Understood are {UNDERSTOOD}"
            f"{'' if labelled else ', and plain folders of videos or ultrasound DICOM cines'}. "
            f"To try with simulated cases, in the repository: python -m common simulate echo_coreecho {root}"
        )
    return items


def echo_cases(dataset_dir: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return every video of a folder (or the one file given) as "case" and "image", labelled or not.

    Raises:
        NoDataError: if no video is found.
    """
    if Path(dataset_dir).is_file():
        return ultrasound_cine_datalist(dataset_dir)
    items = echo_datalist(dataset_dir, "all", labelled=False)
    return [{"case": item["case"], "image": item["image"]} for item in items]


def ultrasound_cine_datalist(dataset_dir: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return every cine below a folder (or the one file given) as "case" and "image", named by its path there.

    Files that are no cine are named in the log.
    """
    root = Path(dataset_dir)
    if root.is_file():
        return [{"case": case_name(root, SUFFIXES), "image": str(root)}]
    items, unused = [], {}
    for path in visible_files(root):
        if path.name.upper() == "DICOMDIR":
            continue  # the index of a disc, which lists the other files
        if is_ultrasound_cine(path):
            parts = (*path.relative_to(root).parts[:-1], case_name(path, SUFFIXES))
            items.append({"case": "_".join(parts), "image": str(path)})
        elif not _is_values(path):
            unused[path] = _why_unused(path)
    report_unused(root, unused)
    return items


def _is_companion(path: Path) -> bool:
    return path.suffix.lower() in _DOCUMENTS or path.name.upper() == "DICOMDIR" or _is_values(path)


def _is_values(path: Path) -> bool:
    """Return whether a file holds the values of a MetaImage header, which is named."""
    return path.suffix.lower() == ".raw" and path.with_suffix(".mhd").is_file()


def _why_unused(path: Path) -> str:
    """Return why a file is no case: of those that are cines it is their place."""
    if is_ultrasound_cine(path):
        return "the layout of this data set has no place for it"
    return "neither a video, nor DICOM, NIfTI or MetaImage"
