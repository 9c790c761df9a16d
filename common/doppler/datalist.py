"""Datalists of Doppler images: folders of DICOM files or pictures, with labels.csv or without."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.splits import assign_splits, check_fold, wanted_splits
from ..errors import NoDataError, UnusableFileError
from .calibration import DopplerCalibration
from .labels import DopplerLabel, Row, doppler_label, read_label_rows, row_calibration
from .reader import PICTURE_SUFFIXES, check_doppler

_LOG = logging.getLogger(__name__)

LABELS = "labels.csv"
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")


def doppler_datalist(
    dataset_dir: str | Path,
    split: str = "training",
    fold: int = 0,
    folds: int = 5,
    seed: int = 0,
    labelled: bool = True,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return one item an image: case, image, and peaks (and calibration, if labels.csv has one) where `labelled`.

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
        ValueError: if `split`, `fold` or `folds` is outside its range.
    """
    wanted = wanted_splits(split)
    check_fold(fold, folds)
    root = Path(dataset_dir)
    images = _images(root)
    labels = _labels(root, images)
    if labelled and not labels:
        raise NoDataError(
            f"{root}: expected images with {LABELS} (filename,wave,x,y or filename,x1,y1,x2,y2), found "
            f"{len(images)} images and no usable label. {_remedy(root)}"
        )
    patients = {name: label.patient or name for name, label in labels.items()}
    splits = assign_splits(patients, fold, folds, seed, shuffle="python")
    items = [_item(name, images[name], labels[name]) for name, part in splits.items() if part in wanted]
    if not labelled:
        items = [{"case": item["case"], "image": item["image"]} for item in items]
        spare = {name: name for name in set(images) - set(labels) if _is_usable(images[name], name)}
        # Nothing can be tested without a label, so what would be the test trains.
        items += [
            {"case": _case(name), "image": str(images[name])}
            for name, part in assign_splits(spare, fold, folds, seed, shuffle="python").items()
            if part.replace("test", "training") in wanted
        ]
    if not items:
        raise NoDataError(f"{root}: expected images in {split} of fold {fold}, found none among {len(images)}.")
    return items[:limit]


def doppler_cases(dataset_dir: str | Path) -> list[dict[str, Any]]:
    """Return {"case", "image"} of every image of a folder, or of one file, with the calibration in labels.csv, if any.

    Raises:
        NoDataError: if there is none.
    """
    path = Path(dataset_dir)
    if path.is_file():
        images, found = {path.name: path}, {path.name: _rows_beside(path)}
    else:
        images = _images(path)
        found = _matched(read_label_rows(path / LABELS) if (path / LABELS).is_file() else {}, images, path)
    return [
        {"case": _case(name), "image": str(image), **_calibration_entry(found.get(name, []), image)}
        for name, image in images.items()
    ]


def _rows_beside(image: Path) -> list[Row]:
    """Return the rows of one image in the labels.csv beside it; a table of another kind has none."""
    try:
        rows = read_label_rows(image.parent / LABELS) if (image.parent / LABELS).is_file() else {}
    except UnusableFileError as error:
        _LOG.warning("calibration left out: %s", error)
        return []
    return rows.get(image.name) or rows.get(image.stem) or []


def _calibration_entry(rows: Sequence[Row], image: Path) -> dict[str, DopplerCalibration]:
    try:
        calibration = row_calibration(rows, image)
    except UnusableFileError as error:
        _LOG.warning("calibration left out: %s", error)
        return {}
    return {"calibration": calibration} if calibration else {}


def _images(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        raise NoDataError(f"{root}: expected a folder of Doppler images, found none. {_remedy(root)}")
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    images = {path.relative_to(root).as_posix(): path for path in files if _is_image(path)}
    if not images:
        raise NoDataError(
            f"{root}: expected DICOM files or pictures ({', '.join(PICTURE_SUFFIXES)}), with {LABELS} for training, "
            f"found {len(files)} files of other kinds. {_remedy(root)}"
        )
    return images


def _is_image(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in PICTURE_SUFFIXES or suffix in DICOM_SUFFIXES:
        return True
    if suffix in (".csv", ".json", ".txt", ".md", ".xlsx", ".pdf"):
        return False
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _labels(root: Path, images: Mapping[str, Path]) -> dict[str, DopplerLabel]:
    if not (root / LABELS).is_file():
        return {}
    labels = {}
    for name, rows in _matched(read_label_rows(root / LABELS), images, root).items():
        try:
            labels[name] = doppler_label(rows, check_doppler(images[name]), images[name])
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
        for alias in {name, Path(name).name, Path(name).stem}:
            by_alias.setdefault(alias, set()).add(name)
    matched: dict[str, list[Row]] = {}
    for filename, lines in rows.items():
        names = {filename} if filename in images else by_alias.get(filename, set())
        if len(names) != 1:
            problem = "no image of this name" if not names else f"{len(names)} images of this name: give the path"
            _LOG.warning("%s: label of %s left out: %s", root / LABELS, filename, problem)
            continue
        matched.setdefault(names.pop(), []).extend(lines)
    return matched


def _item(name: str, image: Path, label: DopplerLabel) -> dict[str, Any]:
    item: dict[str, Any] = {"case": _case(name), "image": str(image), "peaks": label.peaks}
    return item | ({"calibration": label.calibration} if label.calibration else {})


def _case(name: str) -> str:
    return Path(name).with_suffix("").as_posix().replace("/", "_")


def _remedy(root: Path) -> str:
    return f"In the repository, `python -m common simulate doppler_keypoint {root}` fills it with simulated ones."
