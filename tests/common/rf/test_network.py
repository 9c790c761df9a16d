import json
from pathlib import Path

import numpy as np
import pytest
import torch

from common.bundle import installed_bundles_folder
from common.rf import (
    Disturbance,
    LiteFlowNet,
    LiteFlowNetLevels,
    RfAcquisition,
    RfPairToImaged,
    SmoothMotion,
    liteflownet_state_dict,
    rf_pair,
)
from common.training import load_weights
from tests.golden_recipe import filled_state_dict, noise_image

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="module")
def upstream_state():
    return filled_state_dict(json.loads((GOLDEN / "liteflownet_keys.json").read_text()))


@pytest.fixture(scope="module")
def published(upstream_state):
    network = LiteFlowNet(full_size=False)
    network.load_state_dict(liteflownet_state_dict(upstream_state))
    return network.eval()


@pytest.mark.parametrize("seed", [11, 12])
def test_equals_the_published_network_for_equal_weights(published, seed):
    golden = np.load(GOLDEN / "liteflownet.npz")
    first = noise_image(tuple(golden[f"{seed}/shape"]), seed)
    second = np.roll(first, (2, 1), (2, 3))
    with torch.no_grad():
        flow = published(torch.from_numpy(np.concatenate([first, second], axis=1)))
    np.testing.assert_allclose(flow.numpy(), golden[f"{seed}/flow"], atol=1e-4)


def test_reads_the_published_checkpoint_as_it_is_distributed(upstream_state):
    state = {key.replace("net", "module"): value for key, value in upstream_state.items()}
    assert "moduleFeatures.moduleOne.0.weight" in state
    network = LiteFlowNet()
    network.load_state_dict(liteflownet_state_dict(state))
    assert len(state) == 212
    assert sum(value.numel() for value in network.state_dict().values()) == 5_381_969


@pytest.mark.parametrize("key", ["moduleElse.0.weight", "netMatching.0.netElse.0.bias", "netFeatures.netTen.0.bias"])
def test_names_an_entry_that_is_not_liteflownets(key):
    with pytest.raises(ValueError, match=key):
        liteflownet_state_dict({key: torch.zeros(1)})


def test_half_size_flow_is_brought_to_the_input_grid():
    # A half-size sample is the mean of two input samples, so a ramp of the input rows has values 2 i + 1/2 there.
    half = (2 * torch.arange(32.0) + 0.5).reshape(1, 1, 32, 1).expand(1, 2, 32, 16)
    whole = LiteFlowNet().to_size(half, 64, 30)
    assert whole.shape == (1, 2, 64, 30)
    torch.testing.assert_close(whole[0, 1, 1:-1, 3], torch.arange(1.0, 63.0))


def test_sides_that_are_no_multiples_of_32_are_extended_by_their_last_row_and_column(published):
    torch.manual_seed(0)
    image = torch.rand(1, 6, 50, 33)
    extended = torch.nn.functional.pad(image, (0, 31, 0, 14), mode="replicate")
    with torch.no_grad():
        torch.testing.assert_close(published(image), published(extended)[..., :25, :17])


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_takes_any_number_of_channels_an_image(channels):
    network = LiteFlowNet(in_channels=2 * channels)
    assert network(torch.rand(2, 2 * channels, 32, 64)).shape == (2, 2, 32, 64)


@pytest.mark.parametrize("in_channels", [0, 3])
def test_refuses_channels_that_are_no_pair(in_channels):
    with pytest.raises(ValueError, match="even number"):
        LiteFlowNet(in_channels=in_channels)


def test_refuses_means_of_another_size():
    with pytest.raises(ValueError, match="2 rows of 3"):
        LiteFlowNet(means=[[0.5], [0.5]])


def test_refuses_an_image_of_another_number_of_channels():
    with pytest.raises(ValueError, match=r"expected \(B, 6, H, W\)"):
        LiteFlowNet()(torch.rand(1, 3, 32, 32))


def test_checkpointing_changes_no_gradient():
    torch.manual_seed(0)
    image = torch.rand(1, 6, 32, 32)
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(1)
        network = LiteFlowNet(checkpointing=checkpointing)
        network(image).square().sum().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        # With several threads sums come in any order, so two equal runs already differ by rounding.
        torch.testing.assert_close(recomputed, plain, rtol=0, atol=1e-5 * float(plain.abs().max()))


def test_untrained_network_starts_from_small_displacements():
    torch.manual_seed(0)
    with torch.no_grad():
        flow = LiteFlowNet()(torch.rand(1, 6, 64, 64))
    assert float(flow.abs().max()) < 64


def test_levels_are_given_in_training_and_the_last_in_evaluation():
    torch.manual_seed(0)
    network = LiteFlowNetLevels()
    image = torch.rand(1, 6, 64, 96)
    flows = network(image)
    assert [tuple(flow.shape[-2:]) for flow in flows] == [(2, 3), (4, 6), (8, 12), (16, 24), (32, 48)]
    plain = LiteFlowNet()
    plain.load_state_dict(network.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(image), plain(image))


