"""U-Net from a Doppler image to one heat map a wave, its encoder with a head for Barlow Twins, and how it starts."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from monai.networks.nets.flexible_unet import FLEXUNET_BACKBONE, FlexibleUNet
from torch import Tensor, nn

from ..training.weights import start_from_pretrained
from .mobilenet_v2 import MobileNetV2Encoder

Backbone = Literal["EfficientNetB0", "MobileNetV2", "ResNet50"]

# Names of the paper's table 1 and of MONAI's register of encoders.
BACKBONES = {"EfficientNetB0": "efficientnet-b0", "MobileNetV2": "mobilenet-v2", "ResNet50": "resnet50"}

MODES = ("unfrozen", "frozen", "supervised")

FLEXUNET_BACKBONE.register_class(MobileNetV2Encoder)


class KeypointUNet(FlexibleUNet):
    """U-Net whose encoder is one of the paper's backbones; its output is one heat map a keypoint class.

    The first stage trains only `encoder.*`, which :class:`BarlowTwinsEncoder` holds under the same names.

    References:
        Abdi et al., Pre-training of U-Net Encoder for Improved Keypoint Detection in Transmitral Doppler Imaging,
        MIDL 2024 (table 1); Punn and Agarwal, BT-Unet, 2022, https://arxiv.org/abs/2112.03916

    Example:
        >>> import torch
        >>> from common.doppler import KeypointUNet
        >>> KeypointUNet("MobileNetV2", out_channels=2).eval()(torch.zeros(1, 1, 64, 64)).shape
        torch.Size([1, 2, 64, 64])
    """

    def __init__(
        self,
        backbone: Backbone = "EfficientNetB0",
        in_channels: int = 1,
        out_channels: int = 2,
        frozen_encoder: bool = False,
        norm_momentum: float = 0.1,
        decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
    ) -> None:
        """Build the network with random weights.

        Args:
            backbone: encoder, under its name in the paper.
            in_channels: channels of the image.
            out_channels: keypoint classes.
            frozen_encoder: keep the encoder's weights and normalisation statistics as loaded.
            norm_momentum: fraction of the newest batch in the running statistics. EfficientNet's own 0.01 expects tens
                of thousands of steps: a short training would be validated with statistics that never arrived.
            decoder_channels: width of the five decoder levels, coarsest first.

        Raises:
            ValueError: if the backbone is unknown.
        """
        name = _registered(backbone)
        super().__init__(
            in_channels, out_channels, name, decoder_channels=tuple(decoder_channels), spatial_dims=2, is_pad=False
        )
        _prepare(self.encoder)
        _set_norm_momentum(self, norm_momentum)
        self.frozen_encoder = frozen_encoder
        self.encoder.requires_grad_(not frozen_encoder)

    def train(self, mode: bool = True) -> "KeypointUNet":
        """Switch to training, except for a frozen encoder, whose statistics and dropout stay those of evaluation."""
        super().train(mode)
        if self.frozen_encoder:
            self.encoder.eval()
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, out_channels, H, W) heat maps of a (B, in_channels, H, W) image, H and W multiples of 32.

        Raises:
            ValueError: if H or W is no multiple of 32.
        """
        if not torch.jit.is_tracing():  # type: ignore[attr-defined]
            _check_size(inputs)
        maps = self.encoder(inputs)
        return self.segmentation_head(self.decoder(maps, self.skip_connect))


class BarlowTwinsEncoder(nn.Module):
    """The U-Net's encoder under the projection head of BT-UNet, for the first stage.

    References:
        Punn and Agarwal, BT-Unet, 2022, https://arxiv.org/abs/2112.03916: global average pool, two of linear,
        normalisation and ReLU, then linear; 128 wide in Abdi et al., MIDL 2024.
    """

    def __init__(
        self,
        backbone: Backbone = "EfficientNetB0",
        in_channels: int = 1,
        projection: int = 128,
        norm_momentum: float = 0.1,
    ) -> None:
        """Build encoder and head with random weights.

        Args:
            backbone, in_channels, norm_momentum: as in :class:`KeypointUNet`.
            projection: width of the head and length of the embedding.

        Raises:
            ValueError: if the backbone is unknown.
        """
        super().__init__()
        entry = FLEXUNET_BACKBONE.register_dict[_registered(backbone)]
        self.encoder = entry["type"](
            **(entry["parameter"] | {"spatial_dims": 2, "in_channels": in_channels, "pretrained": False})
        )
        _prepare(self.encoder)
        self.head = nn.Sequential(
            nn.Linear(entry["feature_channel"][-1], projection),
            nn.BatchNorm1d(projection),
            nn.ReLU(),
            nn.Linear(projection, projection),
            nn.BatchNorm1d(projection),
            nn.ReLU(),
            nn.Linear(projection, projection),
        )
        _set_norm_momentum(self, norm_momentum)

    def forward(self, views: Tensor) -> Tensor:
        """Return (B, V, projection) embeddings of (B, V, C, H, W) views; each view is normalised on its own."""
        embeddings = [self.head(self.encoder(view)[-1].mean((2, 3))) for view in views.unbind(1)]
        return torch.stack(embeddings, dim=1)


def start_in_mode(
    network: nn.Module, path: str | os.PathLike[str], mode: str, model_dir: str | os.PathLike[str] = ""
) -> nn.Module:
    """Return `network` as a mode of the paper's table 1 starts it.

    Args:
        network: second-stage network; built with its encoder frozen where the mode says so.
        path: state dict of the first stage; not read in mode "supervised".
        model_dir: folder of the bundle's weights, see :func:`start_from_pretrained`.
        mode: "unfrozen" or "frozen" take the encoder of the first stage, "supervised" takes nothing.

    Raises:
        FileNotFoundError: if the mode is "frozen" and `path` is not there: a frozen random encoder learns nothing.
        ValueError: if the mode is unknown.
    """
    if mode not in MODES:
        raise ValueError(f"mode: expected one of {', '.join(MODES)}, found {mode!r}")
    if mode == "supervised":
        return network
    if mode == "frozen" and not Path(path).is_file():
        raise FileNotFoundError(f"{path}: mode frozen needs the first stage's encoder; run `pretraining` first")
    return start_from_pretrained(network, path, model_dir)


def _check_size(inputs: Tensor) -> None:
    if inputs.shape[-2] % 32 != 0 or inputs.shape[-1] % 32 != 0:
        raise ValueError(f"expected height and width in multiples of 32, found {inputs.shape}")


def _registered(backbone: str) -> str:
    if backbone not in BACKBONES:
        raise ValueError(f"backbone: expected one of {', '.join(BACKBONES)}, found {backbone}")
    return BACKBONES[backbone]


def _prepare(encoder: Any) -> None:
    """Make MONAI's EfficientNet exportable, and drop its classifier: an unused weight stops distributed training."""
    if hasattr(encoder, "set_swish"):
        encoder.set_swish(memory_efficient=False)
        encoder._conv_head = encoder._bn1 = encoder._fc = nn.Identity()


def _set_norm_momentum(module: nn.Module, momentum: float) -> None:
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.momentum = momentum
