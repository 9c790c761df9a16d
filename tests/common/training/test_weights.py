import pytest
import torch
from torch import nn

from common.cine import CineClassifier
from common.doppler import KeypointUNet
from common.errors import UnusableFileError
from common.training import load_state, load_weights, save_state, start_from_pretrained
from common.training.weights import unfilled_parts
from tests.full_disk import full_disk


def network(seed, out=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, out))


def same(first, second):
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_weights_come_back_exactly(tmp_path):
    save_state(network(1), tmp_path / "deep" / "model.pt")
    assert same(load_weights(network(2), tmp_path / "deep" / "model.pt"), network(1))


def test_numbers_beyond_half_precision_stay_as_they_are(tmp_path):
    wide = nn.BatchNorm1d(2)
    wide.running_var[:] = torch.tensor([1e6, 0.1])
    save_state(wide, tmp_path / "half.pt", half=True)
    assert load_state(tmp_path / "half.pt")["running_var"].tolist() == wide.running_var.tolist()


def test_half_precision_halves_the_file_and_comes_back_as_float32_with_whole_counters(tmp_path):
    wide = nn.Sequential(nn.Linear(64, 512), nn.BatchNorm1d(512))
    save_state(wide, tmp_path / "full.pt")
    save_state(wide, tmp_path / "half.pt", half=True)
    assert (tmp_path / "half.pt").stat().st_size < 0.6 * (tmp_path / "full.pt").stat().st_size
    state = load_state(tmp_path / "half.pt")
    assert state["0.weight"].dtype == torch.float32 and state["1.num_batches_tracked"].dtype == torch.int64
    assert torch.equal(state["0.weight"], wide[0].weight.half().float())


def test_a_damaged_file_and_one_of_other_things_are_named(tmp_path):
    save_state(network(1), tmp_path / "model.pt")
    whole = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    torch.save({"network": {"weight": torch.ones(1)}}, tmp_path / "nested.pt")
    torch.save(nn.Linear(1, 1), tmp_path / "object.pt")
    for name in ("cut.pt", "object.pt"):
        with pytest.raises(UnusableFileError, match=f"{name}: expected a state dict saved by torch.save"):
            load_state(tmp_path / name)
    with pytest.raises(UnusableFileError, match="named tensors only, found dict; save a state_dict"):
        load_state(tmp_path / "nested.pt")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\n<html><body>404</body></html>", "a web page"),
        (b"", "an empty file"),
        (b"x", "plain text"),
        (b"\x80", "damaged"),
    ],
)
def test_other_files_saved_as_weights_get_one_sentence(tmp_path, content, found):
    (tmp_path / "model.pth").write_bytes(content)
    with pytest.raises(UnusableFileError, match=rf"model.pth: expected a state dict .*{found}") as caught:
        load_state(tmp_path / "model.pth")
    assert "\n" not in str(caught.value)


def test_many_unfilled_tensors_are_named_by_their_part():
    own = nn.ModuleDict({part: nn.Sequential(*(nn.Linear(1, 1) for _ in range(9))) for part in ("stem", "head")})
    found = {name: value for name, value in own.state_dict().items() if name != "stem.3.bias" and "head" not in name}
    assert unfilled_parts(own.state_dict(), found) == "stem (1: missing), head (18: missing)"
    assert unfilled_parts(own.state_dict(), own.state_dict()) == ""


def test_missing_weights_name_the_command_that_makes_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="run `training` of this bundle first"):
        load_weights(network(1), tmp_path / "model.pt")


def test_weights_of_another_network_are_refused_whole(tmp_path):
    save_state(network(1, out=5), tmp_path / "model.pt")
    target = network(2)
    with pytest.raises(UnusableFileError, match=r"found 2 missing or of another shape, in 2 \(2: \(5, 8\) ins"):
        load_weights(target, tmp_path / "model.pt")
    assert same(target, network(2))


def test_weights_of_a_deeper_network_are_refused(tmp_path):
    save_state(nn.Sequential(*network(1), nn.Linear(3, 3)), tmp_path / "model.pt")
    with pytest.raises(UnusableFileError, match=r"found 2 that it does not have, such as 3\.bias"):
        load_weights(network(2), tmp_path / "model.pt")


def test_training_starts_from_the_tensors_that_fit_and_says_how_many(tmp_path, caplog):
    caplog.set_level("INFO")
    save_state(network(1, out=5), tmp_path / "pretrained.pt")
    target = start_from_pretrained(network(2), tmp_path / "pretrained.pt")
    assert "7 of 9 tensors; not filled: 2 (2: (5, 8) instead of (3, 8))" in caplog.text
    assert same(target[:2], network(1, out=5)[:2]) and same(target[2:], network(2)[2:])


