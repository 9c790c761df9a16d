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
    "truncated": "expected a whole DICOM file with an image, found one that is cut off",
    "no_regions": "expected the sequence of ultrasound regions",
    "two_traces": "expected one spectral region in (0018,6011), found 2",
    "hertz": "found unit 5",
    "zero_delta": "(0018,602E), found 0.0",
    "tissue": "(0018,6014)), found type 1 (tissue)",
    "slow_scale": "cm/s: tissue Doppler or a wrong scale",
    "far_reference": "expected the baseline near rows",
    "outside": "expected a spectral region of at least 16 pixels within the",
    "postscript": "found plain text",
    "wide_scale": "expected cm_s_per_px as a number from 0.001 to 100, found '1e7'",
    "no_dicom": "expected a DICOM file",
    "no_picture": "expected a picture (PNG, JPEG, BMP, TIFF), found a file of another kind",
}


def ecg(dataset):
    return next(region for region in dataset.SequenceOfUltrasoundRegions if region.RegionSpatialFormat == 4)


def measure(trace, cm_s_per_px):
    trace.PhysicalDeltaY, trace.ReferencePixelY0, trace.ReferencePixelPhysicalValueY = cm_s_per_px, 100, 0.0


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
    damaged("tissue", lambda dataset, trace: setattr(trace, "RegionDataType", 1))
    damaged("slow_scale", lambda dataset, trace: measure(trace, 1e-300))
    damaged("far_reference", lambda dataset, trace: setattr(trace, "ReferencePixelY0", 10**8))
    damaged("outside", lambda dataset, trace: setattr(trace, "RegionLocationMinX0", 4000))
    damaged("ecg_without_unit", lambda dataset, trace: delattr(ecg(dataset), "PhysicalUnitsYDirection"))
    (data / "truncated.dcm").write_bytes(source.read_bytes()[:-20000])
    (data / "no_dicom.dcm").write_text("nothing")
    (data / "no_picture.png").write_bytes(b"\x89PNG\r\n")
    Image.new("RGB", (60, 60)).save(data / "postscript.png", "EPS")
    for name in ("uncalibrated", "wide_scale", "a$b$ =1+1"):
        Image.new("L", (120, 60)).save(data / f"{name}.png")
    (data / "labels.csv").write_text("filename,cm_s_per_px,y_baseline\nwide_scale.png,1e7,40\n")
    save_state(KeypointUNet("MobileNetV2"), tmp_path / "models" / "model.pt")
    return data


@pytest.mark.filterwarnings("ignore")  # pydicom warns of the damage that is made here
def test_good_results_are_written_and_bad_files_are_named(folder, tmp_path):
    settings = {"dataset_dir": str(folder), "model_dir": str(tmp_path / "models"), "output_dir": str(tmp_path / "out")}
    flow = harness.workflow("doppler_keypoint", ["inference.json"], "inferring", "infer", **settings, **SETTINGS)
    flow.initialize()
    with pytest.raises(RuntimeError) as caught:
        flow.run()
    assert isinstance(caught.value.__cause__, FailedCasesError) and "13 cases failed" in str(caught.value.__cause__)
    with (tmp_path / "out" / "failed.csv").open(newline="") as stream:
        failed = {row["case"]: row["reason"] for row in csv.DictReader(stream)}
    assert failed.keys() == REASONS.keys()
    assert [name for name, reason in REASONS.items() if reason not in failed[name]] == []
    good = {"labelled_doppler0000", "ecg_without_unit", "uncalibrated", "a$b$ =1+1"}
    content = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")]
    assert {one["case"] for one in content if "error" not in one} == good
    assert {one["case"]: one["error"] for one in content if "error" in one} == failed
    uncalibrated = json.loads((tmp_path / "out" / "uncalibrated.json").read_text())
    assert uncalibrated["unit"] == "px" and "no calibration" in uncalibrated["remark"]
    with (tmp_path / "out" / "predictions.csv").open(newline="") as stream:
        assert {row["case"] for row in csv.DictReader(stream)} == good
