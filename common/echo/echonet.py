"""EchoNet-Dynamic and EchoNet-Pediatric folders: FileList.csv, VolumeTracings.csv and Videos/."""

import os
from pathlib import Path
from typing import Any

from ..data.listing import case_name, log_skipped, report_unused, visible_files
from ..data.splits import in_split, wanted_splits
from ..data.tables import number, read_table
from ..errors import UnusableFileError

SPLITS = {"TRAIN": "training", "VAL": "validation", "TEST": "test"}
EF_PERCENT = (1.0, 100.0)  # below are fractions
# The published data sets leave out videos with fewer than two traced frames.
LEAST_TRACED_FRAMES = 2


def echonet_datalist(
    dataset_dir: str | os.PathLike[str],
    split: str = "all",
    fold: int = 0,
    folds: int = 10,
    labelled: bool = True,
    traced: bool = True,
) -> list[dict[str, Any]]:
    """Return the videos of an EchoNet folder: "case", "image" (path), "label" (EF in percent).

    Rows without a video, videos without a row, and cases without a usable EF are left out, each with its reason in the
    log. Videos with fewer than two traced frames are left out as in the published split, if there are tracings.

    Args:
        dataset_dir: the folder of FileList.csv, or the one above it (EchoNet-Pediatric: its A4C folder).
        split: "training", "validation", "test", several joined by "+", "development" (the first two) or "all".
        fold, folds: test fold where Split holds fold numbers (EchoNet-Pediatric).
        labelled: whether an EF is needed; otherwise "label" is absent where it is unusable.
        traced: whether two traced frames are needed.

    Raises:
        UnusableFileError: if the table lacks a column.
        ValueError: if the split is unknown or the fold is not one of them.

    References:
        Ouyang et al., Video-based AI for beat-to-beat assessment of cardiac function, Nature 2020,
        https://doi.org/10.1038/s41586-020-2145-8; Reddy et al., Video-based deep learning for automated assessment of
        left ventricular ejection fraction in pediatric patients, JASE 2023
    """
    wanted_splits(split)
    root = _root(Path(dataset_dir))
    rows = _rows(root / "FileList.csv")
    files = visible_files(root / "Videos", recursive=False)
    videos: dict[str, list[Path]] = {}
    for path in files:
        if path.suffix.lower() == ".avi":
            videos.setdefault(path.stem, []).append(path)
    untraced = _untraced(root) if traced else frozenset()
    unlisted = sorted(videos.keys() - {_stem(row) for row in rows})
    items, skipped = [], dict.fromkeys(unlisted, "no row in FileList.csv")
    cases: set[str] = set()
    for row in rows:
        try:
            item = _item(row, videos, labelled, untraced)
            if item["case"] in cases:
                raise UnusableFileError("more than one row of this name; the first is used")
            cases.add(item["case"])
            items.append(item)
        except UnusableFileError as error:
            skipped[_stem(row)] = str(error)
    log_skipped(str(root / "FileList.csv"), skipped)
    report_unused(root, {path: "no AVI video" for path in files if path.suffix.lower() != ".avi"})
    return _of_split(items, split, fold, folds)


def is_echonet(dataset_dir: Path) -> bool:
    """Return whether the folder, or its A4C folder, holds a FileList.csv beside Videos."""
    return any((root / "FileList.csv").is_file() for root in (dataset_dir, dataset_dir / "A4C"))


def is_of_echonet(path: Path, dataset_dir: Path) -> bool:
    """Return whether a file lies where EchoNet has its videos, used or left out by name."""
    return path.parent == _root(dataset_dir) / "Videos"


def _root(dataset_dir: Path) -> Path:
    return dataset_dir if (dataset_dir / "FileList.csv").is_file() else dataset_dir / "A4C"


def _rows(path: Path) -> list[dict[str, str]]:
    rows = read_table(path)
    missing = {"FileName", "EF", "Split"} - (rows[0].keys() if rows else set())
    if missing:
        raise UnusableFileError(f"{path}: expected the columns FileName, EF, Split, found none of {sorted(missing)}.")
    return rows


def _stem(row: dict[str, str]) -> str:
    """Return the name of a row's video, which tables give with its folder and suffix or without."""
    return case_name(row["FileName"].replace("\\", "/"), (".avi",))


def _item(
    row: dict[str, str], videos: dict[str, list[Path]], labelled: bool, untraced: frozenset[str]
) -> dict[str, Any]:
    case = _stem(row)
    if case not in videos:
        raise UnusableFileError("no video of this name in Videos")
    if len(videos[case]) > 1:
        raise UnusableFileError(f"expected one video of this name, found {' and '.join(p.name for p in videos[case])}")
    if case in untraced:
        raise UnusableFileError(f"fewer than {LEAST_TRACED_FRAMES} traced frames in VolumeTracings.csv")
    split = row["Split"].upper()
    if split not in ("TRAIN", "VAL", "TEST") and not split.isdigit():
        raise UnusableFileError(f"expected Split as TRAIN, VAL, TEST or the number of a fold, found {row['Split']!r}")
    item: dict[str, Any] = {"case": case, "image": str(videos[case][0]), "split": split}
    try:
        item["label"] = number(row["EF"], "EF in percent", *EF_PERCENT)
    except UnusableFileError:
        if labelled:
            raise
    return item


def _untraced(root: Path) -> frozenset[str]:
    """Return the videos of the list that have tracings of fewer than two frames; none if there is no table."""
    path = root / "VolumeTracings.csv"
    if not path.is_file():
        return frozenset()
    frames: dict[str, set[str]] = {}
    for row in read_table(path):
        frames.setdefault(_stem(row), set()).add(row.get("Frame", ""))
    listed = {_stem(row) for row in read_table(root / "FileList.csv")}
    return frozenset(name for name in listed if len(frames.get(name, ())) < LEAST_TRACED_FRAMES)


def _of_split(items: list[dict[str, Any]], split: str, fold: int, folds: int) -> list[dict[str, Any]]:
    if split == "all":
        return items
    numbered = [item for item in items if item["split"].isdigit()]
    if not numbered:
        return [item for item in items if SPLITS.get(item["split"]) in wanted_splits(split)]
    if len(numbered) < len(items) or max(int(item["split"]) for item in items) >= folds:
        found = ", ".join(sorted({item["split"] for item in items}))
        raise UnusableFileError(
            f"FileList.csv: expected Split as TRAIN, VAL and TEST, or as numbers from 0 to {folds - 1}, found {found}; "
            "correct the table, or the number of folds."
        )
    return in_split([{**item, "fold": int(item["split"])} for item in items], split, fold, folds)
