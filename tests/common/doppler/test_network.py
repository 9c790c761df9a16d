import io

import pytest
import torch

from common.doppler import BACKBONES, BarlowTwinsEncoder, KeypointUNet, start_in_mode
from common.training import save_state


@pytest.fixture(params=BACKBONES, scope="module")
def network(request):
    torch.manual_seed(0)
    return KeypointUNet(request.param)


def test_gives_two_heat_maps_of_the_size_of_the_image(network):
    assert network.eval()(torch.rand(1, 1, 64, 96)).shape == (1, 2, 64, 96)


# Published sizes without classifier, for three channels: EfficientNet-B0 5,288,548 - 1,281,000 - (320 * 1280 + 2560),
# ResNet-50 25,557,032 - 2,049,000.
@pytest.mark.parametrize(("backbone", "weights"), [("EfficientNetB0", 3_595_388), ("ResNet50", 23_508_032)])
def test_monai_encoders_have_the_published_number_of_weights(backbone, weights):
    encoder = KeypointUNet(backbone, in_channels=3).encoder
    bias = sum(p.numel() for name, p in encoder.named_parameters() if "downsample.0.bias" in name)
    assert sum(p.numel() for p in encoder.parameters()) - bias == weights


def test_every_weight_gets_a_gradient(network):
    network.train()
    network(torch.rand(2, 1, 64, 64)).square().mean().backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_scripts_to_the_same_function(network):
    network.eval()
    image = torch.rand(1, 1, 64, 64)
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(network), stream)
    stream.seek(0)
    with torch.inference_mode():
        torch.testing.assert_close(torch.jit.load(stream)(image), network(image))


@pytest.mark.filterwarnings("ignore")  # The exporter warns of its own age and of what it cannot fold.
@pytest.mark.parametrize("backbone", ["EfficientNetB0", "MobileNetV2"])
def test_exports_to_onnx_with_the_same_function(backbone, tmp_path):
    import onnxruntime

    network = KeypointUNet(backbone).eval()
    image = torch.rand(1, 1, 64, 64)
    torch.onnx.export(network, (image,), tmp_path / "n.onnx", input_names=["image"], dynamo=False)
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx")
    with torch.inference_mode():
        expected = network(image)
    torch.testing.assert_close(
        torch.from_numpy(session.run(None, {"image": image.numpy()})[0]), expected, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_frozen_encoder_keeps_weights_and_statistics_while_the_decoder_learns(backbone):
    network = KeypointUNet(backbone, frozen_encoder=True).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters(), 1e-2, weight_decay=0.1)
    network(torch.rand(2, 1, 64, 64)).square().mean().backward()
    optimizer.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert not any(name.startswith("encoder.") for name in changed)
    assert any(name.startswith("decoder.") for name in changed)


def test_a_frozen_encoder_gives_the_same_features_in_training_and_evaluation():
    network = KeypointUNet("EfficientNetB0", frozen_encoder=True)
    image = torch.rand(2, 1, 64, 64)
    for training, evaluation in zip(network.train().encoder(image), network.eval().encoder(image), strict=True):
        torch.testing.assert_close(training, evaluation)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_first_stage_fills_the_whole_encoder_and_nothing_else(backbone):
    network = KeypointUNet(backbone)
    pretrained = BarlowTwinsEncoder(backbone).state_dict()
    encoder = {name for name in network.state_dict() if name.startswith("encoder.")}
    shared = {name for name, value in pretrained.items() if not name.startswith("head.")}
    assert shared == encoder
    assert all(pretrained[name].shape == network.state_dict()[name].shape for name in encoder)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_embeds_each_view_on_its_own_and_trains_every_weight(backbone):
    model = BarlowTwinsEncoder(backbone, projection=8).eval()
    views = torch.rand(3, 2, 1, 64, 64)
    embeddings = model(views)
    assert embeddings.shape == (3, 2, 8)
    torch.testing.assert_close(model(views.flip(1)), embeddings.flip(1))
    model.train()(views).square().sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


def test_statistics_follow_the_asked_momentum():
    network = KeypointUNet(norm_momentum=0.3)
    momenta = {layer.momentum for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)}
    assert momenta == {0.3}


def test_names_the_backbones_it_knows():
    with pytest.raises(ValueError, match="expected one of EfficientNetB0, MobileNetV2, ResNet50, found VGG16"):
        KeypointUNet("VGG16")


def test_refuses_a_size_that_halves_unevenly(network):
    with pytest.raises(ValueError, match="multiples of 32"):
        network(torch.zeros(1, 1, 64, 80))


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
