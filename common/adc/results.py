"""Results of a segmentation of lesions: masks and probabilities on the input's grid, figures, a table."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.failures import FailureLog
from ..evaluation.case_results import CaseResults
from ..evaluation.familiarity import FamiliarityCheck
from ..evaluation.rows import Row
from .figures import draw_lesion_montage
from .scores import lesion_size
from .volumes import voxel_spacing_mm, write_on_grid

COLUMNS = ("case", "lesion_ml", "percent_of_brain", "mask")
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
    """

    def __init__(
        self,
        failures: FailureLog,
        decision: Any = None,
        weights: Any = "",
        familiarity: FamiliarityCheck | None = None,
    ) -> None:
        super().__init__(failures, COLUMNS, weights, familiarity)
        self.decision = decision

    def write_case(self, case: str, parts: list[Any]) -> Row:
        """Write mask, probability, JSON and figure of one case and return its row."""
        ((item, result),) = parts
        source = str(item["image"].meta["filename_or_obj"])
        suffix = next((s for s in _SUFFIXES if source.lower().endswith(s)), ".nii.gz")
        mask, probability = _plain(result["pred"]) > 0, _plain(result["probability"])
        size = lesion_size(mask, np.abs(_plain(item["maps"])), float(np.prod(voxel_spacing_mm(source))))
        files = {name: self.file(case, f"_{name}{suffix}") for name in ("lesion", "probability")}
        write_on_grid(probability.astype(np.float32), files["probability"], source)
        write_on_grid(mask, files["lesion"], source)
        row = {
            "lesion_ml": round(size.volume_ml, 4),
            "percent_of_brain": round(size.percent_of_brain, 4),
            "mask": files["lesion"].name,
        }
        threshold = getattr(self.decision, "threshold", None)
        self.write_json(case, {**row, "probability": files["probability"].name, "threshold": threshold})
        found = f"lesion {size.volume_ml:.2f} ml, {size.percent_of_brain:.2f} % of the brain"
        self._draw(case, item, result, self.caption(case, f"{case}: {found}"))
        return row

    def _draw(self, case: str, item: Any, result: Any, title: str) -> None:
        spacing = np.linalg.norm(np.asarray(item["maps"].affine)[:3, :3], axis=0)
        contours = {"predicted lesion": (_plain(result["shown"]) > 0, "tab:red")}
        aspect = float(spacing[1] / spacing[0])
        draw_lesion_montage(self.file(case, ".png"), _plain(item["maps"]), contours, title, aspect)


def _plain(value: Any) -> NDArray:
    """Return the first channel as an array."""
    return torch.as_tensor(value).detach().cpu().numpy()[0]
