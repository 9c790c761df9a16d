"""Datalists of Doppler images: folders of DICOM files or pictures, with labels.csv or without."""

import logging
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.dicom import is_dicom
from ..data.listing import case_name, report_unused, visible_files
from ..data.splits import assign_splits, check_fold, wanted_splits
from ..errors import NoDataError, UnusableFileError
from .labels import DopplerLabel, Row, doppler_label, read_label_rows, row_trace
from .reader import PICTURE_SUFFIXES, check_doppler
from .video import VIDEO_SUFFIXES

_LOG = logging.getLogger(__name__)

LABELS = "labels.csv"
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
SUFFIXES = (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES, *DICOM_SUFFIXES)


def doppler_datalist(
    dataset_dir: str | Path,
    split: str = "training",
    fold: int = 0,
    folds: int = 5,
    seed: int = 0,
    labelled: bool = True,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return one item an image: case, image, and where `labelled` peaks (and box, calibration that labels.csv has).

    An image that cannot be used is logged by name, with the reason, and left out; so is a label without an image.

    Args:
        dataset_dir: folder with images (DICOM, PNG, JPEG; subfolders too) and, where `labelled`, labels.csv.
        split: "training", "validation", "test", several joined by "+", "development" (the first two) or "all".
        fold: which of `folds` parts is the test; the next one is the validation.
        folds: parts of the cross-validation; images of one `patient_id` of labels.csv stay together.
        seed: shuffles the patients.
        labelled: False lists the images without labels too (for stage 1); labelled images keep their part.
        limit: keep this many items only, the first of the shuffled order (for curves over the number of labels).

    Raises:
        NoDataError: if the folder holds no image, or none with a label where they are needed, or a split is empty.
        UnusableFileError: if labels.csv has other columns.
        ValueError: if `split`, `fold`, `folds` or `limit` is outside its range.
    """
    wanted = wanted_splits(split)
    check_fold(fold, folds)
    if limit is not None and limit < 1:
        raise ValueError(f"labels: expected at least 1 image, or null for all, found {limit}")
    root = Path(str(dataset_dir))
    images = _images(root)
    labels = _labels(root, images)
    if labelled:
        report_unused(root, {path: f"no usable row in {LABELS}" for name, path in images.items() if name not in labels})
    if labelled and not labels:
        raise NoDataError(
            f"{root}: expected images with {LABELS} (filename,wave,x,y or filename,x1,y1,x2,y2), found "
            f"{len(images)} images and no usable label. {_remedy(root)}"
        )
    case_of = _case_names(images)
    patients = {name: label.patient or name for name, label in labels.items()}
    splits = assign_splits(patients, fold, folds, seed, shuffle="python")
    items = [_item(case_of[name], images[name], labels[name]) for name, part in splits.items() if part in wanted]
    if not labelled:
        items = [{"case": item["case"], "image": item["image"]} for item in items]
        spare = {name: name for name in set(images) - set(labels) if _is_usable(images[name], name)}
        # Nothing can be tested without a label, so what would be the test trains.
        items += [
            {"case": case_of[name], "image": str(images[name])}
            for name, part in assign_splits(spare, fold, folds, seed, shuffle="python").items()
            if part.replace("test", "training") in wanted
        ]
    if not items:
        raise NoDataError(f"{root}: expected images in {split} of fold {fold}, found none among {len(images)}.")
    return items[:limit]


def doppler_cases(dataset_dir: str | Path) -> list[dict[str, Any]]:
    """Return {"case", "image"} of every image of a folder, or of one file, with what labels.csv says, if anything.

    That is "box" and "calibration"; what it says wrongly stands under "problem", so that the case fails by name.

    Raises:
        NoDataError: if there is none.
    """
    path = Path(str(dataset_dir))
    if path.is_file():
        images, found = {path.name: path}, {path.name: _rows_beside(path)}
    else:
        images = _images(path)
        found = _matched(
            read_label_rows(path / LABELS, with_peaks=False) if (path / LABELS).is_file() else {}, images, path
        )
    case_of = _case_names(images)
    return [
        {"case": case_of[name], "image": str(image), **_trace_entries(found.get(name, []), image)}
        for name, image in images.items()
    ]


def _rows_beside(image: Path) -> list[Row]:
    """Return the rows of one image in the labels.csv beside it; a table of another kind has none."""
    table = image.parent / LABELS
    try:
        rows = read_label_rows(table, with_peaks=False) if table.is_file() else {}
    except UnusableFileError as error:
        _LOG.warning("calibration left out: %s", error)
        return []
    return rows.get(image.name) or rows.get(case_name(image, SUFFIXES)) or []


def _trace_entries(rows: Sequence[Row], image: Path) -> dict[str, Any]:
    if not rows:
        return {}
    try:
        header = check_doppler(image)
        box, calibration = row_trace(rows, header.size, image, header.own)
    except UnusableFileError as error:
        return {"problem": str(error)}
    return _known(box=box, calibration=calibration)


def _known(**entries: Any) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if value is not None}


def _images(root: Path) -> dict[str, Path]:
    """Return the images by their path in the folder; what else is there is warned of."""
    if not root.is_dir():
        raise NoDataError(f"{root}: expected a folder of Doppler images, found none. {_remedy(root)}")
    reasons = {path: _reason_against(path) for path in visible_files(root) if path != root / LABELS}
    images = {path.relative_to(root).as_posix(): path for path, reason in reasons.items() if not reason}
    if not images:
        raise NoDataError(
            f"{root}: expected DICOM files, pictures or videos ({', '.join(SUFFIXES)}), with {LABELS} for training, "
            f"found {len(reasons)} files of other kinds. {_remedy(root)}"
        )
    report_unused(root, {path: reason for path, reason in reasons.items() if reason})
    return images


def _reason_against(path: Path) -> str:
    """Return why a file is no Doppler image; empty if it may be one."""
    if path.suffix.lower() in SUFFIXES:
        return ""
    try:
        return (
            ""
            if is_dicom(path)
            else f"neither DICOM, picture nor video ({', '.join((*PICTURE_SUFFIXES, *VIDEO_SUFFIXES))})"
        )
    except OSError as error:
        return f"cannot be opened ({error.strerror})"


def _labels(root: Path, images: Mapping[str, Path]) -> dict[str, DopplerLabel]:
    if not (root / LABELS).is_file():
        return {}
    labels = {}
    for name, rows in _matched(read_label_rows(root / LABELS), images, root).items():
        try:
            header = check_doppler(images[name])
            labels[name] = doppler_label(rows, header.size, images[name], header.own)
        except UnusableFileError as error:
            _LOG.warning("%s: left out: %s", _case(name), error)
    return labels


def _is_usable(image: Path, name: str) -> bool:
    try:
        check_doppler(image)
    except UnusableFileError as error:
        _LOG.warning("%s: left out: %s", _case(name), error)
        return False
    return True


def _matched(rows: Mapping[str, list[Row]], images: Mapping[str, Path], root: Path) -> dict[str, list[Row]]:
    """Return the rows by the image's path in the folder; labels may give the path, the name, or the bare stem."""
    by_alias: dict[str, set[str]] = {}
    for name in images:
        stem = case_name(name, SUFFIXES)
        for alias in {name, Path(name).name, stem, Path(name).with_name(stem).as_posix()}:
            by_alias.setdefault(alias, set()).add(name)
    matched: dict[str, list[Row]] = {}
    for filename, lines in rows.items():
        given = filename if filename in images else posixpath.normpath(filename.replace("\\", "/"))
        names = {given} if given in images else by_alias.get(given, set())
        if len(names) != 1:
            problem = "no image of this name" if not names else f"{len(names)} images of this name: give the path"
            _LOG.warning("%s: label of %s left out: %s", root / LABELS, filename, problem)
            continue
        matched.setdefault(names.pop(), []).extend(lines)
    return matched


def _item(case: str, image: Path, label: DopplerLabel) -> dict[str, Any]:
    item: dict[str, Any] = {"case": case, "image": str(image), "peaks": label.peaks, "durations": label.durations_s}
    return item | _known(box=label.box, calibration=label.calibration)


def _case(name: str) -> str:
    return "_".join([*Path(name).parts[:-1], case_name(name, SUFFIXES)])


def _case_names(names: Iterable[str]) -> dict[str, str]:
    """Return a case for each file; files that differ in the suffix only keep it, a/b.png beside a_b.png is a__b.png."""
    cases = {name: _case(name) for name in names}
    for separator in ("_", "__"):
        often = Counter(cases.values())
        cases = {name: case if often[case] == 1 else separator.join(Path(name).parts) for name, case in cases.items()}
    return cases


def _remedy(root: Path) -> str:
    return f"In the repository, `python -m common simulate doppler_keypoint {root}` fills it with simulated ones."
