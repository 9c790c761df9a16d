"""3 x 3 convolution with a quarter of the multiplications (Winograd), for rows that fit the processor's cache."""

from itertools import product

import torch
from torch import Tensor

# F(4 x 4, 3 x 3) with the points 0, 1, -1, 2, -2: Lavin and Gray, https://arxiv.org/abs/1509.09308, section 4.3.
_INPUT = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)
_KERNEL = (
    torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64) / 24
)
_OUTPUT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float64
)
# Both axes at once, on a flattened tile.
_INPUTS, _KERNELS, _OUTPUTS = (torch.kron(one, one) for one in (_INPUT, _KERNEL, _OUTPUT))
TILE = 4
_TILES = 64  # at once, so that they and their transforms stay in a cache of 1 MiB


class Winograd:
    """Return the convolution of some rows with one kernel, whose transform is computed once.

    Args:
        weight: (K, C, 3, 3).
        bias: (K,).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        outputs, channels = weight.shape[:2]
        taps = weight.detach().permute(2, 3, 1, 0).reshape(9, channels * outputs)
        self.kernel = (_KERNELS.to(weight.dtype) @ taps).view(36, channels, outputs)
        self.bias = bias.detach().repeat(_TILES)
        self.to_tiles, self.from_tiles = _INPUTS.to(weight.dtype), _OUTPUTS.to(weight.dtype)
        self.patches, self.tiles = (weight.new_empty(36 * channels * _TILES) for _ in range(2))
        self.products, self.values = (weight.new_empty(size * outputs * _TILES) for size in (36, 16))

    def __call__(self, rows: Tensor) -> Tensor:
        """Return (4 m, 4 n, K) for contiguous (4 m + 2, 4 n + 2, C)."""
        down, across, channels = (rows.shape[0] - 2) // TILE, (rows.shape[1] - 2) // TILE, rows.shape[2]
        row, column, _ = rows.stride()
        outputs = self.kernel.shape[2]
        result = rows.new_empty(down, TILE, across, TILE, outputs)
        high, wide = max(1, min(down, _TILES // across)), min(across, _TILES)
        for top, left in product(range(0, down, high), range(0, across, wide)):
            tall, long = min(high, down - top), min(wide, across - left)
            count = tall * long
            start = rows.storage_offset() + TILE * (top * row + left * column)
            steps = (row, column, TILE * row, TILE * column, 1)
            patches = self.patches[: 36 * count * channels].view(36, -1)
            patches.view(6, 6, tall, long, channels).copy_(rows.as_strided((6, 6, tall, long, channels), steps, start))
            tiles = self.tiles[: 36 * count * channels].view(36, -1)
            products = self.products[: 36 * count * outputs].view(36, count, outputs)
            values = self.values[: 16 * count * outputs].view(16, -1)
            torch.mm(self.to_tiles, patches, out=tiles)
            torch.bmm(tiles.view(36, count, channels), self.kernel, out=products)
            torch.addmm(self.bias[: count * outputs], self.from_tiles, products.view(36, -1), out=values)
            ordered = values.view(TILE, TILE, tall, long, outputs).permute(2, 0, 3, 1, 4)
            result[top : top + tall, :, left : left + long].copy_(ordered)
        return result.view(TILE * down, TILE * across, outputs)
