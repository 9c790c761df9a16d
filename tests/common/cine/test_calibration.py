"""From slices to a patient: calibrated probability, ejection fraction, and what is said where neither can be had."""

import json
import logging
import math

import numpy as np
import pytest
import torch
from ignite.engine import Engine

from common.cine import Calibration, FitCalibration, HeartFailureResults, PatientReading, load_calibration, slice_row
from common.data import FailureLog
from common.errors import NoDataError, UnusableFileError
from common.files import read_csv, write_sealed_json
from common.training.weights import sha256_of


def logistic(x):
    return 1.0 / (1.0 + math.exp(-x))


def rows(**patients):
    return [
        {"case": case, "slice": k, "label": None, "probability": output}
        for case, outputs in patients.items()
        for k, output in enumerate(outputs)
    ]


def test_a_probability_is_the_line_in_the_logit():
    line = Calibration(2.0, 1.0)
    assert float(line.probability(0.5)) == pytest.approx(logistic(1.0))
    assert float(line.probability(logistic(-0.5))) == pytest.approx(0.5)
    assert float(line.probability(0.7, boundary=0.7)) == pytest.approx(logistic(1.0))
    assert np.isfinite(line.probability([0.0, 1.0])).all()


def test_the_fit_finds_the_line_that_made_the_labels():
    rng = np.random.default_rng(0)
    logits = rng.normal(-1.0, 1.5, 20000)
    labels = rng.random(20000) < 1.0 / (1.0 + np.exp(-(1.7 * logits + 1.7)))  # balanced: the offset has no share in it
    found = Calibration.fit(1.0 / (1.0 + np.exp(-logits)), labels)
    assert found.scale == pytest.approx(1.7, rel=0.05)
    assert float(found.probability(logistic(-1.0))) == pytest.approx(0.5, abs=0.03)


def test_the_share_of_the_classes_does_not_move_the_threshold():
    outputs = np.concatenate([np.linspace(0.1, 0.3, 90), np.linspace(0.5, 0.7, 10)])
    found = Calibration.fit(outputs, np.arange(100) >= 90)
    assert 0.3 < outputs[np.searchsorted(found.probability(outputs), 0.5)] <= 0.5


@pytest.mark.parametrize("spread", [0.1, 1.0, 8.0])
@pytest.mark.parametrize("count", [5, 40])
def test_classes_that_do_not_overlap_are_as_sure_as_platt_says_whatever_the_spread_of_the_outputs(count, spread):
    """All outputs of a class are alike: the likeliest probability is the target, (n + 1) / (n + 2)."""
    logits = np.repeat([-spread, spread], [count, 2 * count])
    found = Calibration.fit(1.0 / (1.0 + np.exp(-logits)), logits > 0)
    below, above = found.probability(1.0 / (1.0 + np.exp([spread, -spread])))
    assert above == pytest.approx((2 * count + 1) / (2 * count + 2), abs=1e-3)
    assert below == pytest.approx(1 / (count + 2), abs=1e-3)


def test_too_few_patients_and_a_useless_network_are_refused():
    with pytest.raises(
        NoDataError, match="expected at least 5 patients of each class to calibrate, found 4 with HFrEF"
    ):
        Calibration.fit([0.5] * 20, [1] * 4 + [0] * 16)
    with pytest.raises(NoDataError, match="found lower ones"):
        Calibration.fit([0.2] * 6 + [0.8] * 6, [1] * 6 + [0] * 6)


def test_an_ejection_fraction_gives_the_class_against_any_threshold():
    found = {t: PatientReading("ef", ef_threshold=t)(rows(a=[0.5, 0.7], b=[0.35])) for t in (35.0, 50.0)}
    assert [row["predicted_ef"] for row in found[50.0]] == pytest.approx([40.0, 65.0])
    assert [row["call"] for row in found[50.0]] == ["HFrEF", "HFpEF"]
    assert [row["call"] for row in found[35.0]] == ["HFpEF", "HFpEF"]
    assert found[50.0][0]["probability"] == pytest.approx(0.6), "an EF of 50 % is a probability of one half"


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"a": torch.zeros(1)}, path)
    return path


def stored(path, weights, scale=2.0, offset=1.0):
    write_sealed_json(path, {"scale": scale, "offset": offset, "patients": 12, "model_sha256": sha256_of(weights)})
    return path


def test_a_stored_calibration_is_used_with_its_weights_only(tmp_path, weights, caplog):
    path = stored(tmp_path / "calibration.json", weights)
    assert load_calibration(path, weights) == (2.0, 1.0)
    other = tmp_path / "other.pt"
    torch.save({"a": torch.ones(1)}, other)
    assert load_calibration(path, other) is None and "of other weights than" in caplog.text
    reading = PatientReading(calibration=path, weights=other)
    assert not reading.calibrated and reading(rows(a=[0.25]))[0]["probability"] == 0.25
    assert load_calibration(tmp_path / "none.json", weights) is None and "no calibration" in caplog.text


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"scale": -1, "offset": 0}', '{"scale": 1}', '{"scale": "1", "offset": 0}']
)
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "calibration.json"
    path.write_text(content)
    with pytest.raises(UnusableFileError, match="delete it, then run calibrating"):
        load_calibration(path)


