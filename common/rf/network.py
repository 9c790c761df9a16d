"""LiteFlowNet: displacement between two images from a feature pyramid, level by level."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d, interpolate, leaky_relu, unfold
from torch.utils.checkpoint import checkpoint

from ..training.precision import without_bfloat16
from .rowwise.chain import RowwiseSequential, goes_by_rows
from .rowwise.smoothing import smoothed_rows
from .warping import cost_volume, warp

# Inside the network flow is in units of 20 full-resolution pixels.
_FLOW_SCALE = 20.0
_WIDTHS = (32, 32, 64, 96, 128, 192)
_FEATURE_CONVOLUTIONS = (1, 3, 2, 2, 1, 1)
_LAST_KERNELS = {2: 7, 3: 5, 4: 5, 5: 3, 6: 3}
# Blue, green, red means of the published training set, first and second image.
_PUBLISHED_MEANS = ((0.411618, 0.434631, 0.454253), (0.410782, 0.433645, 0.452793))
_UPSTREAM_STAGES = ("netMatching", "netSubpixel", "netRegularization")
_UPSTREAM_PARTS = {
    "netFeat": "feat",
    "netUpflow": "upflow",
    "netUpcorr": "upcorr",
    "netMain": "main",
    "netDist": "dist",
    "netScaleX": "scale_x",
    "netScaleY": "scale_y",
}
_UPSTREAM_FEATURES = ("One", "Two", "Thr", "Fou", "Fiv", "Six")


class LiteFlowNet(nn.Module):
    """Displacement field of two images stacked as channels.

    Args:
        in_channels: channels of the stacked pair, even: the first half is the first image.
        full_size: True gives the flow on the input grid; False on the half-size grid of the last level, as published.
        both_ways: give the flow from the second image to the first too, without gradient, as channels 2 and 3.
        checkpointing: forget activations in the forward pass and recompute them in the backward pass: several times
            less memory for about a third more time.
        means: channel means subtracted from the first and the second image; those of the published weights if there
            are 3 channels an image, else 0.

    Shapes:
        input (B, `in_channels`, H, W), any H and W: sides that are no multiples of 32 are extended by their last row
        and column and the flow is cut back; output (B, 2 or 4, H, W) in input pixels, channel 0 lateral (along W),
        channel 1 axial (along H), such that first(p) corresponds to second(p + flow(p)).

    References:
        Hui et al., LiteFlowNet, CVPR 2018, https://arxiv.org/abs/1805.07036

    Example:
        >>> import torch
        >>> from common.rf import LiteFlowNet
        >>> LiteFlowNet(in_channels=2).eval()(torch.zeros(1, 2, 64, 48)).shape  # lateral, axial displacement in pixels
        torch.Size([1, 2, 64, 48])
    """

    means: Tensor

    def __init__(
        self,
        in_channels: int = 6,
        full_size: bool = True,
        both_ways: bool = False,
        checkpointing: bool = False,
        means: Sequence[Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        if in_channels < 2 or in_channels % 2:
            raise ValueError(f"in_channels: expected an even number (two images stacked), found {in_channels}")
        channels = in_channels // 2
        self.flow_scale, self.both_ways, self.flow_stride = _FLOW_SCALE, both_ways, 2.0
        self.channels, self.full_size, self.checkpointing = channels, full_size, checkpointing
        chosen = means if means is not None else _default_means(channels)
        if len(chosen) != 2 or any(len(row) != channels for row in chosen):
            raise ValueError(f"means: expected 2 rows of {channels} values, found {chosen}")
        self.has_one_mean = list(chosen[0]) == list(chosen[1])
        self.register_buffer("means", torch.tensor(chosen, dtype=torch.float32).reshape(1, -1, 1, 1), persistent=False)
        self.features = nn.ModuleList(_feature_block(level, channels) for level in range(6))
        kinds = (_Matching, _Subpixel, _Regularisation)
        self.stages = nn.ModuleList(kind(level, channels) for level in (6, 5, 4, 3, 2) for kind in kinds)
        self.apply(_initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Return the flow (B, 2 or 4, H, W), on the half-size grid if not `full_size`; values in input pixels."""
        swapped = torch.cat([image[:, self.channels :], image[:, : self.channels]], dim=1)
        if not self.both_ways:
            flow = self._last(image)
        elif self.training:
            with torch.no_grad():
                back = self._last(swapped)
            flow = torch.cat([self._last(image), back], dim=1)
        else:
            both = self._last(torch.cat([image, swapped]), mirrored=True)
            flow = torch.cat([both[: image.shape[0]], both[image.shape[0] :]], dim=1)
        return flow

    def _last(self, image: Tensor, mirrored: bool = False) -> Tensor:
        return self.to_size(self.level_flows(image, mirrored)[-1], image.shape[-2], image.shape[-1])

    def to_size(self, flow: Tensor, height: int, width: int) -> Tensor:
        """Return the last level's `flow` on the input grid if `full_size`, and without what padding added."""
        if not self.full_size:
            return flow[..., : (height + 1) // 2, : (width + 1) // 2]
        flow = interpolate(flow, scale_factor=self.flow_stride, mode="bilinear", align_corners=False)
        return flow[..., :height, :width]

    def level_flows(self, image: Tensor, mirrored: bool = False) -> list[Tensor]:
        """Return the flows of levels 6 to 2 (B, 2, H/32, W/32) ... (B, 2, H/2, W/2), all in input pixels.

        Args:
            image: (B, `in_channels`, H, W).
            mirrored: the second half of the batch is the first one with its images exchanged: their features are
                computed once if both images have the same means.
        """
        if image.dim() != 4 or image.shape[1] != 2 * self.channels:
            raise ValueError(f"image: expected (B, {2 * self.channels}, H, W), two images stacked, found {image.shape}")
        image = image - self.means
        # Replication cannot exceed the image, so it is done by index: the last row and column again and again.
        image = image[:, :, _rows(image.shape[2], image.device)][:, :, :, _rows(image.shape[3], image.device)]
        first, second = image[:, : self.channels], image[:, self.channels :]
        first_features, half = self._pyramid(first), image.shape[0] // 2
        if mirrored and self.has_one_mean:
            second_features = [torch.cat([maps[half:], maps[:half]]) for maps in first_features]
        else:
            second_features = self._pyramid(second)
        first_images, second_images = _shrunk(first, first_features), _shrunk(second, second_features)
        flow = torch.zeros_like(first_features[-1][:, :2], dtype=image.dtype)  # autocast lowers the features only
        flows: list[Tensor] = []
        for index, stage in enumerate(self.stages):
            at = 5 - index // 3
            images, maps = (first_images[at], second_images[at]), (first_features[at], second_features[at])
            if torch.jit.is_scripting():
                flow = stage(images[0], images[1], maps[0], maps[1], flow)
            else:
                flow = self._eager(stage, at > 1, images[0], images[1], maps[0], maps[1], flow)
            if index % 3 == 2:
                flows.append(flow * self.flow_scale)
        return flows

    def _pyramid(self, image: Tensor) -> list[Tensor]:
        outputs: list[Tensor] = []
        for block in self.features:
            image = block([image]) if torch.jit.is_scripting() else self._eager(block, True, [image])
            outputs.append(image)
        return outputs

    def _eager(self, module: nn.Module, exact: bool, *inputs: Any) -> Tensor:
        """Return the module's output, with its activations forgotten or in float32 where that is wanted.

        In bfloat16 the features and the levels 6 to 3 would put the displacement a tenth of a pixel wrong; level 2,
        two thirds of the work, a hundredth.
        """
        device = inputs[-1][0].device.type if isinstance(inputs[-1], list) else inputs[-1].device.type
        with without_bfloat16(self, device) if exact else nullcontext():
            if self.checkpointing and torch.is_grad_enabled():
                return checkpoint(module, *inputs, use_reentrant=False)
            return module(*inputs)


class LiteFlowNetLevels(LiteFlowNet):
    """LiteFlowNet that gives the flows of all levels while it trains and the last one in evaluation.

    The weights are those of :class:`LiteFlowNet`; only the output differs, for a loss on every level. Without its
    finest levels it takes a fraction of the time: the published network was trained level by level, too.

    Args:
        finest_level: 2 is the whole network, whose last flow has half the input's size; 3 ends at a quarter, and so on
            to 6. The tensors of the levels that are left out are missing in the state dict.
        options: as of :class:`LiteFlowNet`; `full_size` stays true.

    Raises:
        ValueError: if there is no such level.
    """

    def __init__(self, finest_level: int = 2, **options: Any) -> None:
        super().__init__(**options)
        if finest_level not in range(2, 7):
            raise ValueError(f"finest_level: expected 2 to 6, found {finest_level}")
        self.stages = self.stages[: 3 * (7 - finest_level)]
        self.flow_stride = 2.0 ** (finest_level - 1)

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:  # type: ignore[override]
        """Return :meth:`level_flows` in training mode, else what :class:`LiteFlowNet` returns."""
        return self.level_flows(image) if self.training else super().forward(image)


def liteflownet_state_dict(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `state` with the keys of the published LiteFlowNet weights renamed to those of :class:`LiteFlowNet`.

    Args:
        state: upstream entries, such as `moduleFeatures.moduleOne.0.weight` or `netMatching.0.netMain.0.bias`.

    Raises:
        ValueError: if an entry belongs to no part of LiteFlowNet.
    """
    return {_renamed(key): value for key, value in state.items()}


def _renamed(key: str) -> str:
    kind, *rest = key.replace("module", "net").split(".")
    if kind == "netFeatures" and rest[0].removeprefix("net") in _UPSTREAM_FEATURES:
        return ".".join(["features", str(_UPSTREAM_FEATURES.index(rest[0].removeprefix("net"))), *rest[1:]])
    if kind not in _UPSTREAM_STAGES or rest[1] not in _UPSTREAM_PARTS:
        raise ValueError(
            f"state: {key!r} is no entry of the published LiteFlowNet weights (expected such as "
            "'moduleFeatures.moduleOne.0.weight')"
        )
    # Upstream counts levels from the finest (2), this network from the coarsest (6), which runs first.
    stage = 3 * (4 - int(rest[0])) + _UPSTREAM_STAGES.index(kind)
    return ".".join(["stages", str(stage), _UPSTREAM_PARTS[rest[1]], *rest[2:]])


class _Matching(nn.Module):
    """Displacement added at one level from the correlation of features within +-3 pixels."""

    def __init__(self, level: int, channels: int) -> None:
        super().__init__()
        self.coarsest, self.stride = level == 6, 2 if level < 4 else 1
        self.warp_factor = _FLOW_SCALE / 2 ** (level - 1)
        self.feat = _projection(_WIDTHS[1], 64) if level == 2 else RowwiseSequential()
        self.upflow = nn.Identity() if level == 6 else _Upsampling(2)
        strided = self.stride == 2
        self.upcorr = nn.ConvTranspose2d(49, 49, 4, 2, 1, bias=False, groups=49) if strided else nn.Identity()
        self.main = _flow_head(49, _LAST_KERNELS[level])

    def forward(self, first: Tensor, second: Tensor, features: Tensor, others: Tensor, flow: Tensor) -> Tensor:
        features, others = self.feat([features]), self.feat([others])
        if not self.coarsest:
            flow = self.upflow(flow)
            others = warp(others, flow * self.warp_factor)
        correlation = leaky_relu(cost_volume(features, others, 3, self.stride), 0.1)
        return flow + self.main([self.upcorr(correlation)]).to(flow.dtype)


class _Subpixel(nn.Module):
    """Correction of the displacement from the features and the warped features themselves."""

    def __init__(self, level: int, channels: int) -> None:
        super().__init__()
        width = 64 if level == 2 else _WIDTHS[level - 1]
        self.warp_factor = _FLOW_SCALE / 2 ** (level - 1)
        self.feat = _projection(_WIDTHS[1], 64) if level == 2 else RowwiseSequential()
        self.main = _flow_head(2 * width + 2, _LAST_KERNELS[level])

    def forward(self, first: Tensor, second: Tensor, features: Tensor, others: Tensor, flow: Tensor) -> Tensor:
        others = warp(self.feat([others]), flow * self.warp_factor)
        return flow + self.main([self.feat([features]), others, flow.to(others.dtype)]).to(flow.dtype)


class _Regularisation(nn.Module):
    """Displacement replaced by a weighted mean of its neighbourhood, the weights learned from image and features."""

    def __init__(self, level: int, channels: int) -> None:
        super().__init__()
        width, self.window = _WIDTHS[level - 1], _LAST_KERNELS[level]
        self.warp_factor = _FLOW_SCALE / 2 ** (level - 1)
        self.feat = _projection(width, 128) if level < 5 else RowwiseSequential()
        widths = [3 + (128 if level < 5 else width), 128, 128, 64, 64, 32, 32]
        pairs = pairwise(widths)
        self.main = RowwiseSequential(*(layer for a, b in pairs for layer in (nn.Conv2d(a, b, 3, 1, 1), _activation())))
        k, square = self.window, self.window**2
        if level < 5:
            across = nn.Conv2d(square, square, (1, k), padding=(0, k // 2))
            self.dist = nn.Sequential(nn.Conv2d(32, square, (k, 1), padding=(k // 2, 0)), across)
        else:
            self.dist = nn.Sequential(nn.Conv2d(32, square, k, 1, k // 2))
        self.scale_x, self.scale_y = _Float32Conv2d(square, 1, 1), _Float32Conv2d(square, 1, 1)

    def forward(self, first: Tensor, second: Tensor, features: Tensor, others: Tensor, flow: Tensor) -> Tensor:
        difference = first - warp(second, flow * self.warp_factor)
        brightness = difference.square().sum(1, keepdim=True).sqrt().detach()
        centred = flow - flow.mean((2, 3), keepdim=True)
        features = self.feat([features])
        if not torch.jit.is_scripting() and goes_by_rows(flow):
            layers, scales = [*self.main, *self.dist], (self.scale_x, self.scale_y)
            return smoothed_rows(layers, scales, self.window, [brightness, centred, features], flow)
        brightness, centred = brightness.to(features.dtype), centred.to(features.dtype)
        distance = self.dist(self.main([brightness, centred, features]))
        score = -distance.square()
        weights = torch.exp(score - score.amax(1, keepdim=True)).to(flow.dtype)
        x = self.scale_x(weights * self._neighbours(flow[:, :1]))
        y = self.scale_y(weights * self._neighbours(flow[:, 1:]))
        return torch.cat([x, y], dim=1) / weights.sum(1, keepdim=True)

    def _neighbours(self, component: Tensor) -> Tensor:
        columns = unfold(component, (self.window, self.window), padding=(self.window // 2, self.window // 2))
        return columns.view(component.shape[0], -1, component.shape[2], component.shape[3])


def _activation() -> nn.Module:
    return nn.LeakyReLU(0.1)


class _Float32Conv2d(nn.Conv2d):
    """Convolution of a displacement, never under autocast: at 20 pixels bfloat16 knows it to a twelfth of a pixel."""

    def forward(self, values: Tensor) -> Tensor:
        if torch.jit.is_scripting():
            return self._conv_forward(values, self.weight, self.bias)
        else:
            with torch.autocast(values.device.type, enabled=False):
                return self._conv_forward(values, self.weight, self.bias)


class _Upsampling(nn.ConvTranspose2d):
    """Twice the size, each channel by itself; never under autocast, as :class:`_Float32Conv2d`."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 4, 2, 1, bias=False, groups=channels)

    def forward(self, values: Tensor, output_size: list[int] | None = None) -> Tensor:
        if torch.jit.is_scripting():
            return conv_transpose2d(values, self.weight, None, 2, 1, 0, self.groups)
        else:
            with torch.autocast(values.device.type, enabled=False):
                return conv_transpose2d(values, self.weight, None, 2, 1, 0, self.groups)


def _projection(width_in: int, width_out: int) -> nn.Module:
    return RowwiseSequential(nn.Conv2d(width_in, width_out, 1), _activation())


def _flow_head(width_in: int, last_kernel: int) -> nn.Module:
    layers = [nn.Conv2d(width_in, 128, 3, 1, 1), _activation(), nn.Conv2d(128, 64, 3, 1, 1), _activation()]
    layers += [nn.Conv2d(64, 32, 3, 1, 1), _activation(), nn.Conv2d(32, 2, last_kernel, 1, last_kernel // 2)]
    return RowwiseSequential(*layers)


def _feature_block(level: int, channels: int) -> nn.Module:
    if level == 0:
        return RowwiseSequential(nn.Conv2d(channels, _WIDTHS[0], 7, 1, 3), _activation())
    layers: list[nn.Module] = []
    for index in range(_FEATURE_CONVOLUTIONS[level]):
        width_in, stride = (_WIDTHS[level - 1], 2) if index == 0 else (_WIDTHS[level], 1)
        layers += [nn.Conv2d(width_in, _WIDTHS[level], 3, stride, 1), _activation()]
    return RowwiseSequential(*layers)


def _default_means(channels: int) -> Sequence[Sequence[float]]:
    return _PUBLISHED_MEANS if channels == 3 else [[0.0] * channels] * 2


def _rows(size: int, device: torch.device) -> Tensor:
    return torch.arange((size + 31) // 32 * 32, device=device).clamp(max=size - 1)


def _shrunk(image: Tensor, features: list[Tensor]) -> list[Tensor]:
    """Return `image` at the size of each level's features, each made from the one before."""
    images = [image]
    for level in features[1:]:
        size = [level.shape[2], level.shape[3]]
        images.append(interpolate(images[-1], size=size, mode="bilinear", align_corners=False))
    return images


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    """Start near a plain coarse-to-fine tracker: bilinear up-sampling, small corrections, plain local means."""
    if isinstance(module, nn.ConvTranspose2d):
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        module.weight.copy_(torch.outer(ramp, ramp).expand_as(module.weight))
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, a=0.1)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
        if module.out_channels == 2:
            module.weight.mul_(0.1)
    elif isinstance(module, _Regularisation):
        for entry in list(module.dist.parameters())[-2:-1]:
            nn.init.normal_(entry, std=0.01)
        for scale in (module.scale_x, module.scale_y):
            nn.init.ones_(scale.weight)
