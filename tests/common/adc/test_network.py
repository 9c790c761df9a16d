from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from common.adc import TernausNet, load_ternausnet_weights, with_encoder_weights
from common.doppler import KeypointUNet
from common.errors import UnusableFileError
from tests.golden_recipe import filled_state_dict, noise_image

GOLDEN = Path(__file__).parents[2] / "golden" / "ternausnet11.npz"


def filled(network):
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    network.load_state_dict(filled_state_dict(shapes))
    return network.eval()


@torch.inference_mode()
def test_gives_the_published_networks_logits():
    golden = np.load(GOLDEN)
    image = torch.from_numpy(2 * noise_image(tuple(golden["41/shape"]), 41) - 1)
    logits = filled(TernausNet(depth=11))(image)
    np.testing.assert_allclose(logits.numpy(), golden["41/logits"], atol=1e-4)


@pytest.mark.parametrize(("depth", "expected"), [(11, 22_927_393), (16, 29_306_465)])
def test_has_the_published_number_of_parameters(depth, expected):
    assert sum(parameter.numel() for parameter in TernausNet(depth=depth).parameters()) == expected


@torch.inference_mode()
def test_is_scripted_in_a_process_that_scripted_another_network_before():
    torch.jit.script(KeypointUNet("ResNet50").eval())
    network = filled(TernausNet(base_width=4))
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(torch.jit.script(network)(image), network(image))


@pytest.mark.parametrize("depth", [11, 16])
@torch.inference_mode()
def test_scripted_network_gives_the_same_logits(depth):
    network = filled(TernausNet(depth=depth, in_channels=2, out_channels=3))
    image = torch.from_numpy(noise_image((1, 2, 32, 64), 1))
    logits = network(image)
    assert logits.shape == (1, 3, 32, 64)
    assert torch.equal(torch.jit.script(network)(image), logits)


@pytest.mark.parametrize("depth", [11, 16])
def test_every_parameter_receives_a_gradient(depth):
    network = TernausNet(depth=depth, in_channels=2)
    network(torch.rand(1, 2, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.abs().any()) for p in network.parameters())


def test_narrow_network_has_a_sixteenth_of_the_weights():
    weights = [sum(p.numel() for p in TernausNet(base_width=w).parameters() if p.ndim > 1) for w in (64, 16)]
    image_and_output_layers = 64 * 3 * 9 + 32, 16 * 3 * 9 + 8  # linear in the width, not quadratic
    assert weights[0] - image_and_output_layers[0] == 16 * (weights[1] - image_and_output_layers[1])
    assert TernausNet(base_width=16)(torch.zeros(1, 3, 32, 32)).shape == (1, 1, 32, 32)


def test_frozen_encoder_neither_learns_nor_trains():
    network = TernausNet(frozen_encoder=True).train()
    network(torch.rand(1, 3, 32, 32)).sum().backward()
    assert not network.encoder.training and network.dec1.training
    assert all(p.grad is None for p in network.encoder.parameters())
    assert all(p.grad is not None for p in network.center.parameters())
    assert network.state_dict().keys() == TernausNet().state_dict().keys()


@pytest.mark.parametrize("rename", [lambda n: n, lambda n: "module." + n], ids=["bare", "data_parallel"])
def test_reads_an_upstream_checkpoint_with_its_doubled_names(tmp_path, rename):
    source = filled(TernausNet(depth=11)).state_dict()
    doubled = {rename(name): value for name, value in source.items()}
    doubled |= {rename("conv1.weight"): source["encoder.0.weight"], rename("conv1.bias"): source["encoder.0.bias"]}
    torch.save({"model": doubled, "epoch": 3}, tmp_path / "upstream.pt")
    network = TernausNet(depth=11)
    assert load_ternausnet_weights(network, tmp_path / "upstream.pt") == len(source)
    assert all(torch.equal(value, source[name]) for name, value in network.state_dict().items())


def test_reads_the_encoder_of_a_torchvision_checkpoint():
    source = filled(TernausNet(depth=16)).state_dict()
    vgg = {n.replace("encoder", "features"): v for n, v in source.items() if n.startswith("encoder")}
    vgg["classifier.0.weight"] = torch.zeros(8, 8)
    network = TernausNet(depth=16)
    assert load_ternausnet_weights(network, vgg) == 2 * 13
    assert torch.equal(network.state_dict()["encoder.28.weight"], source["encoder.28.weight"])


