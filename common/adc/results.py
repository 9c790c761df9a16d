"""What the segmentation of lesions leaves behind: masks and probabilities on the input's grid, pictures, a table."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.failures import FailureLog
from ..evaluation.case_results import CaseResults
from ..evaluation.rows import Row
from ..files import write_json
from .figures import draw_lesion_montage
from .scores import lesion_size
from .volumes import voxel_spacing_mm, write_on_grid

COLUMNS = ("case", "lesion_ml", "percent_of_brain", "mask")
_SUFFIXES = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd")


class LesionResults(CaseResults):
    """Writes mask, probability map, JSON and picture of each case as soon as it is through, at last `predictions.csv`.

    Files are `CASE_lesion`, `CASE_probability` (in the input's format and on its grid), `CASE.json` and `CASE.png`.
    An item has `image` (for the input's file name), `maps` (ADC and Z in 1e-6 mm2/s, axes to left, back and head) and
    `case`; an output has `pred` and `probability` on the input's grid, and `shown`, the mask in the axes of `maps`.

    Args:
        output_dir: folder to write to.
        failures: where a case goes whose results cannot be written.
        decision: transform that made the mask; its `threshold` is written down.
        source: which weights made the result.
    """

    def __init__(
        self, output_dir: str | os.PathLike[str], failures: FailureLog, decision: Any = None, source: Any = ""
    ) -> None:
        super().__init__(output_dir, failures, COLUMNS)
        self.decision, self.source = decision, source

    def write_case(self, item: Any, result: Any) -> Row:
        """Write mask, probability, JSON and picture of one case and return its row."""
        case = str(item["case"])
        reference = str(item["image"].meta["filename_or_obj"])
        suffix = next((s for s in _SUFFIXES if reference.lower().endswith(s)), ".nii.gz")
        mask, probability = _plain(result["pred"]) > 0, _plain(result["probability"])
        adc, shown = _plain(item["maps"]), _plain(result["shown"]) > 0
        size = lesion_size(mask, np.abs(adc), float(np.prod(voxel_spacing_mm(reference))))
        names = {"mask": f"{case}_lesion{suffix}", "probability": f"{case}_probability{suffix}"}
        write_on_grid(probability.astype(np.float32), self.folder / names["probability"], reference)
        write_on_grid(mask, self.folder / names["mask"], reference)
        title = f"{case}: lesion {size.volume_ml:.2f} ml, {size.percent_of_brain:.2f} % of the brain"
        spacing = _spacing(item["maps"])
        draw_lesion_montage(
            self.folder / f"{case}.png", adc, {"lesion found": (shown, "tab:red")}, title, spacing[1] / spacing[0]
        )
        row = {
            "case": case,
            "lesion_ml": round(size.volume_ml, 4),
            "percent_of_brain": round(size.percent_of_brain, 4),
            "mask": names["mask"],
        }
        details = {
            "probability": names["probability"],
            "threshold": getattr(self.decision, "threshold", None),
            "weights": self.source,
            "input": Path(reference).name,
            "note": "Research use only; not a medical device.",
        }
        write_json(self.folder / f"{case}.json", {**row, **details})
        return row


def _plain(value: Any) -> NDArray:
    """Return the first channel as an array."""
    return torch.as_tensor(value).detach().cpu().numpy()[0]


def _spacing(image: Any) -> list[float]:
    return np.linalg.norm(np.asarray(image.affine)[:3, :3], axis=0).tolist()
