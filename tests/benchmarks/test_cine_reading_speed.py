"""Reading a DICOM patient of 240 files, beside doing so with nothing checked."""

import time

import numpy as np
import pydicom
import pytest

from common.cine import read_cine, simulate_cine_mr
from common.cine.phantoms.chest import CineSettings
from common.cine.phantoms.heart import simulate_heart

pytestmark = pytest.mark.benchmark


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patient")
    simulate_cine_mr(folder, cases=1, layout="dicom", size=256, frames=20, slices=12)
    return folder / "patient001"


def read_plainly(folder):
    """Headers of all files to sort them, then every file again for its pixels, nothing checked."""
    headers = [(path, pydicom.dcmread(path, stop_before_pixels=True)) for path in sorted(folder.glob("*.dcm"))]
    normal = np.cross(*np.reshape(np.array(headers[0][1].ImageOrientationPatient, float), (2, 3)))

    def position_and_time(entry):
        position = np.array(entry[1].ImagePositionPatient, float)
        return round(float(normal @ position), 1), float(entry[1].TriggerTime)

    ordered = sorted(headers, key=position_and_time)
    return np.stack([pydicom.dcmread(path).pixel_array for path, _ in ordered]).astype(np.float32)


def test_240_files(benchmark, patient):
    cine = benchmark.pedantic(read_cine, args=(patient,), rounds=5, warmup_rounds=1)
    plain, seconds = read_plainly(patient), []
    for _ in range(5):
        start = time.perf_counter()
        read_plainly(patient)
        seconds.append(time.perf_counter() - start)
    assert np.array_equal(np.concatenate([found.frames for found in cine.slices]), plain)
    ratio = benchmark.stats.stats.median / float(np.median(seconds))
    benchmark.extra_info["times as long as without any check"] = round(ratio, 2)


def test_simulating_a_patient_of_10_slices_20_frames(benchmark):
    settings = CineSettings(size=128, frames=20, slices=10)
    benchmark.pedantic(lambda: simulate_heart(np.random.default_rng(0), 55.0, settings), rounds=5, warmup_rounds=1)
