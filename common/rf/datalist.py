"""Datalists of RF frame pairs: simulated or measured files, sequences in folders, or a CSV of pairs."""

import itertools
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ..data.splits import SPLITS, assign_splits, check_fold, wanted_splits
from ..data.tables import read_table
from ..errors import NoDataError, UnusableFileError
from .formats import frame_shape
from .readers import rf_suffixes
from .settings import RfSettings

_PAIRS_FILE = "pairs.csv"


def rf_datalist(
    dataset_dir: str | Path,
    split: str = "training",
    fold: int = 0,
    folds: int = 5,
    seed: int = 0,
    pairs: str = "consecutive",
    sequences: str | int | Sequence[str | int] | None = None,
    settings: RfSettings | None = None,
) -> list[dict[str, Any]]:
    """Return one item a frame pair: case, sequence, and path and frame number of pre and post.

    Layouts: a folder with `pairs.csv` (case, pre, post, pre_frame, post_frame; paths relative to it); files that hold
    two frames or a sequence each; folders that hold a sequence each, one frame a file in order of name; and any of
    these below folders named training, validation and test.

    Args:
        dataset_dir: the folder, or one file.
        split: "training", "validation", "test", several joined by "+", "development" (the first two) or "all".
        fold: which of `folds` parts is the test; the next one is the validation. Whole sequences go to a part.
        folds: number of parts; with fewer sequences than that each sequence is a part.
        seed: shuffles the sequences.
        pairs: of a sequence's frames, "consecutive" pairs, pairs of the "first" with each later one, or "every" pair.
        sequences: names of the only sequences to take, joined by "," or as a list; numbers are names too, as the
            command line turns 299,300 into them.
        settings: how files are read (their number of frames is needed to list pairs).

    Raises:
        NoDataError: if there is no RF in any of the layouts, or nothing in the split.
        ValueError: for other values of `split`, `fold`, `folds` or `pairs`.
    """
    wanted = wanted_splits(split)
    root = Path(dataset_dir)
    if not root.is_dir() and not root.is_file():
        raise NoDataError(_no_data(root, "no such folder"))
    fixed = [name for name in SPLITS if (root / name).is_dir()]
    if fixed:
        items = [item for name in fixed if name in wanted for item in rf_pairs(root / name, pairs, settings)]
    else:
        items = rf_pairs(root, pairs, settings)
    if sequences:
        items = [item for item in items if item["sequence"] in _names(sequences)]
    if not fixed and split != "all":
        items = _in_splits(items, wanted, fold, folds, seed)
    if not items:
        raise NoDataError(_no_data(root, f"no pair for split {split!r}"))
    return items


def rf_pairs(
    folder: str | Path, pairs: str = "consecutive", settings: RfSettings | None = None
) -> list[dict[str, Any]]:
    """Return the pairs of a folder without splitting it; see :func:`rf_datalist`.

    Raises:
        NoDataError: if there is none.
        ValueError: for another value of `pairs`.
    """
    if pairs not in ("consecutive", "first", "every"):
        raise ValueError(f"pairs: expected 'consecutive', 'first' or 'every', found {pairs!r}")
    root = Path(folder)
    if (root / _PAIRS_FILE).is_file():
        return rf_csv_pairs(root / _PAIRS_FILE)
    files = [root] if root.is_file() else _rf_files(root)
    items = [item for path in files for item in _file_pairs(path, pairs, settings)]
    for sequence in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []:
        items += _folder_pairs(sequence, pairs, settings)
    if not items:
        raise NoDataError(_no_data(root, "none of them"))
    return items


