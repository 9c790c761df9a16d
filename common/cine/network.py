"""Networks of heart-failure classification: the restoration net, the classifier on its encoder, normalised rivals."""

from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.layers.utils import get_norm_layer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

POOLS = ((2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 1))
"""Kernel and stride of the four poolings over (H, W, T). The last keeps time: 40 frames become 20, 10, 5 and stay 5,
because a fourth halving gives 2, from which the transposed convolution comes back with 4."""

Norms = str | tuple[str, dict[str, Any]]


def convolution(channels: int, features: int, norm: Norms) -> nn.Sequential:
    """Return a 3 x 3 x 3 convolution with normalisation and ReLU."""
    plain = norm == "none"
    layer = nn.Conv3d(channels, features, 3, padding=1, bias=plain)
    return nn.Sequential(layer, get_norm_layer("" if plain else norm, 3, features), nn.ReLU(inplace=True))


class Recomputed(nn.Sequential):
    """A sequence whose activations are computed again in the backward pass instead of being kept."""

    def forward(self, input: Tensor) -> Tensor:  # the name of nn.Sequential
        """Return what nn.Sequential returns."""
        if not torch.jit.is_scripting():  # noqa: SIM102 TorchScript skips what stands under this condition alone
            if self.training and torch.is_grad_enabled():
                return checkpoint(super().forward, input, use_reentrant=False)
        for module in self:
            input = module(input)
        return input


