"""Datalists of RF frame pairs: simulated or measured files, sequences in folders, or a CSV of pairs."""

import itertools
import logging
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ..data.listing import listed_file, report_unused, visible_files
from ..data.output import OutputFolder
from ..data.splits import SPLITS, assign_splits, check_fold, wanted_splits
from ..data.stored_volume import stored_volume
from ..data.tables import read_table
from ..errors import NoDataError, UnusableFileError
from ..files import write_csv
from .formats import frame_shape
from .readers import rf_suffixes
from .selection import selected_items
from .settings import RfSettings

_PAIRS_FILE = "pairs.csv"
_SELECTION_FILE = "selection.csv"

logger = logging.getLogger(__name__)


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
    two frames or a sequence each; folders that hold a sequence each, one frame a file in order of name (frame2 before
    frame10), the folder itself among them; and any of these below folders named training, validation and test. Files
    that are not RF are named in the log.

    Args:
        dataset_dir: the folder, or one file.
        split: "training", "validation", "test", several joined by "+", "development" (the first two) or "all".
        fold: which of `folds` parts is the test; the next one is the validation. Whole sequences go to a part.
        folds: number of parts; with fewer sequences than that each sequence is a part.
        seed: shuffles the sequences.
        pairs: of a sequence's frames, "consecutive" pairs, pairs of the "first" with each later one, "every" pair, or
            the "best" ones: of each frame the later one with which the strain is clearest, if it is in range and the
            frames match (:func:`common.rf.selected_items`).
        sequences: names of the only sequences to take, joined by "," or as a list; numbers are names too, as the
            command line turns 299,300 into them.
        settings: how files are read (their number of frames is needed to list pairs).

    Raises:
        NoDataError: if there is no RF in any of the layouts, nothing in the split, or not the wanted sequence.
        ValueError: for other values of `split`, `fold`, `folds` or `pairs`.
    """
    wanted = wanted_splits(split)
    root = Path(dataset_dir)
    if not root.is_dir() and not root.is_file():
        raise NoDataError(_no_data(root, "no such folder"))
    fixed = [name for name in SPLITS if (root / name).is_dir()]
    if fixed:
        outside = [path for path in visible_files(root) if path.relative_to(root).parts[0] not in SPLITS]
        report_unused(root, dict.fromkeys(outside, f"not in one of the folders {', '.join(fixed)}"))
        items = [item for name in fixed if name in wanted for item in rf_pairs(root / name, pairs, settings)]
    else:
        items = rf_pairs(root, pairs, settings)
    if sequences:
        held, asked = {item["sequence"] for item in items}, _names(sequences)
        if not asked <= held:
            raise NoDataError(
                f"{root}: expected the sequences {', '.join(sorted(asked))}, found {', '.join(sorted(held))}"
            )
        items = [item for item in items if item["sequence"] in asked]
    if not fixed and split != "all":
        items = _in_splits(items, wanted, fold, folds, seed)
    if not items:
        raise NoDataError(_no_data(root, f"no pair for split {split!r}"))
    return items


def rf_pairs(
    folder: str | Path,
    pairs: str = "consecutive",
    settings: RfSettings | None = None,
    output: OutputFolder | None = None,
) -> list[dict[str, Any]]:
    """Return the pairs of a folder without splitting it; see :func:`rf_datalist`.

    Args:
        folder, pairs, settings: see there.
        output: where `selection.csv` lists the pairs that were looked at for `pairs` "best", with strain, correlation
            and the reason why one is left out; None names them in the log only.

    Raises:
        NoDataError: if there is none, or none worth measuring.
        ValueError: for another value of `pairs`.
    """
    if pairs not in ("consecutive", "first", "every", "best"):
        raise ValueError(f"pairs: expected 'consecutive', 'first', 'every' or 'best', found {pairs!r}")
    if pairs == "best":
        return _best(Path(folder), rf_pairs(folder, "every", settings), settings, output)
    root = Path(folder)
    if not root.exists():
        raise NoDataError(_no_data(root, "no such folder or file"))
    if root.is_file():
        is_table = root.suffix.lower() == ".csv"
        return rf_csv_pairs(root) if is_table else _file_pairs(root, root.stem, pairs, _count(root, settings))
    files = visible_files(root)
    if (root / _PAIRS_FILE).is_file():
        items = rf_csv_pairs(root / _PAIRS_FILE)
        named = {root / _PAIRS_FILE, *(Path(item[key]) for item in items for key in ("pre", "post"))}
        report_unused(root, {path: f"not in {_PAIRS_FILE}" for path in _rf_files(files)[0] if path not in named})
        return items
    used, unused = _rf_files(files)
    items = []
    for parent, members in itertools.groupby(sorted(used, key=lambda path: path.parent), lambda path: path.parent):
        items += _folder_pairs("_".join(parent.relative_to(root).parts), root, list(members), pairs, settings)
    report_unused(root, dict.fromkeys(unused, f"no RF file that is read ({', '.join(rf_suffixes())})"))
    if not items:
        raise NoDataError(_no_data(root, "none of them"))
    return items


def rf_csv_pairs(path: str | Path) -> list[dict[str, Any]]:
    """Return the pairs of a CSV file with the columns case, pre, post and optionally pre_frame, post_frame, sequence.

    A frame that is no number is left for :class:`common.rf.LoadRfPaird` to refuse, so that the other pairs go on.

    Raises:
        UnusableFileError: if the file is no table, a column is missing, or there is no pair.
    """
    path = Path(path)
    items = []
    for number, row in enumerate(read_table(path), 1):
        row = {name.casefold(): value for name, value in row.items()}
        if not {"case", "pre", "post"} <= set(row):
            raise UnusableFileError(f"{path}: expected the columns case, pre, post, found {', '.join(row)}")
        case = row["case"] or f"pair_{number}"
        frames = [row.get("pre_frame") or "0", row.get("post_frame") or ("1" if row["pre"] == row["post"] else "0")]
        files = [str(listed_file(path.parent, row[name])) for name in ("pre", "post")]
        numbers = [int(frame) if frame.isdecimal() else frame for frame in frames]
        items.append(_item(case, row.get("sequence") or case, files, numbers))
    if not items:
        raise UnusableFileError(f"{path}: expected a pair in each row, found no row below the column names")
    return items


def _best(
    root: Path, items: list[dict[str, Any]], settings: RfSettings | None, output: OutputFolder | None
) -> list[dict[str, Any]]:
    seen = selected_items(items, settings)
    if output is not None:
        write_csv(output.file(_SELECTION_FILE), [{**item, "chosen": not item["reason"]} for item in seen])
    kept = {item["case"] for item in seen if not item["reason"]}
    for item in seen:
        if item["reason"]:
            logger.info("%s left out: %s", item["case"], item["reason"])
    if not kept:
        reasons = "; ".join(f"{item['case']}: {item['reason']}" for item in seen[:3])
        raise NoDataError(f"{root}: expected a pair worth measuring, found {len(seen)} that are not ({reasons}, ...)")
    return [item for item in items if item["case"] in kept]


def _names(sequences: str | int | Sequence[str | int]) -> set[str]:
    parts = str(sequences).split(",") if isinstance(sequences, (str, int)) else sequences
    return {str(part).strip() for part in parts}


def _file_pairs(path: Path, name: str, pairs: str, count: int | None) -> list[dict[str, Any]]:
    if count is None or count <= 2:
        # A file of one frame, or a damaged one, is listed too: loading it says what is missing, and the others go on.
        return [_item(name, name, [str(path)] * 2, [0, 1])]
    return [_item(f"{name}_{a + 1}_{b + 1}", name, [str(path)] * 2, [a, b]) for a, b in _chosen(count, pairs)]


def _folder_pairs(
    name: str, root: Path, files: list[Path], pairs: str, settings: RfSettings | None
) -> list[dict[str, Any]]:
    """Return the pairs of the files of one folder: single frames are a sequence, the others are one each."""
    counts = {path: _count(path, settings) for path in files}
    several = 1 in counts.values() and len(files) > 1
    # A frame that cannot be read keeps its place: its neighbours are no consecutive pair.
    frames = sorted((path for path in files if several and counts[path] in (1, None)), key=_natural_order)
    if len(frames) < 2:
        frames = []
    sequence = name or root.resolve().name
    # Among files of several frames a damaged one may be either: it keeps its place, and fails under its own name.
    most = max(filter(None, counts.values()), default=0)
    doubtful = {path for path in frames if counts[path] is None and most > 1}
    items = [
        _item(f"{sequence}_{a + 1}_{b + 1}", sequence, [str(frames[a]), str(frames[b])], [0, 0])
        for a, b in _chosen(len(frames), pairs)
        if not doubtful & {frames[a], frames[b]}
    ]
    paired = {item[end] for item in items for end in ("pre", "post")}
    for path in files:
        if str(path) not in paired:
            items += _file_pairs(path, f"{name}_{path.stem}" if name else path.stem, pairs, counts[path])
    return items


def _natural_order(path: Path) -> list[tuple[int, str]]:
    """Return a key by which frame2 comes before frame10."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in parts]


