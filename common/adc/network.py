"""TernausNet: a U-Net whose encoder is VGG11 or VGG16."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import UnusableFileError
from ..training.weights import log_start, read_checkpoint, unfilled_parts


class _Plan(NamedTuple):
    stages: tuple[tuple[int, ...], ...]
    decoder: tuple[tuple[int, int], ...]
    transposed: bool

    def scaled(self, base_width: int) -> "_Plan":
        """Return the plan with `base_width` channels in the first stage instead of 64."""
        stages = tuple(tuple(width * base_width // 64 for width in stage) for stage in self.stages)
        decoder = tuple((middle * base_width // 64, out * base_width // 64) for middle, out in self.decoder)
        return _Plan(stages, decoder, self.transposed)


# Widths of the VGG stages (a 2 x 2 maximum pool ends each), and (middle, output) widths of center, dec5 ... dec2.
_PLANS = {
    11: _Plan(
        ((64,), (128,), (256, 256), (512, 512), (512, 512)),
        ((512, 256), (512, 256), (512, 128), (256, 64), (128, 32)),
        transposed=True,
    ),
    16: _Plan(
        ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
        ((512, 256), (512, 256), (512, 256), (256, 64), (128, 32)),
        transposed=False,
    ),
}


class TernausNet(nn.Module):
    """U-Net on a VGG encoder without normalisation layers; gives logits of the input's size.

    Depth 11 is upstream's `UNet11` (transposed convolutions in the decoder), depth 16 its `UNet16` with bilinear
    upsampling. Parameter names are upstream's: `encoder.N`, `center`, `dec5` ... `dec1`, `final`.

    Args:
        depth: number of the VGG, 11 or 16.
        in_channels: channels of the input, positive.
        out_channels: channels of the logits, positive.
        base_width: channels of the first stage, which all others are multiples or halves of; 64 is the published one.
        frozen_encoder: whether the encoder neither learns nor follows `train()` (pretraining of the decoder alone).

    References:
        Iglovikov and Shvets, TernausNet, 2018, https://arxiv.org/abs/1801.05746

    Example:
        >>> import torch
        >>> from common.adc import TernausNet
        >>> TernausNet(depth=11, in_channels=2, base_width=8)(torch.zeros(1, 2, 64, 96)).shape
        torch.Size([1, 1, 64, 96])
    """

    def __init__(
        self,
        depth: int = 11,
        in_channels: int = 3,
        out_channels: int = 1,
        base_width: int = 64,
        frozen_encoder: bool = False,
    ) -> None:
        super().__init__()
        if depth not in _PLANS:
            raise ValueError(f"depth: expected one of {sorted(_PLANS)}, found {depth}")
        if in_channels < 1 or out_channels < 1:
            raise ValueError(f"in_channels, out_channels: expected at least 1, found {in_channels}, {out_channels}")
        if base_width < 2 or base_width % 2:
            raise ValueError(f"base_width: expected an even number over 0, found {base_width}")
        plan = _PLANS[depth].scaled(base_width)
        self.encoder = _vgg(in_channels, plan.stages)
        # By number: TorchScript mistakes the classes of layers once another network was scripted in the process.
        self.pools = [index for index, layer in enumerate(self.encoder) if isinstance(layer, nn.MaxPool2d)]
        skips = [stage[-1] for stage in plan.stages]
        width = skips[-1]
        blocks = []
        for (middle, out), skip in zip(plan.decoder, [0, *skips[:0:-1]], strict=True):
            blocks.append(_DecoderBlock(width + skip, middle, out, plan.transposed))
            width = out
        self.center, self.dec5, self.dec4, self.dec3, self.dec2 = blocks
        self.dec1 = _ConvRelu(width + skips[0], width)
        self.final = nn.Conv2d(width, out_channels, kernel_size=1)
        for part in (self.encoder, *blocks, self.dec1):
            part.apply(_initialise)
        self.frozen_encoder = frozen_encoder
        self.encoder.requires_grad_(not frozen_encoder)
        self.train()

    def train(self, mode: bool = True) -> "TernausNet":
        """Set training mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        self.encoder.train(mode and not self.frozen_encoder)
        return self

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, out_channels, H, W) of an image (B, in_channels, H, W); H and W multiples of 32."""
        height, width = image.shape[-2:]
        if height % 32 or width % 32:  # five poolings halve the sides
            raise ValueError(f"image: expected sides that are multiples of 32, found {height}, {width}")
        skips: list[Tensor] = []
        features = image
        for index, layer in enumerate(self.encoder):
            if index in self.pools:
                skips.append(features)
            features = layer(features)
        features = self.dec5(torch.cat([self.center(features), skips[4]], dim=1))
        features = self.dec4(torch.cat([features, skips[3]], dim=1))
        features = self.dec3(torch.cat([features, skips[2]], dim=1))
        features = self.dec2(torch.cat([features, skips[1]], dim=1))
        return self.final(self.dec1(torch.cat([features, skips[0]], dim=1)))


def load_ternausnet_weights(network: TernausNet, checkpoint: str | os.PathLike[str] | Mapping[str, Any]) -> int:
    """Copy weights by name into `network` and return how many of its tensors they filled.

    Understood are upstream TernausNet checkpoints (also with `module.` before each name, or under the entry `model`),
    torchvision's VGG checkpoints (`features.N`: the encoder only) and this network's own. A first convolution of
    another number of input channels is adapted: its weights are averaged over the input, repeated for each of our
    channels and scaled by theirs / ours, which keeps the response to an image with equal channels. An output layer of
    another number of channels is left as it was.

    Args:
        network: changed in place.
        checkpoint: file, or state dict.

    Raises:
        UnusableFileError: if the checkpoint has no weight of the encoder, or a weight has another shape.
    """
    origin = "checkpoint" if isinstance(checkpoint, Mapping) else str(checkpoint)
    content = checkpoint if isinstance(checkpoint, Mapping) else read_checkpoint(checkpoint)
    entries = content.get("model", content)
    found = {_canonical(name): value for name, value in entries.items() if isinstance(value, Tensor)}
    own = network.state_dict()
    if "encoder.0.weight" not in found:
        raise UnusableFileError(
            f"{origin}: expected names like 'encoder.0.weight' (TernausNet) or 'features.0.weight' (torchvision VGG), "
            f"found {sorted(entries)[:3]}"
        )
    found["encoder.0.weight"] = _adapt_input(found["encoder.0.weight"], own["encoder.0.weight"].shape[1])
    fitting = {name: value for name, value in found.items() if name in own and value.shape == own[name].shape}
    misfits = [name for name in found if name in own and name not in fitting and not name.startswith("final.")]
    if misfits or any(name.startswith("encoder.") and name not in own for name in found):
        raise UnusableFileError(f"{origin}: {_other_vgg(network, found)}; not filled: {unfilled_parts(own, found)}")
    network.load_state_dict(fitting, strict=False)
    log_start(origin, own, found)
    return len(fitting)


def with_encoder_weights(network: TernausNet, path: str | os.PathLike[str] | None = "") -> TernausNet:
    """Return `network`, its weights taken from the checkpoint `path` (see :func:`load_ternausnet_weights`).

    Args:
        network: changed in place.
        path: TernausNet or torchvision VGG checkpoint; empty, None or "none" leaves the network as it is.
    """
    if path and str(path).lower() != "none":
        load_ternausnet_weights(network, path)
    return network


def _other_vgg(network: TernausNet, found: Mapping[str, Tensor]) -> str:
    """Return in words of which VGG the encoder in a checkpoint is, beside that of the network."""
    expected, weights = (
        [value for name, value in state.items() if name.startswith("encoder.") and value.ndim == 4]
        for state in (network.state_dict(), found)
    )
    kind = "with" if any(name.endswith("running_mean") for name in found) else "without"
    return (
        f"expected a VGG of {len(expected)} convolutions from {expected[0].shape[0]} channels without batch "
        f"normalisation, found one of {len(weights)} from {weights[0].shape[0]} channels {kind} it; "
        "vgg11 fits depth 11, vgg16 depth 16"
    )


def _canonical(name: str) -> str:
    bare = name.removeprefix("module.")
    return "encoder." + bare.removeprefix("features.") if bare.startswith("features.") else bare


def _adapt_input(weight: Tensor, channels: int) -> Tensor:
    if weight.shape[1] == channels:
        return weight
    mean = weight.mean(dim=1, keepdim=True)
    return mean.repeat(1, channels, 1, 1) * (weight.shape[1] / channels)


def _initialise(module: nn.Module) -> None:
    """He et al., as torchvision's VGG; torch's own start fades over 18 layers without normalisation."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _vgg(channels: int, stages: tuple[tuple[int, ...], ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for stage in stages:
        for width in stage:
            layers += [nn.Conv2d(channels, width, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return nn.Sequential(*layers)


class _ConvRelu(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.conv(features))


class _DecoderBlock(nn.Module):
    """Doubles the sides; the names inside `block` are upstream's for either way of upsampling."""

    def __init__(self, in_channels: int, middle: int, out_channels: int, transposed: bool) -> None:
        super().__init__()
        layers: list[nn.Module]
        if transposed:
            layers = [
                _ConvRelu(in_channels, middle),
                nn.ConvTranspose2d(middle, out_channels, kernel_size=3, stride=2, padding=1, output_padding=1),
                nn.ReLU(inplace=True),
            ]
        else:
            layers = [
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
                _ConvRelu(in_channels, middle),
                _ConvRelu(middle, out_channels),
            ]
        self.block = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        return self.block(features)