def rf_csv_pairs(path: str | Path) -> list[dict[str, Any]]:
    """Return the pairs of a CSV file with the columns case, pre, post and optionally pre_frame, post_frame, sequence.

    Raises:
        UnusableFileError: if a column is missing or a frame is no number.
    """
    path = Path(path)
    items = []
    for row in read_table(path):
        if not {"case", "pre", "post"} <= set(row):
            raise UnusableFileError(f"{path}: expected the columns case, pre, post, found {', '.join(row)}")
        frames = [row.get("pre_frame") or "0", row.get("post_frame") or ("1" if row["pre"] == row["post"] else "0")]
        if not all(frame.isdigit() for frame in frames):
            raise UnusableFileError(f"{path}: expected frame numbers from 0, found {frames} for {row['case']}")
        files = [str(path.parent / row[name]) for name in ("pre", "post")]
        items.append(_item(row["case"], row.get("sequence") or row["case"], files, [int(frame) for frame in frames]))
    return items


def _names(sequences: str | int | Sequence[str | int]) -> set[str]:
    parts = str(sequences).split(",") if isinstance(sequences, (str, int)) else sequences
    return {str(part).strip() for part in parts}


def _file_pairs(path: Path, pairs: str, settings: RfSettings | None) -> list[dict[str, Any]]:
    count = _count(path, settings)
    if count <= 2:
        # A file of one frame is listed too: loading it says what is missing, and the others go on.
        return [_item(path.stem, path.stem, [str(path)] * 2, [0, 1])]
    chosen = _chosen(count, pairs)
    return [_item(f"{path.stem}_{a + 1}_{b + 1}", path.stem, [str(path)] * 2, [a, b]) for a, b in chosen]


def _folder_pairs(folder: Path, pairs: str, settings: RfSettings | None) -> list[dict[str, Any]]:
    files = _rf_files(folder)
    if len(files) == 1:
        return _file_pairs(files[0], pairs, settings)
    return [
        _item(f"{folder.name}_{a + 1}_{b + 1}", folder.name, [str(files[a]), str(files[b])], [0, 0])
        for a, b in _chosen(len(files), pairs)
    ]


def _count(path: Path, settings: RfSettings | None) -> int:
    """Return the number of frames in a file; an unreadable one counts as a pair, so that loading it names the error."""
    try:
        return frame_shape(path, settings)[0]
    except UnusableFileError:
        return 2


def _chosen(count: int, pairs: str) -> list[tuple[int, int]]:
    if pairs == "consecutive":
        return list(itertools.pairwise(range(count)))
    if pairs == "first":
        return [(0, later) for later in range(1, count)]
    return list(itertools.combinations(range(count), 2))


def _item(case: str, sequence: str, files: Sequence[str], frames: Sequence[int]) -> dict[str, Any]:
    return {
        "case": case,
        "sequence": sequence,
        "pre": files[0],
        "post": files[1],
        "pre_frame": frames[0],
        "post_frame": frames[1],
    }


def _rf_files(folder: Path) -> list[Path]:
    """Return the RF files of a folder in order of name; the `.raw` beside an `.mhd` of the same name is its data."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in rf_suffixes())
    headers = {path.stem for path in files if path.suffix.lower() == ".mhd"}
    return [path for path in files if path.suffix.lower() != ".raw" or path.stem not in headers]


def _in_splits(
    items: list[dict[str, Any]], wanted: Collection[str], fold: int, folds: int, seed: int
) -> list[dict[str, Any]]:
    """Return the items of the wanted splits; all pairs of a sequence are in one."""
    check_fold(fold, folds)
    sequences = {item["sequence"]: item["sequence"] for item in items}
    splits = assign_splits(sequences, fold, folds, seed, wrap=True)
    return [item for item in items if splits[item["sequence"]] in wanted]


def _no_data(root: Path, found: str) -> str:
    return (
        f"{root}: expected RF frame pairs ({', '.join(rf_suffixes())}): files of two or more frames, folders of one "
        f"frame a file, {_PAIRS_FILE}, or these below training/, validation/ and test/; found {found}. Simulated ones, "
        f"in the repository: python -m common simulate elasto_flow {root}"
    )
