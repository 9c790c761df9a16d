"""Correlation of two feature maps over a square of displacements, by blocked matrix products."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def cost_volume(first: Tensor, second: Tensor, radius: int = 3, stride: int = 1, block: int = 16) -> Tensor:
    """Return the mean over channels of `first(p) * second(p + d)` for each displacement d of a square.

    The plain way multiplies whole maps once a displacement and so moves 49 C numbers a pixel through memory; here each
    run of 16 pixels of a row meets its 22 candidate columns in one matrix product, and the band of the product that
    holds the wanted displacements is cut out by a change of row length. Values are those of the plain way up to the
    rounding of a sum; pixels outside `second` count as zero.

    Args:
        first, second: (B, C, H, W) features on one grid.
        radius: largest displacement along each axis, in steps of `stride` pixels.
        stride: distance of the displacements and of the pixels at which the result is taken.
        block: columns that share one matrix product; 8 to 32 were measured to be alike.

    Returns:
        (B, (2 radius + 1)^2, ceil(H / stride), ceil(W / stride)); channel (dy + radius) (2 radius + 1) + dx + radius.
    """
    if stride > 1:
        first, second = first[:, :, ::stride, ::stride], second[:, :, ::stride, ::stride]
    batch, channels, height, width = first.shape
    steps, window = 2 * radius + 1, block + 2 * radius
    blocks = (width + block - 1) // block
    fill = blocks * block - width
    rows = pad(first, [0, fill]).reshape(batch, channels, height, blocks, block)
    rows = rows.permute(2, 0, 3, 4, 1).reshape(height * batch * blocks, block, channels)
    candidates = pad(second, [radius, radius + fill, radius, radius]).unfold(3, window, block)
    candidates = candidates.permute(2, 0, 3, 1, 4).reshape(height + 2 * radius, batch * blocks, channels, window)
    products: list[Tensor] = []
    for step in range(steps):
        shifted = candidates[step : step + height].reshape(height * batch * blocks, channels, window)
        products.append(torch.bmm(rows, shifted))
    flat = torch.stack(products).reshape(steps, height, batch, blocks, block * window)
    # Rows one longer than `window` move each next pixel one column on: pixel i finds displacement k at column k.
    band = pad(flat, [0, block]).reshape(steps, height, batch, blocks, block, window + 1)[..., :steps]
    volume = band.permute(2, 0, 5, 1, 3, 4).reshape(batch, steps * steps, height, blocks * block)
    return volume[..., :width] / channels
