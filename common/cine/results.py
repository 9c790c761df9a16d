"""Results of an inference of heart-failure classes: one JSON and one figure a patient, one table."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.failures import FailureLog
from ..evaluation import dicom_report as dicom
from ..evaluation.case_results import CaseResults
from ..evaluation.familiarity import FamiliarityCheck
from ..figure import figure, show_tiles
from .calibration import PatientReading
from .dicom import read_stack
from .evaluation import slice_row
from .nifti import is_nifti
from .reader import cine_image

COLUMNS = ("case", "probability_HFrEF", "call", "ef_percent", "slices", "skipped_slices", "spread_over_slices")
_SHOWN_SLICES = 8
MRI: dicom.Code = ("25056-3", "LN", "MRI unspecified body region")
HEART: dicom.Code = ("80891009", "SCT", "Heart")
EJECTION_FRACTION: dicom.Code = ("8811-2", "LN", "Left Ventricular Ejection Fraction by MR")
SLICES = dicom.own_code("slices", "Number of slices")


class _Slice(NamedTuple):
    number: int
    probability: float
    frames: NDArray  # (H, W, 2), the first frame and the one at a third of the beat
    skipped: list[dict[str, Any]]
    notes: list[str]
    doubts: list[str]


class HeartFailureResults(CaseResults):
    """Writes `CASE.json` and `CASE.png` of each patient.

    Args:
        failures: where a patient goes whose results cannot be written.
        threshold: probability of HFrEF from which a patient is called so.
        weights: which weights made the result.
        reading: from slices to the patient; by default the mean of the outputs, called at `threshold`.
        familiarity: see :class:`common.evaluation.CaseResults`.
    """

    def __init__(
        self,
        failures: FailureLog,
        threshold: float = 0.5,
        weights: Any = "",
        familiarity: FamiliarityCheck | None = None,
        reading: PatientReading | None = None,
    ) -> None:
        super().__init__(failures, COLUMNS, weights, familiarity)
        self.reading = reading or PatientReading(threshold=threshold)

    def part(self, item: Any, result: Any) -> _Slice:
        """Return what is kept of one slice."""
        row, image = slice_row(item, result), item["image"]
        frames = np.asarray(image[0, :, :, [0, image.shape[-1] // 3]].cpu(), dtype=np.float32)
        skipped, notes, doubts = (json.loads(item.get(key, "[]")) for key in ("skipped", "notes", "doubts"))
        return _Slice(row["slice"], row["probability"], frames, skipped, notes, doubts)

    def write_case(self, case: str, parts: list[_Slice]) -> dict[str, Any]:
        """Write JSON and figure of one patient and return the row."""
        slices = sorted(parts)
        (found,) = self.reading([{"case": case, "label": None, "probability": part.probability} for part in slices])
        probability, call, ef = found["probability"], found["call"], found.get("predicted_ef")
        self.doubt(case, slices[0].doubts)
        self.write_json(
            case,
            {
                "probability_HFrEF": probability,
                "probabilities": {"HFrEF": probability, "HFpEF": 1 - probability},
                "calibrated": self.reading.calibrated,
                "call": call,
                "threshold": self.reading.threshold,
                **({} if ef is None else {"ef_percent": ef, "ef_boundary": self.reading.ef_boundary}),
                "slices": [self._of_slice(part) for part in slices],
                "skipped_slices": slices[0].skipped,
                "notes": slices[0].notes,
            },
        )
        told = "" if ef is None else f", EF {ef:.0f} % (HFrEF below {self.reading.ef_boundary:.1f} %)"
        shown = "" if len(slices) <= _SHOWN_SLICES else f"; {_SHOWN_SLICES} of {len(slices)} slices"
        self._draw(case, slices, self.caption(case, f"{case}: {call}, p(HFrEF) = {probability:.2f}{told}{shown}"))
        return {
            "probability_HFrEF": round(probability, 6),
            "call": call,
            "ef_percent": "" if ef is None else round(ef, 2),
            "slices": len(slices),
            "skipped_slices": len(slices[0].skipped),
            "spread_over_slices": round(float(np.std([part.probability for part in slices])), 6),
        }

    def dicom_files(self, source: Any) -> list[Path]:
        """Return the files of the short-axis cine, without the other series of the study."""
        path = Path(source)
        image = cine_image(path)[0] if path.is_dir() else path
        if is_nifti(image):
            return []
        frames = (frame for found in read_stack(image).slices for frame in found.frames)
        return [Path(name) for name in dict.fromkeys(frame.path for frame in frames)]

    def report(self, content: Mapping[str, Any]) -> dicom.Report:
        """Return the probability of each class, the EF where there is one, and the number of slices."""
        quantities = [
            dicom.Quantity(dicom.own_code(name, f"Probability of {name}"), probability, dicom.NO_UNIT)
            for name, probability in content["probabilities"].items()
        ]
        quantities.append(dicom.Quantity(EJECTION_FRACTION, content.get("ef_percent"), dicom.PERCENT))
        quantities.append(dicom.Quantity(SLICES, len(content["slices"]), dicom.NO_UNIT))
        said = [f"called {content['call']} at a threshold of {content['threshold']:g}"]
        if "ef_boundary" in content:
            said.append(f"called HFrEF below an EF of {content['ef_boundary']:.1f} % as the network gives it")
        said += [] if content["calibrated"] else ["the probabilities are not calibrated"]
        said += [f"slice {entry['slice']} left out: {entry['reason']}" for entry in content["skipped_slices"]]
        return dicom.Report(MRI, HEART, [dicom.Group("heart failure", quantities, [*said, *content["notes"]])])

    def _of_slice(self, part: _Slice) -> dict[str, float]:
        ef = self.reading.ejection_fraction(part.probability).get("predicted_ef")
        told = {"probability": part.probability} if ef is None else {"ef_percent": ef}
        return {"slice": part.number, **told}

    def _draw(self, case: str, slices: list[_Slice], title: str) -> None:
        count = min(len(slices), _SHOWN_SLICES)
        shown = [slices[k] for k in np.unique(np.linspace(0, len(slices) - 1, count).round().astype(int))]
        labels = [f"slice {part.number}\n{self._told(part)}" for part in shown]
        labels += ["a third of the beat on"] * len(shown)
        frames = [part.frames[..., line] for line in (0, 1) for part in shown]
        with figure(self.file(case, ".png"), 1.6 * len(shown), 4.4, title) as made:
            show_tiles(made.subplots(), frames, labels, len(shown), cmap="gray", vmin=-1.5, vmax=3)

    def _told(self, part: _Slice) -> str:
        ef = self.reading.ejection_fraction(part.probability).get("predicted_ef")
        return f"p = {part.probability:.2f}" if ef is None else f"EF {ef:.0f} %"
