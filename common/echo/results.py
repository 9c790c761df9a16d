"""Results of an inference of ejection fractions: one JSON and one figure a video, one table."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..data.failures import FailureLog
from ..evaluation import dicom_report as dicom
from ..evaluation.case_results import CaseResults
from ..evaluation.familiarity import FamiliarityCheck
from .evaluation import ejection_fraction_row
from .figures import draw_clip
from .scores import EF_BANDS

COLUMNS = ("case", "ef_percent", "spread", "lowest", "highest", "band", "clips_disagree")
ECHOCARDIOGRAPHY: dicom.Code = ("40701008", "SCT", "Echocardiography")
LEFT_VENTRICLE: dicom.Code = ("87878005", "SCT", "Left Ventricle")
EJECTION_FRACTION: dicom.Code = ("18043-0", "LN", "Left Ventricular Ejection Fraction by US")
CLIPS = dicom.own_code("clips", "Number of clips")
# Hearts outside these have hardly been recorded: another view, or weights of other pictures (EchoNet has 7 to 97 %).
PLAUSIBLE_EF_PERCENT = (5.0, 90.0)


class EjectionFractionResults(CaseResults):
    """Writes `CASE.json` and `CASE.png` of each video.

    Args:
        failures: where a video goes whose results cannot be written.
        disagreement: EF points between the lowest and the highest clip from which the clips are said to disagree.
        weights: which weights made the result.
        familiarity: see :class:`common.evaluation.CaseResults`.
    """

    def __init__(
        self,
        failures: FailureLog,
        disagreement: float = 10.0,
        weights: Any = "",
        familiarity: FamiliarityCheck | None = None,
    ) -> None:
        super().__init__(failures, COLUMNS, weights, familiarity)
        self.disagreement = disagreement

    def write_case(self, case: str, parts: list[Any]) -> dict[str, Any]:
        """Write JSON and figure of one video and return its row."""
        ((item, result),) = parts
        row = ejection_fraction_row(item, result)
        clips, ef = row["clips"], row["predicted"]
        if not np.isfinite(ef):
            raise ValueError(f"expected a finite EF, found {ef}; check the weights and the video")
        done = json.loads(item["input"]) if "input" in item else {}
        self.doubt(case, done.pop("doubts", []))
        low, high = PLAUSIBLE_EF_PERCENT
        self.doubt(case, [] if low <= ef <= high else [f"an EF of {ef:.1f} % is outside {low:g} to {high:g} %"])
        video = {
            "ef_percent": round(ef, 2),
            "spread": round(row["spread"], 2),
            "lowest": min(clips),
            "highest": max(clips),
            "band": band_of(ef),
            "clips_disagree": max(clips) - min(clips) > self.disagreement,
        }
        self.write_json(case, {**video, "clips": clips, "input": done})
        warning = ", CLIPS DISAGREE" if video["clips_disagree"] else ""
        title = f"{case}: EF {ef:.0f} % ({min(clips):.0f} to {max(clips):.0f} over {len(clips)} clips){warning}"
        draw_clip(self.file(case, ".png"), torch.as_tensor(item["image"][0]).cpu(), self.caption(case, title))
        return video

    def report(self, content: Mapping[str, Any]) -> dicom.Report:
        """Return the EF with its spread over the clips."""
        derivations = (None, dicom.STANDARD_DEVIATION, dicom.MINIMUM, dicom.MAXIMUM)
        names = ("ef_percent", "spread", "lowest", "highest")
        quantities = [
            dicom.Quantity(EJECTION_FRACTION, content[name], dicom.PERCENT, derivation)
            for name, derivation in zip(names, derivations, strict=True)
        ]
        quantities.append(dicom.Quantity(CLIPS, len(content["clips"]), dicom.NO_UNIT))
        said = ["CLIPS DISAGREE"] if content["clips_disagree"] else []
        return dicom.Report(ECHOCARDIOGRAPHY, LEFT_VENTRICLE, [dicom.Group("ejection fraction", quantities, said)])


def band_of(ef_percent: float) -> str:
    """Return the band of an EF: reduced below 40 %, mildly reduced below 50 %, otherwise preserved."""
    names = ("reduced", "mildly reduced", "preserved")
    inside = [name for name, (_, high) in zip(names, EF_BANDS, strict=True) if ef_percent < high]
    return inside[0] if inside else names[-1]
