"""Velocities through the whole inference path, with a network that knows the true heat maps."""

import csv

import pytest
import torch

from common.doppler import FitSpectrumd, LoadDopplerd, doppler_datalist, draw_heat_maps, simulate_doppler
from tests.bundles import harness

SIZE = [256, 512]
CASES = 8


class Oracle(torch.nn.Module):
    """Gives each image the heat maps of its true peaks; images come in the order of their names."""

    def __init__(self, peaks):
        super().__init__()
        self.peaks, self.next = peaks, 0

    def forward(self, images):
        peaks = torch.stack(self.peaks[self.next : self.next + len(images)])
        self.next += len(images)
        return draw_heat_maps(peaks, images.shape[-2:], 4.0)


@pytest.fixture(params=["dicom", "png"])
def screens(request, tmp_path):
    """Folder and true velocities of screens that differ in size, offset, scale, reference, direction and storage."""
    folder = tmp_path / "screens"
    truth = simulate_doppler(folder, CASES, seed=11, form=request.param)
    prepare = [LoadDopplerd("image"), FitSpectrumd("image", SIZE)]
    peaks = []
    for item in sorted(doppler_datalist(folder, "all"), key=lambda item: item["case"]):
        for step in prepare:
            item = step(item)
        peaks.append(item["peaks"])
    return folder, truth, peaks


def test_true_peaks_come_back_to_half_a_centimetre_a_second(screens, tmp_path):
    folder, truth, peaks = screens
    settings = {
        "dataset_dir": str(folder), "output_dir": str(tmp_path / "out"), "spatial_size": SIZE,
        "device": "$torch.device('cpu')",
        "inferring": ["$@failures.start()", "$@evaluator.run()", "$@failures.finish()"],
    }  # fmt: skip
    flow = harness.workflow("doppler_keypoint", ["inference.json"], "inferring", "infer", **settings)
    flow.parser["network_def"] = Oracle(peaks)
    flow.initialize()
    flow.run()
    with (tmp_path / "out" / "beats.csv").open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert len({row["case"] for row in truth}) == CASES
    for wave in "EA":
        for case in sorted({row["case"] for row in truth}):
            expected = [row["velocity_cm_s"] for row in truth if (row["case"], row["wave"]) == (case, wave)]
            speeds = [float(r["velocity_cm_s"]) for r in found if r["wave"] == wave and r["case"].endswith(case)]
            assert speeds == pytest.approx(expected, abs=0.5), (case, wave)