@torch.inference_mode()
def test_first_convolution_adapted_to_two_channels_answers_equal_channels_alike():
    source = filled(TernausNet(depth=11)).state_dict()
    network = TernausNet(depth=11, in_channels=2, out_channels=4)
    untouched = network.final.weight.clone()
    assert load_ternausnet_weights(network, source) == len(source) - 2
    grey = torch.from_numpy(noise_image((1, 1, 32, 32), 2))
    three = functional.conv2d(grey.repeat(1, 3, 1, 1), source["encoder.0.weight"], source["encoder.0.bias"])
    two = functional.conv2d(grey.repeat(1, 2, 1, 1), network.encoder[0].weight, network.encoder[0].bias)
    torch.testing.assert_close(two, three, rtol=0, atol=1e-5)
    assert torch.equal(network.final.weight, untouched)


def test_refuses_a_checkpoint_of_another_network(tmp_path):
    with pytest.raises(UnusableFileError, match=r"expected names like 'encoder.0.weight'.*found \['stem.weight'\]"):
        load_ternausnet_weights(TernausNet(), {"stem.weight": torch.zeros(1)})
    with pytest.raises(UnusableFileError, match=r"expected a VGG of 8 conv.* 64 .* without .* found one of 13 from 64"):
        load_ternausnet_weights(TernausNet(depth=11), TernausNet(depth=16).state_dict())
    with pytest.raises(
        UnusableFileError, match=r"one of 8 from 16 channels without it; .*encoder \(16: \(16, 2, 3, 3\) in"
    ):
        load_ternausnet_weights(TernausNet(depth=11, in_channels=2), TernausNet(depth=11, base_width=16).state_dict())


def test_checkpoint_with_batch_normalisation_gets_the_right_word():
    layers, channels = [], 3
    for width in (64, 128, 256, 256, 512, 512, 512, 512):  # torchvision's vgg11_bn, its poolings left out
        layers += [nn.Conv2d(channels, width, 3), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    vgg11_bn = nn.Module()
    vgg11_bn.features = nn.Sequential(*layers)
    with pytest.raises(UnusableFileError, match=r"without batch norm.*, found one of 8 from 64 channels with it"):
        load_ternausnet_weights(TernausNet(depth=11), vgg11_bn.state_dict())


def test_web_page_saved_as_a_checkpoint_is_named_and_a_missing_file_too(tmp_path):
    (tmp_path / "vgg11.pth").write_text("<!DOCTYPE html><html><body>Sign in</body></html>")
    with pytest.raises(UnusableFileError, match=r"vgg11.pth: expected a state dict .* found a web page"):
        with_encoder_weights(TernausNet(base_width=4), tmp_path / "vgg11.pth")
    with pytest.raises(FileNotFoundError, match=r"gone.pth: expected weights to start from, found no file"):
        with_encoder_weights(TernausNet(base_width=4), tmp_path / "gone.pth")


def test_start_names_the_parts_that_stay_random(caplog):
    caplog.set_level("INFO")
    load_ternausnet_weights(
        TernausNet(in_channels=2, out_channels=4, base_width=4), TernausNet(base_width=4).state_dict()
    )
    assert "38 of 40 tensors; not filled: final (2: (1, 2, 1, 1) instead of (4, 2, 1, 1))" in caplog.text


def test_refuses_settings_and_sides_that_cannot_work():
    with pytest.raises(ValueError, match=r"depth: expected one of \[11, 16\], found 13"):
        TernausNet(depth=13)
    with pytest.raises(ValueError, match="at least 1, found 0, 1"):
        TernausNet(in_channels=0)
    with pytest.raises(ValueError, match="an even number over 0, found 5"):
        TernausNet(base_width=5)
    with pytest.raises(ValueError, match=r"multiples of 32, found 32, 48"):
        TernausNet()(torch.zeros(1, 3, 32, 48))


def test_named_checkpoint_is_loaded_and_none_leaves_the_network(tmp_path):
    source = filled(TernausNet(depth=11)).state_dict()
    torch.save(source, tmp_path / "vgg.pt")
    network = TernausNet(depth=11)
    before = network.center.block[1].weight.clone()
    assert torch.equal(with_encoder_weights(network, "").center.block[1].weight, before)
    assert torch.equal(with_encoder_weights(network, tmp_path / "vgg.pt").encoder[0].weight, source["encoder.0.weight"])
