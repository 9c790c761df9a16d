"""Reading a DICOM patient of 240 files in one pass, beside reading every file twice: headers first, then pixels."""

import time

import numpy as np
import pydicom
import pytest

from common.cine import read_cine, simulate_cine_mr
from common.cine.phantom_chest import CineSettings
from common.cine.phantom_heart import simulate_heart

pytestmark = pytest.mark.benchmark


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patient")
    simulate_cine_mr(folder, cases=1, layout="dicom", size=256, frames=20, slices=12)
    return folder / "patient001"


def read_twice(folder):
    """Headers of all files to sort them, then every file again for its pixels."""
    headers = [(path, pydicom.dcmread(path, stop_before_pixels=True)) for path in sorted(folder.glob("*.dcm"))]
    normal = np.cross(*np.reshape(np.array(headers[0][1].ImageOrientationPatient, float), (2, 3)))

    def place(entry):
        position = np.array(entry[1].ImagePositionPatient, float)
        return round(float(normal @ position), 1), float(entry[1].TriggerTime)

    return np.stack([pydicom.dcmread(path).pixel_array for path, _ in sorted(headers, key=place)]).astype(np.float32)


def test_one_pass_over_240_files(benchmark, patient):
    cine = benchmark.pedantic(read_cine, args=(patient,), rounds=5, warmup_rounds=1)
    twice, seconds = read_twice(patient), []
    for _ in range(5):
        start = time.perf_counter()
        read_twice(patient)
        seconds.append(time.perf_counter() - start)
    assert np.array_equal(cine.frames.reshape(240, 256, 256), twice)
    ratio = float(np.median(seconds)) / benchmark.stats.stats.median
    benchmark.extra_info["times faster than reading twice"] = round(ratio, 2)


def test_simulating_a_patient_of_10_slices_20_frames(benchmark):
    settings = CineSettings(size=128, frames=20, slices=10)
    benchmark.pedantic(lambda: simulate_heart(np.random.default_rng(0), 55.0, settings), rounds=5, warmup_rounds=1)
