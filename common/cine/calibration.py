"""From the network's outputs for slices to a patient: probability of HFrEF, ejection fraction, and how sure it is."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from ..errors import NoDataError
from ..evaluation.calibration import stored_line
from ..evaluation.rows import Row, RowCollector
from ..files import write_sealed_json
from ..training.processes import is_main_process
from ..training.weights import sha256_of
from . import scores

_LOG = logging.getLogger(__name__)
TARGETS = ("class", "ef")
LEAST_OF_A_CLASS = 5
_LARGEST_LOGIT = 12.0
_UNREGULARISED = 1e6
_REMEDY = "run calibrating on patients that did not train"


class Calibration(NamedTuple):
    """A line in the logit of a patient's mean output: 1 and 0 leave it as it is (Platt, 1999)."""

    scale: float = 1.0
    offset: float = 0.0

    def probability(self, output: ArrayLike, boundary: float = 0.5) -> NDArray[np.float64]:
        """Return the calibrated probabilities of outputs in [0, 1]; `boundary` is the output between the classes."""
        return np.asarray(expit(self.scale * (_logit(output) - _logit(boundary)) + self.offset))

    @classmethod
    def fit(cls, outputs: ArrayLike, labels: ArrayLike) -> Calibration:
        """Return the line that makes the labels (0, 1) likeliest, each class weighing the same.

        Classes weigh the same, so that .5 stays the best threshold whatever their share here. A label counts as a
        probability of (n + 1) / (n + 2) of its class of n, which keeps the line finite where classes do not overlap,
        whatever the spread of the outputs.

        Raises:
            NoDataError: for fewer than five patients of a class.

        References:
            Platt, Probabilistic outputs for support vector machines, 1999, section 2.2
        """
        from sklearn.linear_model import LogisticRegression

        given = np.asarray(labels, dtype=int)
        counts = np.bincount(given, minlength=2)
        if counts.min() < LEAST_OF_A_CLASS:
            raise NoDataError(
                f"expected at least {LEAST_OF_A_CLASS} patients of each class to calibrate, found {counts[1]} with "
                f"HFrEF and {counts[0]} without; take more patients (--split all, another --dataset_dir)"
            )
        sure = ((counts + 1) / (counts + 2))[given]
        weight = (len(given) / (2 * counts))[given]
        both = np.concatenate([given, 1 - given])
        logits = np.tile(_logit(outputs), 2)[:, None]
        model = LogisticRegression(C=_UNREGULARISED).fit(
            logits, both, sample_weight=np.concatenate([weight * sure, weight * (1 - sure)])
        )
        if model.coef_[0, 0] <= 0:
            raise NoDataError("expected higher outputs with HFrEF than without, found lower ones: nothing to calibrate")
        return cls(float(model.coef_[0, 0]), float(model.intercept_[0]))


