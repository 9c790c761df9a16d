"""Cine MR to tensors: one slice for training, all slices of a patient for inference."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config.type_definitions import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform, Transform

from ..errors import UnusableFileError
from .dicom import read_dicom_slice
from .nifti import read_nifti_slice
from .reader import read_cine
from .volume import CineSlice

LEAST_SIDE_PX = 24  # scanners give 128 and more


class LoadCineSliced(MapTransform):
    """Loads one slice: (1, H, W, T) float32 with its affine; nothing else of the patient is read.

    An entry is a list of DICOM frames in order of time, or the path of a 4D NIfTI file, as :func:`cine_datalist` gives
    them. The affine maps row, column and millimetres along the normal to right-anterior-superior mm; time, the third
    axis of the tensor, has no place in it. `meta` holds the phases of the frames where they are uneven.

    Args:
        keys: entries to load.
        number_key: entry with the slice's number along the normal.
        phases_key: entry with the phases of uneven frames, removed; it may be missing.
        allow_missing_keys: skip the keys that are not there.

    Raises:
        UnusableFileError: (when called) if a file is damaged or too small, or the pixels cannot serve.
    """

    def __init__(
        self,
        keys: KeysCollection,
        number_key: str = "slice_number",
        phases_key: str = "phases",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.number_key, self.phases_key = number_key, phases_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Load the entries under `keys`; the input mapping is left as it was."""
        d = dict(data)
        number, phases = int(d.get(self.number_key, 0)), d.pop(self.phases_key, None)
        for key in self.key_iterator(d):
            image = d[key]
            whole = isinstance(image, str)
            found = read_nifti_slice(image, number) if whole else read_dicom_slice(image, number, phases)
            name = str(image if whole else image[0][0] if isinstance(image[0], tuple) else image[0])
            _check_size(found, name)
            d[key] = cine_slice_tensor(found, name)
        return d


def _check_size(cine: CineSlice, source: Any) -> None:
    height, width = cine.frames.shape[1:]
    if min(height, width) < LEAST_SIDE_PX:
        raise UnusableFileError(
            f"{source}: expected slices of at least {LEAST_SIDE_PX} x {LEAST_SIDE_PX} pixels, found {width} x {height};"
            " export the whole image."
        )


def cine_slice_tensor(cine: CineSlice, name: str) -> MetaTensor:
    """Return a slice as the (1, H, W, T) tensor that :class:`LoadCineSliced` gives."""
    frames = torch.from_numpy(cine.frames).permute(1, 2, 0)[None].contiguous()
    meta: dict[str, Any] = {"filename_or_obj": name}
    if cine.phases is not None:
        meta["phases"] = torch.from_numpy(cine.phases)
    return MetaTensor(frames, affine=torch.from_numpy(cine.affine), meta=meta)


class LoadCinePatient(Transform):
    """Turns {"case", "image": folder or file} into a list with one {"case", "slice_number", "image", ...} a slice.

    The item may have `doubts`, a list. `slice_number` counts along the normal, slices that are left out included; those
    stand in `skipped`, what else was done to the patient in `notes`, and what speaks against a result in `doubts`: JSON
    lists as text, [{"slice", "reason"}] and ["..."], because batches hold lists of one length only. They are the same
    for all slices.
    """

    def __call__(self, item: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the patient's usable slices in their order along the normal.

        Raises:
            NoDataError: if there is no file.
            UnusableFileError: if no slice is usable, or they are too small to show a heart.
        """
        cine = read_cine(item["image"])
        for found in cine.slices:
            _check_size(found, item["image"])
        notes = cine.notes + [f"slice {found.number}: {note}" for found in cine.slices for note in found.notes]
        told = {
            "skipped": json.dumps([{"slice": number, "reason": reason} for number, reason in cine.skipped]),
            "notes": json.dumps(notes),
            "doubts": json.dumps([*item.get("doubts", []), *cine.doubts]),
        }
        case = str(item["case"])
        return [
            {
                "case": case,
                "slice_number": found.number,
                "image": cine_slice_tensor(found, case),
                **told,
            }
            for found in cine.slices
        ]
