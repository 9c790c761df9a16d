"""Cine MR to tensors: one section for training, all sections of a patient for inference."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform, Transform

from .dicom import read_dicom_section
from .nifti import read_nifti_section
from .reader import read_cine
from .volume import Cine


class LoadCineSection(Transform):
    """Load one section: (1, H, W, T) float32 with its affine; nothing else of the patient is read.

    The affine maps (row, column, section) to right-anterior-superior mm; time, the third axis of the tensor, has no
    place in it. `meta` holds `spacing_mm` (rows, columns) and `trigger_times_ms` ((T,), NaN where unknown).
    """

    def __call__(
        self, image: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], section: int = 0
    ) -> MetaTensor:
        """Return the section.

        Args:
            image: DICOM paths in order of time, or the path of a 4D NIfTI file.
            section: index of the section, for NIfTI.

        Raises:
            UnusableFileError: if a file is damaged or the pixels are constant or NaN.
        """
        if isinstance(image, (str, os.PathLike)):
            return cine_section_tensor(read_nifti_section(image, section), str(image))
        return cine_section_tensor(read_dicom_section(image), str(image[0]))


class LoadCineSectiond(MapTransform):
    """Dictionary form of :class:`LoadCineSection`; the section index comes from the entry `section_key`."""

    def __init__(self, keys: KeysCollection, section_key: str = "section", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.section_key = section_key
        self.load = LoadCineSection()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Load the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.load(d[key], int(d.get(self.section_key, 0)))
        return d


def cine_section_tensor(cine: Cine, name: str, index: int = 0) -> MetaTensor:
    """Return section `index` of `cine` as a (1, H, W, T) tensor like the one that :class:`LoadCineSection` gives."""
    frames = torch.from_numpy(np.ascontiguousarray(cine.frames[index].transpose(1, 2, 0)))[None]
    affine = cine.affine.copy()
    affine[:3, 3] += affine[:3, 2] * index
    count = frames.shape[-1]
    times = np.full(count, np.nan) if cine.trigger_times_ms is None else cine.trigger_times_ms[index]
    meta = {
        "filename_or_obj": name,
        "spacing_mm": torch.tensor(cine.spacing_mm[:2], dtype=torch.float64),
        "trigger_times_ms": torch.from_numpy(np.asarray(times, dtype=np.float64)),
    }
    return MetaTensor(frames, affine=torch.from_numpy(affine), meta=meta)


class LoadCinePatient(Transform):
    """Turns {"case", "image": folder or 4D NIfTI} into a list of {"case", "section", "image": (1, H, W, T) tensor}.

    Every file is read once; the transforms that follow in a Compose work on each section.
    """

    def __call__(self, item: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the patient's usable sections in their order along the normal.

        Raises:
            NoDataError: if there is no file.
            UnusableFileError: if no section is usable.
        """
        cine = read_cine(item["image"])
        return [
            {"case": item["case"], "section": index, "image": cine_section_tensor(cine, str(item["case"]), index)}
            for index in range(len(cine.frames))
        ]
