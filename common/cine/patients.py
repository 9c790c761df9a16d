"""A patient of a cine data set: where the images are, how the ejection fraction is known, which slices serve."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.listing import visible_files
from ..errors import UnusableFileError
from .dicom import load_stack, read_stack
from .labels import ejection_fraction_from_masks, hf_class
from .nifti import is_nifti, read_nifti_cine
from .reader import cine_image, looks_like_dicom
from .stacks import Stack

_LOG = logging.getLogger(__name__)
# Frames and masks that the layouts keep beside the cine, by what follows the patient's name.
_COMPANIONS = r"(_frame\d+(_gt)?|_sa_gt)\.nii(\.gz)?"


@dataclass(frozen=True)
class Measurement:
    """What masks or contours say: ejection fraction in percent, and the slices that hold the cavity at diastole."""

    ef: float
    ventricle: frozenset[int]


@dataclass(frozen=True)
class Phases:
    """End-diastole and end-systole as masks tell them: index of each frame, and the cavity in it, (x, y, slice)."""

    frames: tuple[int, int]
    diastole: NDArray[np.bool_]
    systole: NDArray[np.bool_]

    def measurement(self) -> Measurement:
        """Return the ejection fraction and the slices that hold the cavity at end-diastole."""
        slices = frozenset(int(k) for k in np.flatnonzero(self.diastole.any(axis=(0, 1))))
        return Measurement(ejection_fraction_from_masks(self.diastole, self.systole), slices)


@dataclass
class CinePatient:
    """One patient of a data set; files are opened only when a property is asked for.

    Attributes:
        case: name from the folder or file.
        image: what `read_cine` takes.
        root: folder or file that holds all of the patient.
        ef: ejection fraction in percent from a table, or None.
        known_class: threshold -> class, for data sets that publish a class and no ejection fraction.
        measure: measures masks or contours of this patient, or None where there are none.
        phases: reads the masks of both phases, for data sets that have masks.
        source: the patient whose images this one was made of, if another; folds keep both together.
        doubts: why this may not be a patient.
    """

    case: str
    image: Path
    root: Path
    ef: float | None = None
    known_class: Callable[[float], int | None] | None = None
    measure: Callable[[CinePatient], Measurement] | None = None
    phases: Callable[[CinePatient], Phases] | None = None
    source: str = ""
    doubts: list[str] = field(default_factory=list)

    @cached_property
    def stack(self) -> Stack:
        """Slices and frames of a DICOM patient from the headers."""
        return read_stack(self.image)

    @cached_property
    def measurement(self) -> Measurement | None:
        """Ejection fraction and slices from masks or contours, or None where they are missing or unusable."""
        try:
            if self.phases is not None:
                return self.phases(self).measurement()
            return None if self.measure is None else self.measure(self)
        except (ValueError, OSError) as error:
            _LOG.warning("%s: no ejection fraction from masks or contours: %s", self.case, error)
            return None

    def unread(self) -> dict[Path, str]:
        """Return the images in `root` that are neither read nor belong to the one that is, with the reason."""
        unread: dict[Path, str] = {}
        if self.image.is_dir():
            entries = [path for path in self.root.iterdir() if not path.name.startswith(".")]
            others = sorted(path for path in entries if path not in (self.image, *self.image.parents))
            others = others if self.image != self.root else []
            with suppress(UnusableFileError):  # the reader says why
                unread |= cine_image(self.image)[1]
        else:
            belongs = re.compile(re.escape(self.root.name) + _COMPANIONS)
            files = visible_files(self.root) if self.root.is_dir() else []
            others = [path for path in files if path != self.image and not belongs.fullmatch(path.name)]
        reason = f"of this patient {self.image.name} is read"
        return unread | {path: reason for path in others if _holds_image(path)}

    def ejection_fraction(self) -> float | None:
        """Return the ejection fraction in percent from the table or, failing that, from masks or contours."""
        if self.ef is not None:
            return self.ef
        return None if self.measurement is None else self.measurement.ef

    def label(self, ef_threshold: float) -> int | None:
        """Return 1 for HFrEF, 0 for HFpEF, None if nothing tells."""
        ef = self.ejection_fraction()
        if ef is not None:
            return hf_class(ef, ef_threshold)
        return None if self.known_class is None else self.known_class(ef_threshold)

    def items(self, ef_threshold: float, slices: str, labelled: bool) -> list[dict[str, Any]]:
        """Return the training items of this patient, one a slice, as :class:`common.cine.LoadCineSliced` takes them.

        Raises:
            UnusableFileError, NoDataError: if no slice is usable.
        """
        items = self._slices()
        if slices == "left_ventricle" and self.measurement is not None:
            items = [item for item in items if item["slice_number"] in self.measurement.ventricle]
            if not items:
                raise UnusableFileError(f"{self.image}: no usable slice shows the left ventricle at end-diastole.")
        if labelled:
            ef, label = self.ejection_fraction(), self.label(ef_threshold)
            items = [{**item, "reduced": label, "ef": float("nan") if ef is None else ef} for item in items]
        return items

    def _slices(self) -> list[dict[str, Any]]:
        """Return the items of the slices that inference would use, so that none ends a training: pixels are read."""
        if is_nifti(self.image):
            slices = read_nifti_cine(self.image).slices
            return [{**self._named(found.number), "image": str(self.image)} for found in slices]
        if self.image.is_dir():
            cine_image(self.image)  # raises where it is in doubt
        usable = {found.number for found in load_stack(self.image, self.stack).slices}
        return [
            {
                **self._named(found.number),
                "image": [(f.path, f.index) if f.count > 1 else f.path for f in found.frames],
                **({} if found.phases is None else {"phases": found.phases.tolist()}),
            }
            for found in self.stack.slices
            if found.number in usable
        ]

    def _named(self, number: int) -> dict[str, Any]:
        return {"case": self.case, "slice_number": number}


def _holds_image(path: Path) -> bool:
    files = visible_files(path) if path.is_dir() else [path]
    return any(is_nifti(file) or looks_like_dicom(file) for file in files)
