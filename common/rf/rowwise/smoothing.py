"""LiteFlowNet's regularisation a few rows at a time: 49 weights a pixel are never written to memory."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from .chain import as_maps, by_rows, row_precision, side_by_side, strips


def smoothed_rows(
    layers: Iterable[nn.Module], scales: Sequence[nn.Conv2d], window: int, parts: list[Tensor], flow: Tensor
) -> Tensor:
    """Return the weighted mean of each neighbourhood of `flow` (B, 2, H, W), in channels-last memory.

    Args:
        layers: convolutions and leaky ReLUs from `parts` to a distance for each place of the neighbourhood.
        scales: 1 x 1 convolutions of the weighted lateral and axial displacements.
        window: side of the neighbourhood.
        parts: (B, C, H, W) each; their channels are joined.
        flow: what is averaged.
    """
    network, dtype = nn.Sequential(*layers), row_precision()
    factors = torch.cat([scale.weight for scale in scales]).detach().flatten(1)
    offsets = torch.cat([_bias(scale) for scale in scales])
    radius = window // 2

    def smooth(image: Sequence[Tensor]) -> Tensor:
        *maps, values = image
        around = pad(values, [radius] * 4)
        top, made = 0, []
        for distance in by_rows(network, strips(maps, dtype), dtype):
            rows = around[:, top : top + len(distance) + 2 * radius]
            made.append(_smoothed(distance.to(flow.dtype), rows, factors, offsets))
            top += len(distance)
        return torch.cat(made)

    return as_maps(side_by_side(smooth, list(zip(*parts, flow, strict=True))))


def _smoothed(distance: Tensor, rows: Tensor, factors: Tensor, offsets: Tensor) -> Tensor:
    """Return (r, W, 2) for distances (r, W, k * k) and the rows of the flow around them (2, r + k - 1, W + k - 1)."""
    score = distance.square().neg_()
    weights = score.sub_(score.amax(2, keepdim=True)).exp_()
    size = rows.shape[1] - distance.shape[0] + 1
    near = rows.unfold(1, size, 1).unfold(2, size, 1).flatten(3)
    sums = [(weights * of).matmul(factor) + offset for of, factor, offset in zip(near, factors, offsets, strict=True)]
    return torch.stack(sums, dim=2).div_(weights.sum(2, keepdim=True))


def _bias(convolution: nn.Conv2d) -> Tensor:
    return convolution.weight.new_zeros(1) if convolution.bias is None else convolution.bias.detach()
