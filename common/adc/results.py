"""Results of a segmentation of lesions: masks and probabilities on the input's grid, figures, a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.dicom_volume import read_dicom_geometry, series_files
from ..data.failures import FailureLog
from ..evaluation import dicom_report as dicom
from ..evaluation.case_results import CaseResults
from ..evaluation.dicom_images import LESION, Segment
from ..evaluation.familiarity import FamiliarityCheck
from ..evaluation.rows import Row
from .figures import draw_lesion_montage
from .scores import lesion_size
from .volumes import read_volume, voxel_spacing_mm, write_on_grid

COLUMNS = ("case", "lesion_ml", "percent_of_brain", "mask")
MRI: dicom.Code = ("25056-3", "LN", "MRI unspecified body region")
BRAIN: dicom.Code = ("12738006", "SCT", "Brain")
VOLUME: dicom.Code = ("118565006", "SCT", "Volume")
MILLILITRES: dicom.Code = ("ml", "UCUM", "Milliliter")
OF_BRAIN = dicom.own_code("percent_of_brain", "Volume of the lesion as a percentage of the brain's")
# Voxels this many times longer than those that the weights know show less, thinner slices are noisier.
MOST_TIMES = 2.0
_SUFFIXES = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd")


class LesionResults(CaseResults):
    """Writes `CASE_lesion` and `CASE_probability` (in the input's format, on its grid), `CASE.json` and `CASE.png`.

    An item has `image` (for the input's file name), `maps` (ADC and Z in 1e-6 mm2/s, axes to left, back and head) and
    `case`; an output has `pred` and `probability` on the input's grid, and `shown`, the mask in the axes of `maps`.

    Args:
        failures: where a case goes whose results cannot be written.
        decision: transform that made the mask; its `threshold` is written down.
        weights: which weights made the result.
        familiarity: see :class:`common.evaluation.CaseResults`.
        voxel_mm: size of the voxels that the weights know, along the axes of `maps`; None where any fill the slices.
        brain_ml: least and most of a whole brain of the age that the weights know; None leaves it unchecked.
    """

    def __init__(
        self,
        failures: FailureLog,
        decision: Any = None,
        weights: Any = "",
        familiarity: FamiliarityCheck | None = None,
        voxel_mm: Sequence[float] | None = None,
        brain_ml: Sequence[float] | None = None,
    ) -> None:
        super().__init__(failures, COLUMNS, weights, familiarity)
        self.decision, self.voxel_mm, self.brain_ml = decision, voxel_mm, brain_ml

    def write_case(self, case: str, parts: list[Any]) -> Row:
        """Write mask, probability, JSON and figure of one case and return its row."""
        ((item, result),) = parts
        source = str(item["image"].meta["filename_or_obj"])
        suffix = next((s for s in _SUFFIXES if source.lower().endswith(s)), ".nii.gz")
        mask, probability = _plain(result["pred"]) > 0, _plain(result["probability"])
        brain, voxel_mm3 = _plain(item["maps"]) != 0, float(np.prod(voxel_spacing_mm(source)))
        size = lesion_size(mask, brain, voxel_mm3)
        files = {name: self.file(case, f"_{name}{suffix}") for name in ("lesion", "probability")}
        write_on_grid(probability.astype(np.float32), files["probability"], source)
        write_on_grid(mask, files["lesion"], source)
        row = {
            "lesion_ml": round(size.volume_ml, 4),
            "percent_of_brain": round(size.percent_of_brain, 4),
            "mask": files["lesion"].name,
        }
        brain_ml = int(brain.sum()) * voxel_mm3 / 1000
        self.doubt(case, [_other_voxels(item["maps"], self.voxel_mm), _other_brain(brain_ml, self.brain_ml)])
        threshold = getattr(self.decision, "threshold", None)
        self.write_json(case, {**row, "probability": files["probability"].name, "threshold": threshold})
        found = f"lesion {size.volume_ml:.2f} ml, {size.percent_of_brain:.2f} % of the brain"
        self._draw(case, item, result, self.caption(case, f"{case}: {found}"))
        return row

    def dicom_files(self, source: Any) -> list[Path]:
        """Return the files of the ADC and of the Z series."""
        paths = source if isinstance(source, (list, tuple)) else [source]
        named = [file for path in paths if super(LesionResults, self).dicom_files(path) for file in series_files(path)]
        return list(dict.fromkeys(named))

    def report(self, content: Mapping[str, Any]) -> dicom.Report:
        """Return the volume of the lesion."""
        quantities = [
            dicom.Quantity(VOLUME, content["lesion_ml"], MILLILITRES),
            dicom.Quantity(OF_BRAIN, content["percent_of_brain"], dicom.PERCENT),
        ]
        said = [f"mask at a threshold of {content['threshold']:g}"] if content["threshold"] is not None else []
        return dicom.Report(MRI, BRAIN, [dicom.Group("lesion", quantities, said)])

    def segments(self, content: Mapping[str, Any], source: Any) -> dict[str, Segment]:
        """Return mask and probability on the frames of the ADC series."""
        volume, made = read_dicom_geometry(source[0]), {}
        for name in ("mask", "probability"):
            files, values = volume.in_files(read_volume(self.output.folder / content[name])[0][0])
            values = values > 0 if name == "mask" else np.clip(values, 0, 1)
            made[name] = Segment("lesion", LESION, BRAIN, files, values)
        return made

    def _draw(self, case: str, item: Any, result: Any, title: str) -> None:
        spacing = _spacing_mm(item["maps"])
        contours = {"predicted lesion": (_plain(result["shown"]) > 0, "tab:red")}
        aspect = float(spacing[1] / spacing[0])
        draw_lesion_montage(self.file(case, ".png"), _plain(item["maps"]), contours, title, aspect)


def _spacing_mm(maps: Any) -> NDArray:
    return np.asarray(np.linalg.norm(np.asarray(maps.affine)[:3, :3], axis=0))


def _other_voxels(maps: Any, voxel_mm: Sequence[float] | None) -> str:
    """Return in words that the pixels are too coarse, or the slices too thick or thin for the weights; or nothing."""
    if voxel_mm is None:
        return ""
    times = _spacing_mm(maps) / np.asarray(voxel_mm)
    if times.max() <= MOST_TIMES and times[2] >= 1 / MOST_TIMES:
        return ""
    found, known = (" x ".join(f"{mm:.3g}" for mm in sizes) for sizes in (_spacing_mm(maps), voxel_mm))
    return f"voxels of {found} mm differ from those of the weights, {known} mm, by more than a factor of {MOST_TIMES:g}"


def _other_brain(found_ml: float, usual_ml: Sequence[float] | None) -> str:
    """Return in words that a brain is not as large as those that the weights know; or nothing."""
    if usual_ml is None or usual_ml[0] <= found_ml <= usual_ml[1]:
        return ""
    reason = "slices are missing" if found_ml < usual_ml[0] else "another age, or more than the brain is left"
    expected = f"{usual_ml[0]:g} to {usual_ml[1]:g}"
    return f"brain of {found_ml:.0f} ml, expected {expected}: {reason}, or its voxels have another size"


def _plain(value: Any) -> NDArray:
    """Return the first channel as an array."""
    return torch.as_tensor(value).detach().cpu().numpy()[0]
