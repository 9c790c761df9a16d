"""Uniform compression and rigid shifts, from MAT files to the displacement that inference writes."""

import numpy as np
import pytest
import SimpleITK
from scipy.io import savemat

from common.rf import Disturbance, RfAcquisition, error_statistics, rf_pair
from tests.bundles.harness import root, workflow

ARRAY = RfAcquisition(samples=1024, lines=64)
INNER = np.s_[40:-40, 10:-10]
# By compression (%) and shift (samples).
MOTIONS = [(0.5, 0.0), (1.0, 0.0), (2.0, 0.0), (0.0, 0.3), (0.0, 0.5)]
# Samples: of the answer, which GLUE refines, and of the network alone.
LARGEST_AXIAL_RMSE = {"displacement": 0.01, "network_displacement": 0.05}


class Uniform:
    """A compression from the probe's face on and a rigid axial shift."""

    def __init__(self, percent, shift_samples):
        self.strain, self.shift_mm = percent / 100, shift_samples * ARRAY.sample_mm

    def displacement(self, axial_mm, lateral_mm):
        both = axial_mm + 0 * lateral_mm
        return self.shift_mm - self.strain * both, 0 * both

    def axial_strain(self, axial_mm, lateral_mm):
        return -self.strain + 0 * (axial_mm + lateral_mm)


@pytest.mark.slow
def test_shipped_weights_keep_their_promise_on_known_displacements(tmp_path):
    for number, (percent, shift) in enumerate(MOTIONS):
        motion = Uniform(percent, shift)
        first, second = rf_pair(ARRAY, motion, np.random.default_rng(number), Disturbance(40.0, 0.0))
        named = {"fs_hz": 40e6, "sound_speed_m_s": 1540.0, "pitch_m": 0.3e-3}
        (tmp_path / "rf").mkdir(exist_ok=True)
        savemat(tmp_path / "rf" / f"case_{number}.mat", {"Im1": first, "Im2": second, **named})
    folders = {"dataset_dir": str(tmp_path / "rf"), "output_dir": str(tmp_path / "out")}
    # The first stage's network: fine-tuning belongs to the user's own frames.
    weights = str(root("elasto_flow") / "models" / "pretrained.pt")
    flow = workflow(
        "elasto_flow", ["inference.json"], "inferring", "infer", weights=weights, image_format=".mha", **folders
    )
    flow.initialize()
    flow.run()
    for number, (percent, shift) in enumerate(MOTIONS):
        for name, largest in LARGEST_AXIAL_RMSE.items():
            image = SimpleITK.ReadImage(str(tmp_path / "out" / f"case_{number}_{name}.mha"))
            axial = SimpleITK.GetArrayFromImage(image)[..., 1] / ARRAY.sample_mm
            exact = np.broadcast_to(shift - percent / 100 * np.arange(ARRAY.samples)[:, None], axial.shape)
            found = error_statistics(axial[INNER], exact[INNER])["rmse"]
            assert found <= largest, (name, percent, shift)