class RestorationEncoder(nn.Module):
    """Ten 3D convolutions in five levels of two, a max pooling between them.

    Args:
        in_channels: channels of the input, 1 for cine MR.
        features: width of each of the five levels. The paper gives none; 32 to 512 follows Models Genesis.
        norm: normalisation, by MONAI's name and arguments, or "none".
        checkpointing: recompute each level in the backward pass instead of keeping its activations.
    """

    def __init__(
        self,
        in_channels: int = 1,
        features: Sequence[int] = (32, 64, 128, 256, 512),
        norm: Norms = "batch",
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        widths = [in_channels, *features]
        pools = [nn.Identity(), *(nn.MaxPool3d(pool) for pool in POOLS)]
        sequence = Recomputed if checkpointing else nn.Sequential
        self.levels = nn.ModuleList(
            sequence(pool, convolution(before, after, norm), convolution(after, after, norm))
            for pool, before, after in zip(pools, widths[:-1], widths[1:], strict=True)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the five levels' features, finest first: (B, features[i], H / 2^i, W / 2^i, T / 2^min(i, 3))."""
        levels: list[Tensor] = []
        x = image
        for level in self.levels:
            x = level(x)
            levels.append(x)
        return levels


class CineRestorationNet(nn.Module):
    """Restores a corrupted cine slice: the encoder, then ten convolutions with four transposed ones and skips.

    (B, C, H, W, T) in and out; H and W multiples of 16, T a multiple of 8. Of the decoder's ten convolutions eight are
    the two after each transposed one; the last two are a 3 x 3 x 3 one and the 1 x 1 x 1 one to the output.

    Args:
        in_channels: channels of input and output.
        features: width of each of the five levels.
        norm: normalisation, by MONAI's name and arguments, or "none".
        checkpointing: recompute each level in the backward pass instead of keeping its activations.

    References:
        Zhong et al., A Self-supervised Learning Based Framework for Automatic Heart Failure Classification on Cine
        Cardiac Magnetic Resonance Image, EMBC 2021, section III.B and Fig. 2.

    Example:
        >>> import torch
        >>> from common.cine import CineRestorationNet
        >>> CineRestorationNet(features=(4, 8, 8, 8, 16))(torch.zeros(1, 1, 32, 32, 8)).shape
        torch.Size([1, 1, 32, 32, 8])
    """

    def __init__(
        self,
        in_channels: int = 1,
        features: Sequence[int] = (32, 64, 128, 256, 512),
        norm: Norms = "batch",
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = RestorationEncoder(in_channels, features, norm, checkpointing)
        sequence = Recomputed if checkpointing else nn.Sequential
        self.ups = nn.ModuleList(
            nn.ConvTranspose3d(features[i + 1], features[i], POOLS[i], POOLS[i]) for i in (3, 2, 1, 0)
        )
        self.blocks = nn.ModuleList(
            sequence(convolution(2 * features[i], features[i], norm), convolution(features[i], features[i], norm))
            for i in (3, 2, 1, 0)
        )
        self.output = nn.Sequential(convolution(features[0], features[0], norm), nn.Conv3d(features[0], in_channels, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Return the restored slice, of the shape of `image`."""
        levels = self.encoder(image)
        x = levels[4]
        for index, (up, block) in enumerate(zip(self.ups, self.blocks)):  # noqa: B905 TorchScript has no strict zip
            x = torch.cat([levels[3 - index], up(x)], dim=1)
            x = block(x)
        return self.output(x)


class CineClassifier(nn.Module):
    """Scores a cine slice: the encoder, a max pooling to a fixed grid and three fully connected layers.

    (B, C, H, W, T) in, (B, num_classes) logits out. The encoder has the names and shapes of
    :class:`CineRestorationNet`'s, so that its weights fit; the rest begins with Kaiming's.

    Args:
        in_channels: channels of the input.
        num_classes: logits; 1 for HFrEF against HFpEF.
        features: width of each of the five levels.
        norm: normalisation, by MONAI's name and arguments, or "none".
        grid: size (H, W, T) that the last max pooling leaves; any size is one on scanners of any matrix.
        hidden: width of the first two fully connected layers.
        checkpointing: recompute each level in the backward pass instead of keeping its activations.

    References:
        Zhong et al., EMBC 2021, section III.C and Fig. 2, Part C.

    Example:
        >>> import torch
        >>> from common.cine import CineClassifier
        >>> CineClassifier(features=(4, 8, 8, 8, 16))(torch.zeros(2, 1, 32, 32, 8)).shape
        torch.Size([2, 1])
    """

    def __init__(
        self,
        in_channels: int = 1,
        num_classes: int = 1,
        features: Sequence[int] = (32, 64, 128, 256, 512),
        norm: Norms = "batch",
        grid: Sequence[int] = (2, 2, 1),
        hidden: Sequence[int] = (256, 64),
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = RestorationEncoder(in_channels, features, norm, checkpointing)
        self.pool = nn.AdaptiveMaxPool3d(tuple(grid))
        first = features[-1] * grid[0] * grid[1] * grid[2]
        self.classifier = nn.Sequential(
            nn.Linear(first, hidden[0]),
            nn.ReLU(inplace=True),
            nn.Linear(hidden[0], hidden[1]),
            nn.ReLU(inplace=True),
            nn.Linear(hidden[1], num_classes),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv3d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits of `image`."""
        return self.classifier(self.pool(self.encoder(image)[4]).flatten(1))


def group_normalised(network: nn.Module, groups: int = 8) -> nn.Module:
    """Return `network` with every batch normalisation replaced by a group normalisation of the same width.

    Args:
        network: any module; changed in place, because its weights are.
        groups: groups a layer; every width must be a multiple.

    Raises:
        ValueError: if a width is no multiple of `groups`.

    References:
        Zhong et al., EMBC 2021, section IV.E: batch 4, batch normalisation changed to group normalisation.
        Wu and He, Group Normalization, ECCV 2018, https://arxiv.org/abs/1803.08494
    """
    for name, child in network.named_children():
        if not isinstance(child, _BatchNorm):
            group_normalised(child, groups)
            continue
        if child.num_features % groups:
            raise ValueError(f"groups: expected a divisor of {child.num_features} channels ({name}), found {groups}")
        setattr(network, name, nn.GroupNorm(groups, child.num_features, child.eps, child.affine))
    return network
