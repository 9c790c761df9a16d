"""Images and features fetched from where a displacement field points."""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample


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