class PatientReading:
    """Reads a patient from its slices: the mean of their outputs (eq. 3), its calibrated probability and the call.

    Args:
        target: what the weights were trained for: "class", or "ef", where an output is 1 - EF / 100.
        threshold: probability from which a patient is called HFrEF.
        ef_threshold: HFrEF is an EF below it, in percent; of use with target "ef" only, because a class was learned
            with one.
        calibration: file that :class:`FitCalibration` wrote; without one the outputs are the probabilities, which is
            said in the results.
        weights: the weights that made the outputs; a calibration of others is left out with a warning.

    Raises:
        ValueError: for another target, a threshold that is no probability or an EF that is no percentage.
        UnusableFileError: if the calibration is damaged.

    References:
        Zhong et al., EMBC 2021, eq. 3.
    """

    def __init__(
        self,
        target: str = "class",
        threshold: float = 0.5,
        ef_threshold: float = 50.0,
        calibration: str | os.PathLike[str] | None = None,
        weights: str | os.PathLike[str] | None = None,
    ) -> None:
        if target not in TARGETS:
            raise ValueError(f"target: expected class or ef, found {target!r}")
        if not (isinstance(threshold, int | float) and 0 <= threshold <= 1):
            raise ValueError(f"threshold: expected a probability from 0 to 1, found {threshold}")
        if not (isinstance(ef_threshold, int | float) and 1 < ef_threshold < 100):
            raise ValueError(f"ef_threshold: expected percent, above 1 and below 100, found {ef_threshold}")
        self.target, self.threshold = target, threshold
        self.boundary = 1.0 - ef_threshold / 100.0 if target == "ef" else 0.5
        found = None if calibration is None else load_calibration(calibration, weights)
        self.calibrated, self.calibration = found is not None, found or Calibration()

    def __call__(self, slices: Sequence[Row]) -> list[Row]:
        """Return case, label, probability, output, call and slices of each patient, and EFs where there are any."""
        patients = []
        for row in scores.patient_rows(slices):
            output = row["probability"]
            probability = float(self.calibration.probability(output, self.boundary))
            if not self.calibrated and self.boundary == 0.5:
                probability = output  # to the last digit
            found = {**row, "probability": probability, "call": scores.call(probability, self.threshold)}
            patients.append({**found, "output": output, **self.ejection_fraction(output)})
        return patients

    @property
    def slice_threshold(self) -> float:
        """The output of a slice from which it is called HFrEF: the boundary of the classes, or `threshold`."""
        return self.threshold if self.target == "class" else self.boundary

    @property
    def ef_boundary(self) -> float:
        """The EF in percent, as the network gives it, below which a patient is called HFrEF.

        It is `ef_threshold` only where the calibration does not move it.
        """
        shift = (float(_logit(self.threshold)) - self.calibration.offset) / self.calibration.scale
        return 100.0 * float(1.0 - expit(_logit(self.boundary) + shift))

    def ejection_fraction(self, output: float) -> dict[str, float]:
        """Return {"predicted_ef": percent} where the outputs tell it."""
        return {"predicted_ef": 100.0 * (1.0 - output)} if self.target == "ef" else {}


class FitCalibration(RowCollector):
    """Fits the calibration to an evaluation's patients and writes it beside the weights.

    Args:
        row: see :func:`common.cine.slice_row`.
        path: JSON file to write.
        weights: the weights that are evaluated.
        target, ef_threshold: see :class:`PatientReading`.
    """

    def __init__(
        self,
        row: Any,
        path: str | os.PathLike[str],
        weights: str | os.PathLike[str],
        target: str = "class",
        ef_threshold: float = 50.0,
    ) -> None:
        super().__init__(row)
        self.path, self.weights = path, weights
        self.reading = PatientReading(target, ef_threshold=ef_threshold)

    def finish(self, engine: Any) -> None:
        """Write the calibration, on the main process."""
        if not is_main_process():
            return
        patients = self.reading(self.rows)
        outputs, labels = [row["output"] for row in patients], [row["label"] for row in patients]
        found = Calibration.fit(outputs, labels)
        # The boundary of an EF is the same shift of the logit for every patient.
        offset = found.offset + found.scale * float(_logit(self.reading.boundary))
        content = {"scale": found.scale, "offset": offset, "patients": len(patients)}
        write_sealed_json(self.path, {**content, "model_sha256": sha256_of(self.weights)})
        _LOG.warning("%s: calibrated on %d patients", self.path, len(patients))


def load_calibration(path: str | os.PathLike[str], weights: str | os.PathLike[str] | None = None) -> Calibration | None:
    """Return the calibration of a file, None with a warning if there is none or it is that of other weights.

    Raises:
        UnusableFileError: if the file is damaged or holds something else.
    """
    line = stored_line(path, weights, "probabilities are the network's own", _REMEDY)
    return Calibration(*line) if line else None


def _logit(probability: ArrayLike) -> NDArray[np.float64]:
    return np.clip(logit(np.asarray(probability, dtype=np.float64)), -_LARGEST_LOGIT, _LARGEST_LOGIT)
