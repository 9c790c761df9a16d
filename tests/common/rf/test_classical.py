import numpy as np
import pytest
import torch

from common.rf import (
    CircularInclusion,
    ClassicalSettings,
    Disturbance,
    RefineDisplacementd,
    RfAcquisition,
    classical_displacements,
    completed_displacement,
    error_statistics,
    rf_pair,
)

SETTINGS = ClassicalSettings(search_samples=12)
INNER = np.s_[60:-60, 4:-4]


@pytest.fixture(scope="module")
def item():
    array = RfAcquisition(samples=600, lines=24)
    motion = CircularInclusion(6.0, 3.5, 2.0, 1.0, 0.01)  # equal media: uniform compression about its centre
    pair = rf_pair(array, motion, np.random.default_rng(0), Disturbance(40.0, 0.0))
    axial, _ = motion.displacement(*np.broadcast_arrays(*array.grid()))
    pre, post = (torch.from_numpy(frame)[None] for frame in pair)
    return {"pre": pre, "post": post, "exact": axial / array.sample_mm}


def assert_close(displacement, item, limit):
    forward, backward = (displacement[channel].numpy()[INNER] for channel in (1, 3))
    assert error_statistics(forward, item["exact"][INNER])["rmse"] < limit
    # The way back starts at the moved place: u / (1 - strain) there, so the sum at one pixel is about 1 % of u.
    assert error_statistics(backward, -(item["exact"] / 0.99)[INNER])["rmse"] < limit


@pytest.mark.parametrize("name", ["NCC", "GLUE", "GLUE, published"])
def test_displacement_has_the_networks_channels_both_ways(item, name):
    assert_close(classical_displacements(item["pre"], item["post"], SETTINGS)[name], item, 0.1)


def test_a_networks_displacement_is_refined_and_kept(item):
    exact = torch.from_numpy(item["exact"]).float()
    zero = torch.zeros_like(exact)
    network = torch.stack([zero, exact + 1.5, zero, -exact / 0.99 + 1.5])  # off by less than a quarter of 8 samples
    result = RefineDisplacementd("pred")({**item, "pred": network})
    assert_close(result["pred"], item, 0.02)
    assert torch.equal(result["network"], network) and result["method"] == "network and GLUE"


@pytest.mark.parametrize(
    ("method", "refine", "name"),
    [
        ("network", None, "network"),
        ("ncc", "none", "NCC"),
        ("ncc", "glue", "NCC and GLUE"),
        ("network", "None", "network"),
    ],
)
def test_methods_by_setting(item, method, refine, name):
    network = torch.full((4, 600, 24), 5.0)
    result = RefineDisplacementd("pred", method, refine, SETTINGS)({**item, "pred": network})
    assert result["method"] == name
    if name == "network":
        assert torch.equal(result["pred"], network)
    else:
        assert_close(result["pred"], item, 0.1)


def test_gaps_of_the_network_are_filled_by_ncc(item):
    exact = torch.from_numpy(item["exact"]).float()
    zero = torch.zeros_like(exact)
    network = torch.stack([zero, exact, zero, -exact / 0.99])
    network[1, 200:400] += 30
    network[3, 200:400] -= 30
    completed, fraction = completed_displacement(item["pre"], item["post"], network, SETTINGS)
    assert fraction == pytest.approx(1 / 3, abs=0.1)
    assert torch.equal(completed[1, :120, 4:-4], network[1, :120, 4:-4])
    assert_close(RefineDisplacementd("pred", settings=SETTINGS)({**item, "pred": network})["pred"], item, 0.03)


def test_a_network_that_matches_everywhere_is_left_as_it_is(item):
    axial = torch.from_numpy(item["exact"]).float()
    network = torch.stack([0 * axial, axial, 0 * axial, -axial / 0.99])
    crop = {key: item[key][..., 8:-8, :] for key in ("pre", "post")}
    completed, fraction = completed_displacement(crop["pre"], crop["post"], network[:, 8:-8], SETTINGS)
    assert fraction < 0.05 and (completed - network[:, 8:-8])[:, 40:-40, 4:-4].abs().max() < 0.2


@pytest.mark.parametrize("size", [(16, 4), (40, 2), (33, 1)])
def test_small_frames_are_taken(size):
    pre, post = torch.randn(2, 1, *size, generator=torch.Generator().manual_seed(0))
    result = RefineDisplacementd("pred", settings=SETTINGS)({"pre": pre, "post": post, "pred": torch.zeros(4, *size)})
    assert result["pred"].shape == (4, *size) and bool(torch.isfinite(result["pred"]).all())


def test_frames_with_nothing_in_common_give_numbers_and_no_warning(item):
    dead = torch.zeros(1, 600, 24)
    dead[0, :20] = item["pre"][0, :20]
    for pre, post in ((item["pre"], dead), (dead, item["post"]), (item["pre"], -item["pre"])):
        result = RefineDisplacementd("pred", settings=SETTINGS)(
            {"pre": pre, "post": post, "pred": torch.zeros(4, 600, 24)}
        )
        assert bool(torch.isfinite(result["pred"]).all())


def test_refuses_other_methods():
    with pytest.raises(ValueError, match=r"'ncc'.*'lucas'"):
        RefineDisplacementd("pred", method="lucas")
    with pytest.raises(ValueError, match=r"'glue' or 'none'.*'spline'"):
        RefineDisplacementd("pred", refine="spline")
