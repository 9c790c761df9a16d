import argparse
import logging

import pytest
import torch

from common.echo import EjectionFractionNet, WithFeatures, load_echo_weights, start_from_echo_weights
from common.errors import UnusableFileError

SMALL = {"depths": (1, 1, 1, 1), "widths": (8, 16, 32, 64), "head_width": 16}


def encoder_and_head(network):
    return network.encoder.state_dict(), network.regressor.state_dict()


def prefixed(entries, prefix):
    return {prefix + name: value for name, value in entries.items()}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_reads_the_form_of_coreecho(tmp_path, prefix):
    donor, receiver = EjectionFractionNet(**SMALL), EjectionFractionNet(**SMALL)
    encoder, head = encoder_and_head(donor)
    classes = {"head.weight": torch.zeros(400, 64), "head.bias": torch.zeros(400)}
    content = {
        "model": prefixed(encoder | classes, prefix),
        "regressor": prefixed(prefixed(head, "regressor."), prefix),
        "epoch": 3,
        "best_error": torch.tensor(3.9),
        "opt": argparse.Namespace(frames=36),
    }
    torch.save(content, tmp_path / "best.pth")
    found, total = load_echo_weights(receiver, tmp_path / "best.pth")
    assert found == total == len(donor.state_dict())
    for name, value in donor.state_dict().items():
        assert torch.equal(receiver.state_dict()[name], value), name


def test_reads_the_kinetics_encoder_and_leaves_its_class_head(tmp_path):
    donor, receiver = EjectionFractionNet(**SMALL), EjectionFractionNet(**SMALL)
    before = {name: value.clone() for name, value in receiver.regressor.state_dict().items()}
    encoder, _ = encoder_and_head(donor)
    content = encoder | {"head.weight": torch.zeros(400, 64), "head.bias": torch.zeros(400)}
    torch.save(content, tmp_path / "k400.pth")
    found, total = load_echo_weights(receiver, tmp_path / "k400.pth")
    assert (found, total) == (len(encoder), len(donor.state_dict()))
    assert torch.equal(receiver.encoder.patch_embed1.proj.weight, donor.encoder.patch_embed1.proj.weight)
    assert all(torch.equal(receiver.regressor.state_dict()[name], value) for name, value in before.items())


def test_reads_the_form_of_echocotr_with_its_linear_head(tmp_path):
    donor, receiver = (EjectionFractionNet(**SMALL, head="linear") for _ in range(2))
    encoder, _ = encoder_and_head(donor)
    head = {"head.weight": torch.rand(1, 64), "head.bias": torch.tensor([42.0])}
    torch.save({"epoch": 1, "state_dict": prefixed(encoder | head, "module.")}, tmp_path / "best.pt")
    found, total = load_echo_weights(receiver, tmp_path / "best.pt")
    assert found == total
    assert receiver.regressor[0].bias.item() == 42.0


def test_reads_a_state_dict_of_its_own(tmp_path):
    donor, receiver = EjectionFractionNet(**SMALL), EjectionFractionNet(**SMALL)
    torch.save(donor.state_dict(), tmp_path / "model.pt")
    found, total = load_echo_weights(receiver, tmp_path / "model.pt")
    assert found == total


def test_refuses_a_checkpoint_that_does_not_fit(tmp_path):
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pt")
    with pytest.raises(UnusableFileError, match=r"other.pt: expected the tensors of a UniFormer"):
        load_echo_weights(EjectionFractionNet(**SMALL), tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("no checkpoint")
    with pytest.raises(UnusableFileError, match=r"text.pt: expected a state dict saved by torch.save"):
        load_echo_weights(EjectionFractionNet(**SMALL), tmp_path / "text.pt")


def test_starts_near_the_mean_ejection_fraction():
    assert EjectionFractionNet(**SMALL).regressor[-1].bias.item() == pytest.approx(55.6)
    assert EjectionFractionNet(**SMALL, initial_output=0.0).regressor[-1].bias.item() == 0
    with pytest.raises(ValueError, match="expected 'mlp' or 'linear', found 'deep'"):
        EjectionFractionNet(**SMALL, head="deep")


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_keeps_the_heads_loss_from_the_encoder_when_asked(stop_gradient):
    network = EjectionFractionNet(**SMALL)
    prediction, _ = WithFeatures(network, stop_gradient)(torch.rand(2, 3, 4, 32, 32))
    prediction.sum().backward()
    assert network.regressor[-1].weight.grad is not None
    assert (network.encoder.patch_embed1.proj.weight.grad is None) is stop_gradient


def test_leaves_a_frozen_encoder_as_it_was():
    network = EjectionFractionNet(**SMALL)
    wrapped = WithFeatures(network, freeze_encoder=True).train()
    before = {name: value.clone() for name, value in network.encoder.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=0.1)
    prediction, features = wrapped(torch.rand(4, 3, 4, 32, 32))
    prediction.sum().backward()
    optimizer.step()
    assert not features.requires_grad
    assert network.regressor.training and not network.encoder.training
    assert all(torch.equal(network.encoder.state_dict()[name], value) for name, value in before.items())


def test_says_from_scratch_and_how_to_start(tmp_path, caplog):
    network = EjectionFractionNet(**SMALL)
    with caplog.at_level(logging.INFO):
        assert start_from_echo_weights(network, tmp_path / "pretrained.pt", tmp_path) is network
    assert "from scratch" in caplog.text and "`pretraining`" in caplog.text


def test_counts_the_tensors_and_leaves_the_head_random_when_told(tmp_path, caplog):
    donor = EjectionFractionNet(**SMALL)
    torch.save(donor.state_dict(), tmp_path / "model.pt")
    for encoder_only in (False, True):
        network = EjectionFractionNet(**SMALL)
        with caplog.at_level(logging.INFO):
            start_from_echo_weights(network, tmp_path / "model.pt", encoder_only=encoder_only)
        assert torch.equal(network.encoder.norm.weight, donor.encoder.norm.weight)
        assert torch.equal(network.regressor[2].weight, donor.regressor[2].weight) is not encoder_only
    total = len(donor.state_dict())
    assert f"{total} of {total} tensors" in caplog.text and "the head random" in caplog.text
