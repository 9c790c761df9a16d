"""The nine arms of table 1 by two settings of train.json, and both augmentation sets of pretrain.json."""

import json

import pytest
import torch
from monai.bundle import ConfigParser

from common.doppler import BACKBONES, BarlowTwinsEncoder
from common.training import save_state
from tests.bundles.harness import root


def parsed(config, **settings):
    parser = ConfigParser()
    parser.read_config(str(root("doppler_keypoint") / "configs" / config))
    parser.update({"bundle_root": str(root("doppler_keypoint")), **settings})
    return parser


def published():
    return json.loads((root("doppler_keypoint") / "configs" / "evaluate.json").read_text())["published"]


@pytest.mark.parametrize("arm", published())
def test_each_arm_starts_and_freezes_as_the_paper_says(arm, tmp_path):
    backbone, mode = arm.split()
    first_stage = BarlowTwinsEncoder(backbone)
    save_state(first_stage, tmp_path / "pretrained.pt")
    train = parsed("train.json", backbone=backbone, mode=mode, model_dir=str(tmp_path))
    network = train.get_parsed_content("started_network")
    name, weight = next(iter(first_stage.encoder.named_parameters()))
    own = dict(network.encoder.named_parameters())
    assert torch.equal(own[name], weight) == (mode != "supervised")
    assert {p.requires_grad for p in own.values()} == {mode != "frozen"}
    assert all(p.requires_grad for p in network.decoder.parameters())
    assert network.train().encoder.training == (mode != "frozen")


def test_there_are_nine_arms():
    assert set(published()) == {f"{b} {m}" for b in BACKBONES for m in ("unfrozen", "frozen", "supervised")}


# Read again from the paper's table, one figure of each column.
@pytest.mark.parametrize(
    ("arm", "metric", "figure"),
    [
        ("EfficientNetB0 unfrozen", "E F1", 0.92),
        ("EfficientNetB0 frozen", "A recall", 0.66),
        ("EfficientNetB0 supervised", "E bias (cm/s)", 1.74),
        ("MobileNetV2 supervised", "A SD (cm/s)", 20.39),
        ("ResNet50 unfrozen", "A precision", 0.89),
        ("EfficientNetB0 unfrozen", "A bias (cm/s)", -0.05),
    ],
)
def test_published_figures_stand_in_their_place(arm, metric, figure):
    assert published()[arm][metric] == figure


def test_every_published_f1_follows_from_its_precision_and_recall():
    for arm, figures in published().items():
        for wave in "EA":
            precision, recall, f1 = (figures[f"{wave} {name}"] for name in ("precision", "recall", "F1"))
            assert 2 * precision * recall / (precision + recall) == pytest.approx(f1, abs=0.0125), (arm, wave)


@pytest.mark.parametrize("augmentation", ["trace", "published"])
def test_both_augmentation_sets_give_two_views_of_the_size(augmentation):
    parser = parsed("pretrain.json", augmentation=augmentation, spatial_size=[64, 64])
    (views,) = parser.get_parsed_content("views")
    result = views({"image": torch.rand(1, 64, 64)})["image"]
    assert result.shape == (2, 1, 64, 64)
    assert not torch.equal(result[0], result[1])
