"""What LiteFlowNet does between two feature maps: warp one by a displacement, correlate both."""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad


def warp(image: Tensor, flow: Tensor, padding: str = "zeros") -> Tensor:
    """Return `image` read at p + flow(p), bilinear between pixels.

    Args:
        image: (B, C, H, W).
        flow: (B, 2, H, W) in pixels; channel 0 along W (lateral), channel 1 along H (axial).
        padding: "zeros" or "border", what lies outside the image.

    Places are computed in the precision of `flow`, at least float32, also where the image has less: a row of 512 in
    bfloat16 would be known to two pixels only. The answer has the precision of the image.
    """
    height, width = image.shape[-2:]
    flow = flow.to(torch.promote_types(flow.dtype, torch.float32))
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype) + flow[:, 0]
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype).unsqueeze(1) + flow[:, 1]
    grid = torch.stack([columns * (2.0 / max(width - 1, 1)) - 1, rows * (2.0 / max(height - 1, 1)) - 1], dim=-1)
    values = image.to(torch.promote_types(image.dtype, torch.float32))
    read = grid_sample(values, grid.to(values.dtype), mode="bilinear", padding_mode=padding, align_corners=True)
    return read.to(image.dtype)


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
