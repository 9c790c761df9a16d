"""The MobileNetV2 feature extractor, which MONAI lacks, as an encoder for its FlexibleUNet."""

from typing import Any

from monai.networks.blocks.encoder import BaseEncoder
from torch import Tensor, nn

# Table 2 of the paper: expansion t, output channels c, repeats n, stride s.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
# Last layer before each halving, and the end: strides 2, 4, 8, 16, 32.
TAPS = (1, 3, 6, 13, 17)
CHANNELS = (16, 24, 32, 96, 320)


class MobileNetV2Encoder(nn.Module, BaseEncoder):
    """MobileNetV2 without its classifier and last 1x1 convolution; five feature maps at strides 2 to 32.

    Layers have torchvision's names (`features.0.0.weight`, ...), so that its ImageNet weights load by key.

    References:
        Sandler et al., MobileNetV2, CVPR 2018, https://arxiv.org/abs/1801.04381 (table 2, width 1.0)

    Example:
        >>> import torch
        >>> from common.doppler import MobileNetV2Encoder
        >>> [tuple(maps.shape[1:]) for maps in MobileNetV2Encoder().eval()(torch.zeros(1, 1, 64, 64))]
        [(16, 32, 32), (24, 16, 16), (32, 8, 8), (96, 4, 4), (320, 2, 2)]
    """

    def __init__(self, spatial_dims: int = 2, in_channels: int = 1, pretrained: bool = False) -> None:
        """Build the encoder; the arguments are the ones that FlexibleUNet hands to each encoder.

        Args:
            spatial_dims: 2, the only one that the paper defines.
            in_channels: channels of the image.
            pretrained: must be False: weights come from a state dict.

        Raises:
            ValueError: if `spatial_dims` is not 2 or `pretrained` is set.
        """
        super().__init__()
        if spatial_dims != 2 or pretrained:
            raise ValueError(f"expected spatial_dims 2 and pretrained False, found {spatial_dims} and {pretrained}")
        layers: list[nn.Module] = [_convolution(in_channels, 32, kernel=3, stride=2)]
        width = 32
        for expansion, channels, repeats, stride in STAGES:
            for repeat in range(repeats):
                layers.append(InvertedResidual(width, channels, stride if repeat == 0 else 1, expansion))
                width = channels
        self.features = nn.Sequential(*layers)
        self.taps = TAPS

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return five feature maps of a (B, C, H, W) image, finest first."""
        maps: list[Tensor] = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                maps.append(x)
        return maps

    @classmethod
    def get_encoder_parameters(cls) -> list[dict[str, Any]]:
        """Return the constructor's arguments, for FlexibleUNet."""
        return [{"spatial_dims": 2, "in_channels": 1, "pretrained": False}]

    @classmethod
    def num_channels_per_output(cls) -> list[tuple[int, ...]]:
        """Return the channels of the feature maps, for FlexibleUNet."""
        return [CHANNELS]

    @classmethod
    def num_outputs(cls) -> list[int]:
        """Return the number of feature maps, for FlexibleUNet."""
        return [len(TAPS)]

    @classmethod
    def get_encoder_names(cls) -> list[str]:
        """Return the name of the encoder, for FlexibleUNet."""
        return ["mobilenet-v2"]


class InvertedResidual(nn.Module):
    """Expand with a 1x1, filter depthwise, project with a linear 1x1; add the input where the shapes allow."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        expand = [_convolution(in_channels, hidden)] if expansion != 1 else []
        self.conv = nn.Sequential(
            *expand,
            _convolution(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.is_residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_channels, H / stride, W / stride)."""
        return x + self.conv(x) if self.is_residual else self.conv(x)


def _convolution(in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )
