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
    """
    height, width = image.shape[-2:]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype) + flow[:, 0]
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype).unsqueeze(1) + flow[:, 1]
    grid = torch.stack([columns * (2.0 / max(width - 1, 1)) - 1, rows * (2.0 / max(height - 1, 1)) - 1], dim=-1)
    return grid_sample(image, grid.to(image.dtype), mode="bilinear", padding_mode=padding, align_corners=True)
