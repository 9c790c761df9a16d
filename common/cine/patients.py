"""A patient of a cine data set: where the images are, how the ejection fraction is known, which sections serve."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import UnusableFileError
from .dicom import dicom_files, read_frames
from .labels import hf_class
from .nifti import is_nifti, open_cine_nifti
from .stacks import SectionStack, arrange_sections

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measurement:
    """What masks or contours say: ejection fraction in percent, and the sections that hold the cavity at diastole."""

    ef: float
    ventricle: frozenset[int]


@dataclass
class CinePatient:
    """One patient of a data set; files are opened only when a property is asked for.

    Attributes:
        case: name from the folder or file.
        image: what `read_cine` takes.
        ef: ejection fraction in percent from a table, or None.
        known_class: threshold -> class, for data sets that publish a class and no ejection fraction.
        measure: measures masks or contours of this patient, or None where there are none.
    """

    case: str
    image: Path
    ef: float | None = None
    known_class: Callable[[float], int | None] | None = None
    measure: Callable[[CinePatient], Measurement] | None = None

    @cached_property
    def stack(self) -> SectionStack:
        """Sections and frames of a DICOM patient from the headers; each file is opened once."""
        return arrange_sections(self.image, read_frames(self.image, dicom_files(self.image), pixels=False))

    @cached_property
    def measurement(self) -> Measurement | None:
        """Ejection fraction and sections from masks or contours, or None where they are missing or unusable."""
        if self.measure is None:
            return None
        try:
            return self.measure(self)
        except (ValueError, OSError) as error:
            _LOG.warning("%s: no ejection fraction from masks or contours: %s", self.case, error)
            return None

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

    def sections(self) -> dict[int, Any]:
        """Return section index -> image of a training item: DICOM paths in order of time, or the NIfTI path.

        Raises:
            UnusableFileError, NoDataError: if no section is usable.
        """
        if is_nifti(self.image):
            count = open_cine_nifti(self.image).shape[2]
            return dict.fromkeys(range(count), str(self.image))
        stack = self.stack
        return {
            number: [frame.path for frame in section]
            for number, section in zip(stack.numbers, stack.sections, strict=True)
        }

    def items(self, ef_threshold: float, sections: str, labelled: bool) -> list[dict[str, Any]]:
        """Return the training items of this patient, one a section.

        Raises:
            UnusableFileError, NoDataError: if no section is usable.
        """
        images = self.sections()
        if sections == "left_ventricle" and self.measurement is not None:
            ventricle = {k: image for k, image in images.items() if k in self.measurement.ventricle}
            if not ventricle:
                raise UnusableFileError(f"{self.image}: no usable section shows the left ventricle at end-diastole.")
            images = ventricle
        items: list[dict[str, Any]] = [{"case": self.case, "section": k, "image": image} for k, image in images.items()]
        if labelled:
            ef, label = self.ejection_fraction(), self.label(ef_threshold)
            items = [{**item, "label": label, "ef": float("nan") if ef is None else ef} for item in items]
        return items
