"""Echocardiography data sets: which layout a folder has, and its cases."""

import os
from pathlib import Path
from typing import Any

from ..data.listing import case_name, report_unused, visible_files
from ..errors import NoDataError
from .camus import camus_datalist, camus_root
from .echonet import echonet_datalist, is_echonet
from .hmc_qu import hmc_qu_datalist, is_hmc_qu
from .reader import SUFFIXES, is_ultrasound_cine

UNDERSTOOD = (
    "EchoNet-Dynamic or -Pediatric (FileList.csv, Videos/*.avi), CAMUS (database_nifti/patientNNNN or "
    "training/patientNNNN), HMC-QU (A4C.xlsx, A4C/*.avi)"
)


def echo_datalist(
    dataset_dir: str | os.PathLike[str],
    split: str = "training",
    fold: int = 0,
    folds: int = 10,
    labelled: bool = True,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return the cases of a split of an echo data set, whichever of the known layouts the folder has.

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
    if is_echonet(root):
        items = echonet_datalist(root, split, fold, folds, labelled, traced=labelled)
    elif camus_root(root):
        items = camus_datalist(root, split, fold, labelled)
    elif is_hmc_qu(root):
        items = hmc_qu_datalist(root, split, fold, folds, seed=seed)
    else:
        items = [] if labelled else ultrasound_cine_datalist(root)
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
        elif path.suffix.lower() != ".raw" or not path.with_suffix(".mhd").is_file():
            unused[path] = "neither a video, nor DICOM, NIfTI or MetaImage"
    report_unused(root, unused)
    return items
