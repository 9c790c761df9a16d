"""Images and masks of end-diastole and end-systole, slice by slice, from any data set that has both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ...data.listing import visible_files
from ...data.splits import assign_splits, wanted_splits
from ...errors import NoDataError, UnusableFileError
from ..labels import ejection_fraction_from_masks, hf_class
from ..layouts import cine_patients
from ..nifti import open_nifti, read_nifti_cine, read_voxels
from ..patients import CinePatient

_DIASTOLE = ("_ED_image.nii.gz", "_ED_image.nii")


@dataclass(frozen=True)
class PhasePair:
    """One patient at end-diastole and end-systole, in the slices that show the cavity in both.

    Attributes:
        case: name of the patient.
        images: (2, S, H, W) float32, end-diastole first.
        masks: (2, S, H, W) bool, the cavity of the left ventricle.
        spacing_mm: between rows, columns and slices.
    """

    case: str
    images: NDArray[np.float32]
    masks: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]

    @property
    def ef(self) -> float:
        """Ejection fraction of these slices in percent."""
        return ejection_fraction_from_masks(*self.masks)


def phase_pairs(
    sources: str | Path | Sequence[str | Path], split: str = "all", folds: int = 5, seed: int = 0
) -> list[PhasePair]:
    """Return the patients of folders that have images and cavity masks of both phases, in order of their names.

    Args:
        sources: folders, each with files NAME_ED_image, NAME_ED_lv, NAME_ES_image and NAME_ES_lv (.nii or .nii.gz), or
            with patients in the layout of ACDC or M&Ms.
        split: part of the patients: "training", "validation", "test", several joined by "+", or "all".
        folds: the last two of so many parts are "validation" and "test"; both classes are dealt evenly.
        seed: shuffles the patients.

    Raises:
        NoDataError: if a folder has no such patient, or none is left.
        UnusableFileError: if a file is damaged, the two phases do not fit together, or two patients have one name.
    """
    wanted = wanted_splits(split)
    folders = [sources] if isinstance(sources, str | Path) else list(sources)
    pairs: dict[str, PhasePair] = {}
    for folder in folders:
        for pair in _pairs(Path(folder)):
            if pairs.setdefault(pair.case, pair) is not pair:
                raise UnusableFileError(
                    f"{folder}: expected a name of its own for each patient, found two {pair.case}."
                )
    strata = {case: hf_class(pair.ef) for case, pair in pairs.items()}
    parts = assign_splits({case: case for case in pairs}, folds - 1, folds, seed, strata, wrap=True)
    chosen = [pairs[case] for case in sorted(pairs) if parts[case] in wanted]
    if not chosen:
        raise NoDataError(f"{', '.join(map(str, folders))}: no patient is left in {split!r} of {len(pairs)}.")
    return chosen


def _pairs(folder: Path) -> list[PhasePair]:
    diastoles = [path for path in visible_files(folder) if path.name.endswith(_DIASTOLE)] if folder.is_dir() else []
    readers: list[Callable[[], PhasePair]] = [partial(_read_files, path) for path in diastoles]
    if not readers:
        try:
            patients = cine_patients(folder)
        except NoDataError:
            patients = []
        readers = [partial(_read_patient, patient) for patient in patients if patient.phases is not None]
    if not readers:
        found = f"none among {len(patients)} patients" if folder.is_dir() else "no such folder"
        raise NoDataError(
            f"{folder}: expected images and masks of end-diastole and end-systole (NAME_ED_image.nii.gz, NAME_ED_lv, "
            f"NAME_ES_image, NAME_ES_lv; or ACDC, M&Ms), found {found}."
        )
    return [read() for read in tqdm(readers, desc="reading hearts", unit="patient")]


def _read_files(diastole: Path) -> PhasePair:
    name, end = diastole.name.split("_ED_image", 1)
    volumes, affines, sizes = {}, [], []
    for part in ("ED_image", "ED_lv", "ES_image", "ES_lv"):
        path = diastole.with_name(f"{name}_{part}{end}")
        image = open_nifti(path)
        if len(image.shape) != 3:
            raise UnusableFileError(f"{path}: expected a volume of three axes, found shape {image.shape}.")
        volumes[part] = read_voxels(path, image).transpose(2, 1, 0)
        _check_volume(path, volumes[part], is_mask=part.endswith("lv"))
        affines.append(image.affine[:3, :3])
        sizes.append(image.header.get_zooms()[:3])
    if not all(np.allclose(affine, affines[0], atol=0.01 * min(sizes[0])) for affine in affines):
        raise UnusableFileError(
            f"{diastole}: expected one pixel size and orientation in images and masks of both phases, found several; "
            "correct the headers."
        )
    column, row, between = (float(size) for size in sizes[0])
    images = volumes["ED_image"], volumes["ES_image"]
    masks = volumes["ED_lv"] > 0, volumes["ES_lv"] > 0
    for phase, image, mask in zip(("ED", "ES"), images, masks, strict=True):
        if image.shape != mask.shape or image.shape[1:] != images[0].shape[1:]:
            found = f"{image.shape} and a mask of {mask.shape}"
            raise UnusableFileError(f"{diastole}: expected images and masks of one size, found {found} at {phase}.")
    first, second = matching_slices(*images)
    return _checked(
        name,
        [i[s] for i, s in zip(images, (first, second), strict=True)],
        [m[s] for m, s in zip(masks, (first, second), strict=True)],
        (row, column, between),
        diastole,
    )


def _check_volume(path: Path, voxels: NDArray, is_mask: bool) -> None:
    if not np.isfinite(voxels).all() or voxels.min() == voxels.max():
        raise UnusableFileError(f"{path}: expected numbers that differ, found NaN or one value; leave this heart out.")
    values = np.unique(voxels) if is_mask else ()
    if len(values) > 2:
        raise UnusableFileError(f"{path}: expected a mask of the cavity alone, found {len(values)} values.")


def _read_patient(patient: CinePatient) -> PhasePair:
    if patient.phases is None:
        raise UnusableFileError(f"{patient.image}: expected masks of both phases, found none.")
    phases, cine = patient.phases(patient), read_nifti_cine(patient.image)
    column, row, between = (float(size) for size in open_nifti(patient.image).header.get_zooms()[:3])
    numbers = [found.number for found in cine.slices]
    least = min(len(found.frames) for found in cine.slices)
    if max(phases.frames) >= least:
        raise UnusableFileError(
            f"{patient.image}: expected frames {phases.frames}, from 0, of both phases, found {least}."
        )
    images = [np.stack([found.frames[frame] for found in cine.slices]) for frame in phases.frames]
    masks = [mask.transpose(2, 1, 0)[numbers] for mask in (phases.diastole, phases.systole)]
    return _checked(patient.case, images, masks, (row, column, between), patient.image)


def _checked(
    case: str, images: Sequence[NDArray], masks: Sequence[NDArray], spacing_mm: tuple[float, float, float], source: Path
) -> PhasePair:
    shown = masks[0].any(axis=(1, 2)) & masks[1].any(axis=(1, 2))  # no motion makes a cavity vanish
    pair = PhasePair(
        case, np.stack(images)[:, shown].astype(np.float32), np.stack(masks)[:, shown].astype(bool), spacing_mm
    )
    if not 0 < np.count_nonzero(pair.masks[1]) < np.count_nonzero(pair.masks[0]):
        raise UnusableFileError(
            f"{source}: expected a cavity that is smaller at end-systole; are the phases exchanged?"
        )
    return pair


def matching_slices(diastole: NDArray, systole: NDArray) -> tuple[slice, slice]:
    """Return which slices (S, H, W) of two stacks of one patient lie at the same place.

    The shorter stack is shifted along the longer one to where both look most alike: where slices at an end show no
    cavity at end-systole, some data sets leave them out without saying at which end.
    """
    longer, shorter = (diastole, systole) if len(diastole) >= len(systole) else (systole, diastole)
    count = len(shorter)
    first, second = _standardised(longer), _standardised(shorter)
    likeness = [float(np.mean(first[k : k + count] * second)) for k in range(len(longer) - count + 1)]
    best = int(np.argmax(likeness))
    whole, part = slice(0, count), slice(best, best + count)
    return (part, whole) if longer is diastole else (whole, part)


def _standardised(stack: NDArray) -> NDArray:
    mean, sd = stack.mean(axis=(1, 2), keepdims=True), stack.std(axis=(1, 2), keepdims=True)
    return np.asarray((stack - mean) / np.maximum(sd, 1e-6))
