import pytest
import torch

from common.doppler import BarlowTwinsEncoder, KeypointUNet, start_in_mode
from common.training import save_state


@pytest.fixture
def first_stage(tmp_path):
    torch.manual_seed(1)
    model = BarlowTwinsEncoder("MobileNetV2")
    save_state(model, tmp_path / "pretrained.pt")
    return tmp_path / "pretrained.pt", model.encoder.state_dict()


@pytest.mark.parametrize(("mode", "taken"), [("unfrozen", True), ("frozen", True), ("supervised", False)])
def test_the_mode_says_whether_the_first_stage_is_taken(first_stage, mode, taken):
    path, encoder = first_stage
    torch.manual_seed(2)
    network = start_in_mode(KeypointUNet("MobileNetV2", frozen_encoder=mode == "frozen"), path, mode)
    own = network.encoder.state_dict()
    weights = [key for key in encoder if key.endswith("0.0.weight")]
    assert all(torch.equal(own[key], encoder[key]) == taken for key in weights)


def test_unfrozen_without_a_first_stage_starts_from_scratch(tmp_path, caplog):
    with caplog.at_level("INFO"):
        start_in_mode(torch.nn.Linear(1, 1), tmp_path / "pretrained.pt", "unfrozen", tmp_path)
    assert "from scratch" in caplog.text


def test_a_frozen_random_encoder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="mode frozen needs the first stage's encoder"):
        start_in_mode(torch.nn.Linear(1, 1), tmp_path / "absent.pt", "frozen")


def test_names_the_modes(tmp_path):
    with pytest.raises(ValueError, match="expected one of unfrozen, frozen, supervised, found 'thawed'"):
        start_in_mode(torch.nn.Linear(1, 1), tmp_path / "absent.pt", "thawed")
