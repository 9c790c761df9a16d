"""A folder in which most files are bad: every good result is written, every bad file is named with its reason."""

import csv
import json

import pydicom
import pytest
from PIL import Image

from common.doppler import KeypointUNet, simulate_doppler
from common.errors import FailedCasesError
from common.training import save_state
from tests.bundles import harness

SETTINGS = {"backbone": "MobileNetV2", "spatial_size": [64, 96], "batch_size": 2}
REASONS = {
    "truncated": "expected a whole DICOM file, found one that is cut off",
    "no_regions": "expected the sequence of ultrasound regions",
    "two_traces": "expected one spectral region in (0018,6011), found 2",
    "hertz": "found unit 5",
    "zero_delta": "(0018,602E), found 0.0",
    "no_dicom": "expected a DICOM file",
    "no_picture": "expected a picture (PNG, JPEG, BMP, TIFF), found a file of another kind",
}


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "data"
    simulate_doppler(data, 1, seed=3)
    source = data / "labelled" / "doppler0000.dcm"

    def damaged(name, change):
        dataset = pydicom.dcmread(source)
        (trace,) = [r for r in dataset.SequenceOfUltrasoundRegions if r.RegionSpatialFormat == 3]
        change(dataset, trace)
        dataset.save_as(data / f"{name}.dcm")

    damaged("no_regions", lambda dataset, trace: delattr(dataset, "SequenceOfUltrasoundRegions"))
    damaged("two_traces", lambda dataset, trace: dataset.SequenceOfUltrasoundRegions.append(trace))
    damaged("hertz", lambda dataset, trace: setattr(trace, "PhysicalUnitsYDirection", 5))
    damaged("zero_delta", lambda dataset, trace: setattr(trace, "PhysicalDeltaY", 0.0))
    (data / "truncated.dcm").write_bytes(source.read_bytes()[:-20000])
    (data / "no_dicom.dcm").write_text("nothing")
    (data / "no_picture.png").write_bytes(b"\x89PNG\r\n")
    Image.new("L", (120, 60)).save(data / "uncalibrated.png")
    save_state(KeypointUNet("MobileNetV2"), tmp_path / "models" / "model.pt")
    return data


@pytest.mark.filterwarnings("ignore")  # pydicom warns of the damage that is made here
def test_good_results_are_written_and_bad_files_are_named(folder, tmp_path):
    settings = {"dataset_dir": str(folder), "model_dir": str(tmp_path / "models"), "output_dir": str(tmp_path / "out")}
    flow = harness.workflow("doppler_keypoint", ["inference.json"], "inferring", "infer", **settings, **SETTINGS)
    flow.initialize()
    with pytest.raises(RuntimeError) as caught:
        flow.run()
    assert isinstance(caught.value.__cause__, FailedCasesError) and "7 cases failed" in str(caught.value.__cause__)
    with (tmp_path / "out" / "failed.csv").open(newline="") as stream:
        failed = {row["case"]: row["reason"] for row in csv.DictReader(stream)}
    assert failed.keys() == REASONS.keys()
    assert [name for name, reason in REASONS.items() if reason not in failed[name]] == []
    assert (tmp_path / "out" / "labelled_doppler0000.json").is_file()
    uncalibrated = json.loads((tmp_path / "out" / "uncalibrated.json").read_text())
    assert uncalibrated["unit"] == "px" and "no calibration" in uncalibrated["note"]
    with (tmp_path / "out" / "predictions.csv").open(newline="") as stream:
        assert {row["case"] for row in csv.DictReader(stream)} == {"labelled_doppler0000", "uncalibrated"}