def _count(path: Path, settings: RfSettings | None) -> int | None:
    """Return the number of frames in a file; None if it cannot be read, so that loading it names the error."""
    try:
        return frame_shape(path, settings)[0]
    except UnusableFileError:
        return None


def _chosen(count: int, pairs: str) -> list[tuple[int, int]]:
    if pairs == "consecutive":
        return list(itertools.pairwise(range(count)))
    if pairs == "first":
        return [(0, later) for later in range(1, count)]
    return list(itertools.combinations(range(count), 2))


def _item(case: str, sequence: str, files: Sequence[str], frames: Sequence[int | str]) -> dict[str, Any]:
    return {
        "case": case,
        "sequence": sequence,
        "pre": files[0],
        "post": files[1],
        "pre_frame": frames[0],
        "post_frame": frames[1],
    }


def _rf_files(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the RF files, and those that are neither RF nor the values of a header among them."""
    used = {path: None for path in files if path.suffix.lower() in rf_suffixes()}  # in order, and quick to look up
    values = {_values_of(path) for path in used if path.suffix.lower() == ".mhd"}
    unused = [path for path in files if path not in used and path not in values]
    return [path for path in used if path not in values], unused


def _values_of(header: Path) -> Path:
    """Return the file that holds the values of a header; by its name if the header cannot be read."""
    try:
        volume = stored_volume(header)
    except UnusableFileError:
        volume = None
    return volume.data if volume and volume.data else header.with_suffix(".raw")


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
