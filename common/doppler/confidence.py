"""The probability that a found wave is right, from the margin of its name; learned on images that did not train."""

import logging
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from scipy.special import expit, logit

from ..errors import NoDataError
from ..evaluation.calibration import stored_line
from ..evaluation.rows import RowCollector
from ..files import write_sealed_json
from ..training.processes import is_main_process
from ..training.weights import sha256_of
from .rows import PeakRow, doppler_row, peak_rows

_LOG = logging.getLogger(__name__)
_REMEDY = "run calibrating on images that did not train"
LEAST_OF_A_KIND = 5
_LARGEST_LOGIT = 12.0


class Confidence(NamedTuple):
    """A line in the margin, whose value is the log odds of a peak being right in position and name (Platt, 1999)."""

    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, margin: float) -> float:
        """Return the probability that the reference has this wave here."""
        return float(expit(self.scale * margin + self.offset))


class FitConfidence(RowCollector):
    """Fits the confidence to an evaluation's peaks, matched or false, and writes it beside the weights.

    Args:
        decoder: the DecodePeaksd of the evaluation; its own confidence is taken off.
        path: JSON file to write.
        weights: the weights that are evaluated.
    """

    def __init__(self, decoder: Any, path: str | os.PathLike[str], weights: str | os.PathLike[str]) -> None:
        super().__init__(doppler_row)
        self.decoder, self.path, self.weights = decoder, path, weights

    def attach(self, engine: Any, name: str = "") -> None:
        """Collect in `engine`."""
        super().attach(engine, name)
        self.decoder.confidence = Confidence()

    def finish(self, engine: Any) -> None:
        """Write the file, on the main process."""
        if not is_main_process():
            return
        peaks = [peak for row in self.rows for peak in peak_rows(row) if peak.status != "missed"]
        found = fit_confidence(peaks)
        content = {**found._asdict(), "peaks": len(peaks), "model_sha256": sha256_of(self.weights)}
        write_sealed_json(self.path, content)
        _LOG.warning("%s: calibrated on %d peaks", self.path, len(peaks))


def fit_confidence(peaks: Sequence[PeakRow]) -> Confidence:
    """Return the line that makes the peaks' status likeliest, their confidence being that of the line 1, 0.

    Raises:
        NoDataError: for fewer than five matched or five false peaks.
    """
    from sklearn.linear_model import LogisticRegression

    is_right = [peak.status == "matched" for peak in peaks]
    counts = (sum(is_right), len(is_right) - sum(is_right))
    if min(counts) < LEAST_OF_A_KIND:
        raise NoDataError(
            f"expected at least {LEAST_OF_A_KIND} right and {LEAST_OF_A_KIND} wrong peaks to calibrate the confidence, "
            f"found {counts[0]} and {counts[1]}; take more images (--split all, another --dataset_dir)"
        )
    margins = [[min(float(logit(peak.confidence)), _LARGEST_LOGIT)] for peak in peaks]
    model = LogisticRegression(C=1e3).fit(margins, is_right)
    if model.coef_[0, 0] <= 0:
        raise NoDataError("expected right peaks to have larger margins than wrong ones: nothing to calibrate")
    return Confidence(float(model.coef_[0, 0]), float(model.intercept_[0]))


def load_confidence(path: str | os.PathLike[str], weights: str | os.PathLike[str] | None = None) -> Confidence:
    """Return the confidence of a file; with a warning the margin itself if there is none, or it is of other weights.

    Raises:
        UnusableFileError: if the file is damaged or holds something else.
    """
    return Confidence(*(stored_line(path, weights, "confidences are no probabilities", _REMEDY) or ()))
