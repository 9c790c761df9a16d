import json
import math

import numpy as np
import pytest
from scipy.special import expit

from common.doppler.confidence import Confidence, fit_confidence, load_confidence
from common.doppler.rows import PeakRow
from common.errors import NoDataError, UnusableFileError
from common.files import write_sealed_json


def peak(confidence, is_right):
    return PeakRow("a", "E", "matched" if is_right else "false", 1, 2, confidence, 80, 1, 2, 80, 0)


def test_a_margin_is_log_odds_before_any_calibration():
    assert Confidence()(math.log(3)) == pytest.approx(0.75) and Confidence(2, -1)(0.5) == pytest.approx(0.5)


def test_finds_the_line_that_drew_the_peaks():
    rng = np.random.default_rng(0)
    margins = rng.uniform(0, 6, 4000)
    peaks = [peak(float(expit(m)), rng.random() < expit(0.8 * m - 0.5)) for m in margins]
    found = fit_confidence(peaks)
    assert found.scale == pytest.approx(0.8, abs=0.1) and found.offset == pytest.approx(-0.5, abs=0.2)
    confidences = np.array([found(float(m)) for m in margins])
    assert confidences.mean() == pytest.approx(np.mean([one.status == "matched" for one in peaks]), abs=1e-3)


@pytest.mark.parametrize("wrong", [0, 4])
def test_needs_right_and_wrong_peaks(wrong):
    with pytest.raises(NoDataError, match=rf"expected at least 5 right and 5 wrong peaks .*, found 20 and {wrong}"):
        fit_confidence([peak(0.9, True)] * 20 + [peak(0.6, False)] * wrong)


def test_refuses_margins_that_say_the_opposite():
    with pytest.raises(NoDataError, match="nothing to calibrate"):
        fit_confidence([peak(0.6, True)] * 20 + [peak(0.9, False)] * 20)


def test_reads_what_was_written_for_the_same_weights(tmp_path, caplog):
    weights, path = tmp_path / "model.pt", tmp_path / "calibration.json"
    weights.write_bytes(b"weights")
    write_sealed_json(path, {"scale": 0.8, "offset": -0.5, "peaks": 9, "model_sha256": None})
    assert load_confidence(path, weights) == Confidence(0.8, -0.5)
    write_sealed_json(path, {"scale": 0.8, "offset": -0.5, "peaks": 9, "model_sha256": "of others"})
    assert load_confidence(path, weights) == Confidence() and "of other weights" in caplog.text


def test_without_a_file_the_margin_itself_is_used_with_a_warning(tmp_path, caplog):
    assert load_confidence(tmp_path / "calibration.json") == Confidence() and "run calibrating" in caplog.text


@pytest.mark.parametrize("content", [{"scale": -1.0, "offset": 0.0}, {"offset": 0.0}, ["a"]])
def test_refuses_what_is_no_line(tmp_path, content):
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UnusableFileError, match=r"expected (scale and offset|a calibration)"):
        load_confidence(path)
