import logging

import torch

from common.echo import EjectionFractionNet, start_from_echo_weights

SMALL = {"depths": (1, 1, 1, 1), "widths": (8, 8, 16, 16), "head_width": 16}


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