def test_a_changed_calibration_is_refused(tmp_path, weights):
    path = stored(tmp_path / "calibration.json", weights)
    path.write_text(path.read_text().replace("2.0", "3.0"))
    with pytest.raises(UnusableFileError, match="calibration"):
        load_calibration(path, weights)


def items(outputs, labels):
    return [
        (
            {
                "case": f"p{k}",
                "slice_number": torch.tensor(0),
                "reduced": torch.tensor(label),
                "ef": torch.tensor(40.0),
            },
            {"pred": torch.tensor([output])},
        )
        for k, (output, label) in enumerate(zip(outputs, labels, strict=True))
    ]


def run(handler, samples):
    def step(engine, batch):
        engine.state.batch = [batch[0]]
        return [batch[1]]

    engine = Engine(step)
    handler.attach(engine)
    engine.run(samples)


@pytest.mark.parametrize("target", ["class", "ef"])
def test_calibrating_writes_what_reading_reads(tmp_path, weights, caplog, target):
    caplog.set_level(logging.WARNING)
    outputs, labels = np.linspace(0.05, 0.6, 30), [0] * 15 + [1] * 15
    path = tmp_path / "calibration.json"
    run(FitCalibration(slice_row, path, weights, target), items(outputs, labels))
    assert json.loads(path.read_text())["patients"] == 30 and "calibrated on 30 patients" in caplog.text
    reading = PatientReading(target, calibration=path, weights=weights)
    assert reading.calibrated
    calls = [row["call"] for row in reading(rows(**{f"p{k}": [o] for k, o in enumerate(outputs)}))]
    wrong = sum((call == "HFrEF") != label for call, label in zip(calls, labels, strict=True))
    assert wrong <= 1, "at .5 the outputs alone would call 24 of 30 wrong"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"threshold": 40}, "threshold: expected a probability"),
        ({"threshold": math.nan}, "threshold: expected a probability"),
        ({"threshold": "nan"}, "threshold: expected a probability"),
        ({"ef_threshold": 150}, "ef_threshold: expected percent"),
        ({"ef_threshold": 0.5}, "ef_threshold: expected percent"),
        ({"ef_threshold": -5}, "ef_threshold: expected percent"),
    ],
)
def test_a_threshold_that_calls_everyone_alike_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        PatientReading("ef", **setting)


def test_slices_of_two_patients_of_one_name_are_refused():
    one, other = ({**rows(anna=[0.5])[0], "slice": k, "ef": ef} for k, ef in enumerate((30.0, 60.0)))
    with pytest.raises(ValueError, match="two that are called anna"):
        PatientReading()([one, other])


@pytest.mark.parametrize(("threshold", "ef_threshold"), [(0.5, 50.0), (0.3, 50.0), (0.5, 40.0), (1.0, 50.0)])
def test_the_boundary_is_the_ef_at_which_the_call_changes(tmp_path, weights, threshold, ef_threshold):
    path = stored(tmp_path / "calibration.json", weights)
    reading = PatientReading("ef", threshold, ef_threshold, path, weights)
    boundary = reading.ef_boundary
    below, above = (1 - (boundary + step) / 100 for step in (-1e-3, 1e-3))
    found = reading(rows(below=[below], above=[above]))
    assert [row["call"] for row in found] == (["HFrEF", "HFpEF"] if threshold < 1 else ["HFpEF", "HFpEF"])
    assert PatientReading("ef", ef_threshold=ef_threshold).ef_boundary == pytest.approx(ef_threshold)


def test_results_tell_the_ef_and_whether_they_are_calibrated(tmp_path, weights):
    sample = {"case": "a", "slice_number": torch.tensor(1), "image": torch.rand(1, 16, 16, 6)}
    for folder, reading in (
        ("plain", None),
        ("ef", PatientReading("ef", calibration=stored(tmp_path / "calibration.json", weights), weights=weights)),
    ):
        results = HeartFailureResults(FailureLog(tmp_path / folder), reading=reading)
        run(results, [(sample, {"pred": torch.tensor([0.75])})])
    plain, ef = (json.loads((tmp_path / folder / "a.json").read_text()) for folder in ("plain", "ef"))
    assert plain["calibrated"] is False and "ef_percent" not in plain and plain["probability_HFrEF"] == 0.75
    assert ef["calibrated"] is True and ef["ef_percent"] == 25.0 and ef["slices"] == [{"slice": 1, "ef_percent": 25.0}]
    assert ef["probability_HFrEF"] == pytest.approx(logistic(2.0 * math.log(3.0) + 1.0))
    assert ef["ef_boundary"] == pytest.approx(100 * logistic(0.5)) and "ef_boundary" not in plain
    assert read_csv(tmp_path / "ef" / "predictions.csv")[0]["ef_percent"] == "25.0"
    assert read_csv(tmp_path / "plain" / "predictions.csv")[0]["ef_percent"] == ""
