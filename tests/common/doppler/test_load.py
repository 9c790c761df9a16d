import numpy as np
import pytest
import torch
from PIL import Image

from common.doppler import DopplerCalibration, LoadDopplerd
from common.doppler.load import stacked_peaks
from common.errors import UnusableFileError
from tests.common.data.test_ultrasound_dicom import region, write


@pytest.fixture
def dicom(tmp_path):
    item = region(RegionLocationMaxX1=50, RegionLocationMaxY1=30, PhysicalDeltaX=0.04, PhysicalDeltaY=-4.0)
    return write(
        tmp_path / "a.dcm", np.full((1, 40, 60), 51, np.uint8), "MONOCHROME2", SequenceOfUltrasoundRegions=[item]
    )


def test_dicom_becomes_image_box_calibration_and_peaks(dicom):
    d = LoadDopplerd("image", max_peaks=3)(
        {"case": "a", "image": str(dicom), "peaks": {"E": [(8.0, 9.0), (20.0, 8.5)], "A": []}}
    )
    torch.testing.assert_close(d["image"], torch.full((1, 40, 60), 0.2))
    assert d["box"].tolist() == [4, 5, 50, 30]
    assert d["calibration"].tolist() == pytest.approx([12 + 3 / 4, 4.0, 0.04])
    assert d["peaks"].shape == (2, 3, 2) and d["peaks"][0, 1].tolist() == [20.0, 8.5]
    assert d["peaks"][0, 2].isnan().all() and d["peaks"][1].isnan().all()


def test_a_calibration_of_labels_csv_goes_before_the_file(dicom):
    d = LoadDopplerd("image")({"image": str(dicom), "calibration": DopplerCalibration(20.0, 0.5, 0.01)})
    assert d["calibration"].tolist() == [20.0, 0.5, 0.01]
    assert "peaks" not in d


def test_a_trace_of_labels_csv_goes_before_the_whole_picture(tmp_path):
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "a.png")
    assert LoadDopplerd("image")({"image": tmp_path / "a.png", "box": (3, 4, 50, 33)})["box"].tolist() == [3, 4, 50, 33]


def test_a_case_with_a_problem_fails_by_it(dicom):
    with pytest.raises(UnusableFileError, match="a wrong scale"):
        LoadDopplerd("image")({"image": str(dicom), "problem": "a.dcm: a wrong scale"})


def test_a_picture_without_calibration_has_none(tmp_path):
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "a.png")
    d = LoadDopplerd("image")({"image": str(tmp_path / "a.png")})
    assert d["calibration"].isnan().all() and d["box"].tolist() == [0, 0, 29, 19]


def test_leaves_its_input_alone(dicom):
    item = {"image": str(dicom), "peaks": {"E": [(8.0, 9.0)], "A": []}}
    LoadDopplerd("image")(item)
    assert item == {"image": str(dicom), "peaks": {"E": [(8.0, 9.0)], "A": []}}


def test_more_peaks_than_room_is_an_error_not_a_loss():
    peaks = {"E": [(float(x), 1.0) for x in range(4)], "A": []}
    with pytest.raises(ValueError, match="expected at most 3 E peaks in an image, found 4"):
        stacked_peaks(peaks, 3)


def test_no_peaks_are_all_nan():
    assert stacked_peaks({"E": [], "A": []}, 2).isnan().all()