def test_without_its_last_level_it_gives_the_other_levels_flows_and_the_third_on_the_input_grid():
    torch.manual_seed(0)
    whole, short = LiteFlowNetLevels(), LiteFlowNetLevels(finest_level=3)
    short.load_state_dict({key: value for key, value in whole.state_dict().items() if key in short.state_dict()})
    image = torch.rand(1, 6, 64, 96)
    with torch.no_grad():
        flows, shorter = whole(image), short(image)
        torch.testing.assert_close(shorter, flows[:4])
        # A constant stays itself when it is enlarged, and the grid is that of the input.
        enlarged = short.eval().to_size(torch.full((1, 2, 16, 24), 3.0), 60, 90)
        assert short(image).shape == (1, 2, 64, 96)
    torch.testing.assert_close(enlarged, torch.full((1, 2, 60, 90), 3.0))


@pytest.mark.parametrize("finest_level", [1, 7])
def test_refuses_a_level_that_is_not_there(finest_level):
    with pytest.raises(ValueError, match=f"expected 2 to 6, found {finest_level}"):
        LiteFlowNetLevels(finest_level=finest_level)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_script_gives_the_same_flow(published):
    torch.manual_seed(0)
    network = LiteFlowNet(checkpointing=True, both_ways=True)
    network.load_state_dict(published.state_dict())
    image = torch.rand(1, 6, 40, 32)
    scripted = torch.jit.script(network.eval())
    with torch.no_grad():
        torch.testing.assert_close(scripted(image), network(image))


def test_backward_flow_is_that_of_the_swapped_pair_and_has_no_gradient(published):
    torch.manual_seed(0)
    image = torch.rand(1, 6, 32, 32)
    network = LiteFlowNet(both_ways=True, full_size=False)
    network.load_state_dict(published.state_dict())
    flows = network(image)
    with torch.no_grad():
        torch.testing.assert_close(flows[:, :2], published(image))
        torch.testing.assert_close(flows[:, 2:], published(torch.cat([image[:, 3:], image[:, :3]], 1)))
    flows[:, 2:].sum().backward()
    assert not any(parameter.grad.any() for parameter in network.parameters())


@pytest.mark.parametrize("means", [None, [[0.1] * 3] * 2], ids=["published means", "one mean"])
def test_both_ways_in_an_evaluation_are_each_way_by_itself(published, means):
    torch.manual_seed(0)
    image = torch.rand(2, 6, 48, 40)
    swapped = torch.cat([image[:, 3:], image[:, :3]], 1)
    both = LiteFlowNet(both_ways=True, means=means).eval()
    both.load_state_dict(published.state_dict())
    alone = LiteFlowNet(means=means).eval()
    alone.load_state_dict(published.state_dict())
    with torch.no_grad():
        expected = torch.cat([alone(image), alone(swapped)], 1)
        torch.testing.assert_close(both(image), expected, rtol=1e-4, atol=1e-4)


def test_bfloat16_keeps_the_displacement_as_exact_as_its_parts():
    torch.manual_seed(0)
    network = LiteFlowNet(in_channels=2).eval()
    with torch.no_grad():
        for stage in network.stages:
            if isinstance(stage.main[-1], torch.nn.Conv2d):
                stage.main[-1].weight.zero_()  # matching and sub-pixel stages add their bias alone
        for index, lateral, axial in ((0, 1.5, 3.0), (3, -0.003, 0.0035)):
            network.stages[index].main[-1].bias.copy_(torch.tensor([lateral, axial]))
        image = torch.rand(1, 2, 128, 96)
        exact = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = network(image)
    assert mixed.dtype == torch.float32
    assert exact[:, 1].max() > 32
    # bfloat16 steps by .25 px from 32 px on, so a displacement kept in it would be up to .125 px off.
    assert (mixed - exact).abs().max() < 0.05


def test_bfloat16_moves_the_shipped_networks_displacement_by_less_than_a_fiftieth_of_a_sample():
    network = LiteFlowNet().eval()
    load_weights(network, installed_bundles_folder() / "elasto_flow" / "models" / "model.pt")
    random = np.random.default_rng(1)
    frames = rf_pair(RfAcquisition(512, 64), SmoothMotion.draw(0.03, 10.0, random), random, Disturbance(30.0, 0.05))
    pair = dict(zip(("pre", "post"), (torch.from_numpy(frame)[None] for frame in frames), strict=True))
    image = RfPairToImaged(grid_size=[None, 128])(pair)["image"][None]
    with torch.inference_mode():
        exact = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = network(image)
    assert exact[:, 1].abs().max() > 10
    assert (mixed - exact).abs().max() < 0.02
