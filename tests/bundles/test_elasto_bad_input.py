"""Pairs that show no strain, or part of it, by one command: each has its word, and no strain is invented."""

import json

import numpy as np
import pytest
import SimpleITK
from scipy.signal import hilbert

from common.errors import FailedCasesError
from common.files import read_csv
from common.rf import Disturbance, LiteFlowNet, RfAcquisition, SmoothMotion, rf_pair
from common.training import save_state
from tests.bundles import harness

ARRAY = RfAcquisition(samples=640, lines=32)
REFUSED = {
    "identical": "expected two frames that differ, found the same one twice",
    "one_frame": "a pair needs two frames",
    "unlike_sizes": "expected frames of one size",
    "constant": "frame 2 is constant",
    "compressed": "has a carrier",
}
REMARKED = {
    "unrelated": "frames do not match in 100 % of the pixels: do not read this strain",
    "dead_half": "do not read this strain",
    "constant_band": "of the pixels are left out",
    "saturated": "of the second frame's samples are saturated",
    "good": "",
}


def pair(seed):
    motion = SmoothMotion.draw(0.01, 10.0, np.random.default_rng(0))
    return rf_pair(ARRAY, motion, np.random.default_rng(seed), Disturbance(30.0, 0.02))


def write(folder):
    first, second = pair(0)
    dead, band = first * 0 + 1, first * 0 + 1
    dead[300:], band[200:320] = 0, 0
    limit = np.quantile(np.abs(second), 0.9)
    compressed = [20 * np.log10(np.abs(hilbert(frame, axis=0)) + 1e-3) for frame in (first, second)]
    pairs = {
        "good": (first, second),
        "identical": (first, first),
        "constant": (first, 0 * first + 3),
        "compressed": [image - image.mean() for image in compressed],
        "unrelated": (first, pair(9)[1]),
        "dead_half": (first * dead, second * dead),
        "constant_band": (first * band + (1 - band) * first.std(), second * band + (1 - band) * first.std()),
        "saturated": (first, np.clip(second, -limit, limit)),
    }
    folder.mkdir()
    for name, frames in pairs.items():
        np.save(folder / f"{name}.npy", np.stack(frames).astype(np.float32))
    np.save(folder / "one_frame.npy", first)
    np.savez(folder / "unlike_sizes.npz", Im1=first, Im2=second[:500])


@pytest.mark.parametrize("method", ["network", "ncc"])
def test_each_bad_pair_has_its_word_and_no_strain_is_invented(tmp_path, method):
    write(tmp_path / "rf")
    save_state(LiteFlowNet(), tmp_path / "random.pt")  # the worst start that a network can give
    settings = {"sampling_mhz": 40.0, "sound_speed_m_s": 1540.0, "pitch_mm": 0.3, "image_format": ".mha"}
    folders = {"dataset_dir": str(tmp_path / "rf"), "output_dir": str(tmp_path / "out")}
    weights = {"weights": str(tmp_path / "random.pt"), "grid_size": [None, 32], "method": method}
    flow = harness.workflow(
        "elasto_flow", ["inference.json"], "inferring", "infer", familiarity=None, **folders, **settings, **weights
    )
    flow.initialize()
    with pytest.raises(RuntimeError) as stopped:
        flow.run()
    assert isinstance(stopped.value.__cause__, FailedCasesError)
    failed = {row["case"]: row["reason"] for row in read_csv(tmp_path / "out" / "failed.csv")}
    assert failed.keys() == REFUSED.keys()
    for case, reason in REFUSED.items():
        assert reason in failed[case]
        assert json.loads((tmp_path / "out" / f"{case}.json").read_text())["error"] == failed[case]
    rows = {row["case"]: row for row in read_csv(tmp_path / "out" / "predictions.csv")}
    assert rows.keys() == REMARKED.keys()
    for case, remark in REMARKED.items():
        assert remark in rows[case]["remark"] and bool(remark) == bool(rows[case]["remark"])
    assert rows["unrelated"]["mean_strain_percent"] == ""
    strain = {
        case: SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "out" / f"{case}_strain.mha")))
        for case in REMARKED
    }
    assert np.isnan(strain["unrelated"]).all() and np.isnan(strain["dead_half"][303:]).all()
    assert np.isnan(strain["constant_band"][203:317]).all()
    inner = np.s_[40:160, 4:-4]
    for case in ("good", "dead_half", "constant_band", "saturated"):
        np.testing.assert_allclose(np.nanmean(strain[case][inner]), np.nanmean(strain["good"][inner]), rtol=0.1)
