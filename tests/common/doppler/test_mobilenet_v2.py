import pytest
import torch

from common.doppler import MobileNetV2Encoder


def test_has_the_published_number_of_weights():
    # 3,504,872 of the published network, less the last 1x1 convolution with its normalisation and the classifier.
    published = 3_504_872 - (320 * 1280 + 2 * 1280) - (1280 * 1000 + 1000)
    assert sum(weight.numel() for weight in MobileNetV2Encoder(in_channels=3).parameters()) == published


def test_has_torchvision_names_and_shapes():
    shapes = {name: tuple(value.shape) for name, value in MobileNetV2Encoder(in_channels=3).state_dict().items()}
    assert shapes["features.0.0.weight"] == (32, 3, 3, 3)
    assert shapes["features.1.conv.0.0.weight"] == (32, 1, 3, 3)
    assert shapes["features.2.conv.0.0.weight"] == (96, 16, 1, 1)
    assert shapes["features.17.conv.2.weight"] == (320, 960, 1, 1)
    assert shapes["features.17.conv.3.running_mean"] == (320,)


def test_maps_have_strides_2_to_32():
    maps = MobileNetV2Encoder().eval()(torch.zeros(1, 1, 64, 96))
    assert [tuple(m.shape[1:]) for m in maps] == [(16, 32, 48), (24, 16, 24), (32, 8, 12), (96, 4, 6), (320, 2, 3)]


@pytest.mark.parametrize("settings", [{"spatial_dims": 3}, {"pretrained": True}])
def test_refuses_what_the_paper_does_not_define(settings):
    with pytest.raises(ValueError, match="expected spatial_dims 2 and pretrained False"):
        MobileNetV2Encoder(**settings)
