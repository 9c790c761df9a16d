"""HMC-QU apical four-chamber videos with their Excel sheet of infarcted segments."""

import os
from pathlib import Path
from typing import Any

from ..data.listing import log_skipped, report_unused, visible_files
from ..data.splits import assign_splits, check_fold, wanted_splits
from ..errors import UnusableFileError

HMC_QU_FOLDS = 5
SEGMENTS = 6
# Columns after ECHO: six segments, reference frame, a blank one, end of cycle, mask flag.
REFERENCE_FRAME, END_OF_CYCLE, MASK_FLAG = 7, 9, 10
LABELS = {"mi": 1, "non-mi": 0}
MASKED = "ü"  # a check mark in the sheet's Wingdings font


def hmc_qu_datalist(
    dataset_dir: str | os.PathLike[str],
    split: str = "all",
    fold: int = 0,
    folds: int = HMC_QU_FOLDS,
    masked: bool = True,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return the A4C videos of HMC-QU, one cardiac cycle each, with whether any wall segment is infarcted.

    Items have "case", "image" (path), "label" (1 = infarction) and "frame_range" (first and last frame of the cycle,
    from 0). Rows that cannot serve are left out, each with its reason in the log.

    Args:
        dataset_dir: folder with `A4C/` and `A4C.xlsx`.
        split: "training", "validation", "test", several joined by "+", "development" (the first two) or "all".
        fold, folds: the test fold and the number of folds, into which each label is spread evenly.
        masked: whether only videos with the data set's wall masks count, as in the published benchmarks (109).
        seed: seed of the stratified folds.

    Raises:
        UnusableFileError: if the sheet has no column ECHO.
        ValueError: if the split is unknown or the fold is not one of them.

    References:
        Degerli et al., Early Detection of Myocardial Infarction in Low-Quality Echocardiography, IEEE Access 2021,
        https://doi.org/10.1109/ACCESS.2021.3059595
    """
    wanted = wanted_splits(split)
    check_fold(fold, folds)
    root = Path(dataset_dir)
    files = visible_files(root / "A4C", recursive=False)
    videos: dict[str, list[Path]] = {}
    for path in files:
        if path.suffix.lower() == ".avi":
            videos.setdefault(_key(path.stem), []).append(path)
    items, skipped = [], {}
    rows = _rows(root / "A4C.xlsx")
    for row in rows:
        name = str(row[0]).strip()
        try:
            item = _item(row, name, videos)
        except UnusableFileError as error:
            skipped[name] = str(error)
            continue
        if item.pop("masked") or not masked:
            items.append(item)
        else:
            skipped[name] = "no wall masks, which the published benchmark needs (masked)"
    named = {_key(str(row[0])) for row in rows}
    report_unused(root, {path: "no row in A4C.xlsx" for path in files if _key(path.stem) not in named})
    log_skipped(str(root / "A4C.xlsx"), skipped)
    labels = {str(row): item["label"] for row, item in enumerate(items)}
    splits = assign_splits(dict(zip(labels, labels, strict=True)), fold, folds, seed, labels, shuffle="all")
    return [item for row, item in enumerate(items) if splits[str(row)] in wanted]


def is_hmc_qu(dataset_dir: Path) -> bool:
    """Return whether the folder holds the sheet of HMC-QU."""
    return (dataset_dir / "A4C.xlsx").is_file()


def is_of_hmc_qu(path: Path, dataset_dir: Path) -> bool:
    """Return whether a file lies where HMC-QU has its four-chamber videos, used or left out by name."""
    return path.parent == dataset_dir / "A4C"


def _rows(path: Path) -> list[list[Any]]:
    """Return the rows below the header, each from the column ECHO on."""
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, data_only=True)
        cells = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
        book.close()
    except FileNotFoundError:
        raise
    except Exception as error:
        raise UnusableFileError(f"{path}: expected an Excel sheet, found {error}; download it again.") from error
    for number, row in enumerate(cells):
        titles = [str(cell or "").strip().upper() for cell in row]
        if "ECHO" in titles:
            column = titles.index("ECHO")
            below = [row[column:] + [None] * MASK_FLAG for row in cells[number + 1 :]]
            return [row for row in below if row[0] and any(row[1:])]
    raise UnusableFileError(f"{path}: expected a header cell ECHO, found none; use the sheet of the data set.")


def _item(row: list[Any], name: str, videos: dict[str, list[Path]]) -> dict[str, Any]:
    words = [str(cell or "").strip().lower() for cell in row[1 : SEGMENTS + 1]]
    if not set(words) <= LABELS.keys():
        raise UnusableFileError(f"expected six cells 'MI' or 'non-MI', found {words}")
    if _key(name) not in videos:
        raise UnusableFileError("no video of this name in A4C")
    if len(videos[_key(name)]) > 1:
        found = " and ".join(path.name for path in videos[_key(name)])
        raise UnusableFileError(f"expected one video of this name, found {found}")
    try:
        first, last = int(row[REFERENCE_FRAME]), int(row[END_OF_CYCLE])
    except (TypeError, ValueError) as error:
        raise UnusableFileError("expected whole numbers as reference frame and end of cycle") from error
    if not 1 <= first < last:
        raise UnusableFileError(f"expected a cycle of frames counted from 1, found {first} to {last}")
    return {
        "case": name,
        "image": str(videos[_key(name)][0]),
        "label": max(LABELS[word] for word in words),
        "frame_range": (first - 1, last - 1),
        "masked": str(row[MASK_FLAG] or "").strip() == MASKED,
    }


def _key(name: str) -> str:
    """Return a name without its blanks: sheet and files differ in them."""
    return "".join(name.split()).removesuffix(".avi").upper()
