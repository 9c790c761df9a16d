import numpy as np
import pytest
import torch

from common.rf import (
    CircularInclusion,
    ClassicalSettings,
    Disturbance,
    RfAcquisition,
    classical_flows,
    error_statistics,
    rf_pair,
)


@pytest.mark.parametrize("name", ["NCC", "GLUE", "GLUE, weak lateral"])
def test_flow_has_the_networks_channels_both_ways(name):
    array = RfAcquisition(samples=600, lines=24)
    motion = CircularInclusion(6.0, 3.5, 2.0, 1.0, 0.01)  # equal media: uniform compression about its centre
    pair = rf_pair(array, motion, np.random.default_rng(0), Disturbance(40.0, 0.0))
    flow = classical_flows(*(torch.from_numpy(frame)[None] for frame in pair), ClassicalSettings(search_samples=12))
    axial, _ = motion.displacement(*np.broadcast_arrays(*array.grid()))
    inner = np.s_[60:-60, 4:-4]
    forward, backward = flow[name][1].numpy()[inner], flow[name][3].numpy()[inner]
    assert error_statistics(forward, (axial / array.sample_mm)[inner])["rmse"] < 0.1
    # The way back starts at the moved place: u / (1 - strain) there, so the sum at one pixel is about 1 % of u.
    assert error_statistics(backward, -(axial / array.sample_mm / 0.99)[inner])["rmse"] < 0.1
