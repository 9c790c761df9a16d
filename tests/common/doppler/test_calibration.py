import dataclasses
import math

import pytest

from common.data import UltrasoundRegion
from common.doppler import CalibrationError, peak_velocity_cm_s, spectral_calibration
from common.errors import UnusableFileError

SIZE = (600, 800)
TRACE = UltrasoundRegion(
    min_x=40, min_y=280, max_x=739, max_y=559, spatial_format=3, data_type=3, units_x=4, units_y=7,
    delta_x=0.005, delta_y=-0.8, reference_x=0, reference_y=200, flags=2,
)  # fmt: skip
SECTOR = dataclasses.replace(TRACE, spatial_format=1, units_x=3, units_y=3, min_y=0, max_y=250)
ECG = dataclasses.replace(TRACE, spatial_format=4, units_y=0)


def velocity(row, **changes):
    _, calibration = spectral_calibration([SECTOR, dataclasses.replace(TRACE, **changes), ECG], SIZE, "a.dcm")
    return peak_velocity_cm_s(row, calibration)


def test_takes_the_spectral_region_among_others():
    box, calibration = spectral_calibration([ECG, TRACE, SECTOR], SIZE, "a.dcm")
    assert box == (40, 280, 739, 559)
    assert calibration == (480, 0.8, 0.005)


def test_velocity_is_rows_from_the_baseline_times_the_scale():
    # Baseline at row 280 + 200; 100 rows higher at 0.8 cm/s a row.
    assert velocity(380) == pytest.approx(80)


def test_the_reference_row_counts_from_the_corner_of_the_region():
    assert velocity(380, min_y=270) == pytest.approx(72)


def test_the_reference_row_need_not_be_the_baseline():
    # Row 280 + 50 measures 120 cm/s, so velocity 0 is 150 rows of -0.8 cm/s further down.
    assert velocity(380, reference_y=50, reference_value_y=120.0) == pytest.approx(80)


@pytest.mark.parametrize("delta_y", [-0.8, 0.8])
@pytest.mark.parametrize("row", [380, 580])
def test_a_speed_is_positive_whichever_way_the_trace_stands(delta_y, row):
    assert velocity(row, delta_y=delta_y) == pytest.approx(80)


@pytest.mark.parametrize("changes", [{"units_x": 0}, {"delta_x": None}, {"delta_x": 0.0}])
def test_time_is_unknown_unless_columns_measure_seconds(changes):
    _, calibration = spectral_calibration([dataclasses.replace(TRACE, **changes)], SIZE, "a.dcm")
    assert math.isnan(calibration.seconds_per_px) and calibration.cm_s_per_px == 0.8


def test_a_box_over_the_edge_is_cut():
    box, _ = spectral_calibration([dataclasses.replace(TRACE, min_x=-2, max_x=800)], SIZE, "a.dcm")
    assert box == (0, 280, 799, 559)


def test_an_ecg_that_is_written_as_a_spectrum_is_no_second_trace():
    ecg = dataclasses.replace(TRACE, data_type=10, units_x=-1, missing=("PhysicalUnitsXDirection",), min_y=570)
    assert spectral_calibration([ecg, TRACE], SIZE, "a.dcm") == spectral_calibration([TRACE], SIZE, "a.dcm")


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ([], r"a\.dcm: expected the sequence of ultrasound regions \(0018,6011\), found none"),
        ([SECTOR, ECG], r"expected one spectral region .*, found 0 \(spatial formats: 1, 4\)"),
        ([TRACE, SECTOR, TRACE], r"found 2 \(spatial formats: 3, 1, 3\); crop the file"),
        ([dataclasses.replace(TRACE, units_y=5)], r"expected a velocity scale in cm/s .* found unit 5"),
        ([dataclasses.replace(TRACE, flags=6)], r"found unit 7 and flags 6"),
        ([dataclasses.replace(TRACE, delta_y=0.0)], r"\(0018,602E\), found 0\.0"),
        ([dataclasses.replace(TRACE, delta_y=None)], r"\(0018,602E\), found None"),
        ([dataclasses.replace(TRACE, delta_y=math.nan)], r"\(0018,602E\), found nan"),
        ([dataclasses.replace(TRACE, reference_y=None)], r"reference row .* \(0018,6022\), found none"),
        ([dataclasses.replace(TRACE, min_x=900, max_x=1200)], r"within the 800 x 600 image, found x 900 to 1200"),
        ([dataclasses.replace(TRACE, max_y=290)], r"of at least 16 pixels"),
        ([dataclasses.replace(TRACE, data_type=1)], r"\(0018,6014\)\), found type 1 \(tissue\)"),
        ([dataclasses.replace(TRACE, data_type=7)], r"found type 7; choose a trace of mitral inflow"),
        ([dataclasses.replace(TRACE, reference_y=10**8)], r"near rows 280 to 559 of the trace, found row 1e\+08"),
        ([dataclasses.replace(TRACE, reference_value_y=1e9)], r"near rows 280 to 559 of the trace, found row"),
        ([dataclasses.replace(TRACE, delta_y=-1e-300)], r"found 2e-298 cm/s: tissue Doppler or a wrong scale"),
        # Row 480 is 200 rows below the upper end: 200 x 0.15 = 30 cm/s, a usual scale of tissue Doppler.
        ([dataclasses.replace(TRACE, delta_y=-0.15)], r"between 40 and 700 cm/s, found 30 cm/s: tissue Doppler"),
        ([dataclasses.replace(TRACE, delta_y=-4.0)], r"found 800 cm/s: a wrong scale"),
        ([dataclasses.replace(TRACE, delta_x=1e-9)], r"expected a trace of 0\.2 to 60 s, found 7e-07 s"),
        ([dataclasses.replace(TRACE, delta_x=5.0)], r"expected a trace of 0\.2 to 60 s, found 3500 s"),
    ],
)
def test_says_what_is_wrong_with_a_calibration(regions, message):
    with pytest.raises(CalibrationError, match=message):
        spectral_calibration(regions, SIZE, "a.dcm")


@pytest.mark.parametrize("changes", [{"data_type": 4}, {"delta_y": -0.25}, {"delta_y": -3.0}, {"delta_x": 0.0012}])
def test_believes_what_scanners_offer_for_inflow(changes):
    assert velocity(380, **changes) == pytest.approx(100 * abs(changes.get("delta_y", -0.8)))


def test_a_calibration_error_is_an_unusable_file():
    assert issubclass(CalibrationError, UnusableFileError)