def test_training_without_first_stage_is_from_scratch_and_names_the_command(tmp_path, caplog):
    caplog.set_level("INFO")
    assert same(start_from_pretrained(network(2), f"{tmp_path}/pretrained.pt", tmp_path), network(2))
    assert "from scratch" in caplog.text and "`pretraining`" in caplog.text


@pytest.mark.parametrize("nothing", ["", None, "none", "None"])
def test_a_training_can_be_told_to_start_from_nothing(nothing):
    assert same(start_from_pretrained(network(2), nothing), network(2))


def test_weights_that_were_asked_for_and_are_not_there_are_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"mine\.pt: expected weights to start from, found no file"):
        start_from_pretrained(network(2), tmp_path / "mine.pt", tmp_path)


@pytest.mark.parametrize("byte", [100, 2000, -50])
def test_a_file_that_is_not_the_one_its_json_describes_is_refused(tmp_path, byte):
    save_state(network(1), tmp_path / "model.pt", description={"epoch": 1})
    assert same(load_weights(network(2), tmp_path / "model.pt"), network(1))
    data = bytearray((tmp_path / "model.pt").read_bytes())
    data[byte] ^= 1
    (tmp_path / "model.pt").write_bytes(data)
    with pytest.raises(UnusableFileError, match=r"model\.pt: expected the file that model\.json describes"):
        load_state(tmp_path / "model.pt")


def test_a_damaged_description_is_named(tmp_path):
    save_state(network(1), tmp_path / "model.pt", description={"epoch": 1})
    (tmp_path / "model.json").write_text('{"epoch": 1, "sha')
    with pytest.raises(UnusableFileError, match=r"model\.json: expected the description of model\.pt"):
        load_state(tmp_path / "model.pt")


def test_a_first_stage_of_which_nothing_fits_is_refused(tmp_path):
    torch.save({"other": torch.ones(1)}, tmp_path / "pretrained.pt")
    with pytest.raises(UnusableFileError, match="found none that fits"):
        start_from_pretrained(network(2), tmp_path / "pretrained.pt")


@pytest.mark.parametrize("limit", [0, 500, 1500])
def test_weights_that_do_not_fit_on_the_disk_leave_the_old_ones_with_their_description(tmp_path, limit):
    save_state(network(1), tmp_path / "model.pt", description={"epoch": 1})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with full_disk(limit), pytest.raises(OSError, match=r"model\.pt: expected to write .* is the disk full"):
        save_state(network(2), tmp_path / "model.pt", description={"epoch": 2})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert same(load_weights(network(3), tmp_path / "model.pt"), network(1))


def test_a_checkpoint_without_json_is_refused_with_one_changed_bit_in_a_value(tmp_path):
    network = nn.Linear(64, 64)
    torch.save(network.state_dict(), tmp_path / "others.pt")
    content = bytearray((tmp_path / "others.pt").read_bytes())
    content[content.index(network.weight.detach().numpy().tobytes()) + 1000] ^= 4
    (tmp_path / "others.pt").write_bytes(content)
    with pytest.raises(
        UnusableFileError, match=r"others\.pt: expected a state dict saved by torch.save, found .*damaged"
    ):
        start_from_pretrained(nn.Linear(64, 64), tmp_path / "others.pt")


def test_a_checkpoint_of_the_form_before_archives_is_read(tmp_path):
    network = nn.Linear(2, 1)
    torch.save(network.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert torch.equal(load_state(tmp_path / "old.pt")["weight"], network.weight)


def with_lived_in_norms(network):
    """The network in evaluation, its normalisations with statistics as a training leaves them."""
    torch.manual_seed(3)
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2.0)
            if layer.affine:
                nn.init.uniform_(layer.weight, 0.5, 2.0)
                nn.init.normal_(layer.bias)
    return network.eval()


def batch_norms(network):
    return sum(isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)) for layer in network.modules())


@pytest.mark.parametrize(
    ("build", "image", "left"),
    [
        (lambda: CineClassifier(features=(4, 8, 8, 8, 16)), (2, 1, 32, 32, 8), 0),
        (lambda: KeypointUNet("MobileNetV2"), (2, 1, 64, 64), 0),
        (lambda: KeypointUNet("EfficientNetB0"), (2, 1, 64, 64), 48),  # MONAI's encoder: 1 + 16 x 3 - 1
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)), (2, 1, 8, 8), 1),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)), (2, 1, 8, 8), 1),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, affine=False)), (2, 1, 8, 8), 0),
    ],
)
def test_weights_to_run_have_their_batch_normalisation_in_the_convolutions(tmp_path, build, image, left):
    plain = with_lived_in_norms(build())
    save_state(plain, tmp_path / "model.pt")
    folded = load_weights(build(), tmp_path / "model.pt", fold=True)
    assert batch_norms(folded) == left
    with torch.inference_mode():
        image = torch.rand(image)
        expected = plain(image)
        assert torch.allclose(folded(image), expected, atol=1e-5 * float(expected.abs().max()))
