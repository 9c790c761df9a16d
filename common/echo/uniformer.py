"""UniFormer: convolution blocks, then global attention blocks, over space and time."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..training.precision import without_bfloat16

UNIFORMER_SMALL_DEPTHS = (3, 4, 8, 3)
UNIFORMER_SMALL_WIDTHS = (64, 128, 320, 512)


class UniFormer(nn.Module):
    """Return one feature vector for a clip: (B, C, T, H, W) to (B, widths[-1]).

    Two stages mix neighbourhoods (depthwise 5 x 5 x 5), two stages mix all tokens of the clip (self-attention). Clips
    of any length and size go through; the attention costs the square of `T/2 * H/16 * W/16`. Parameter names are the
    published ones, so that a published checkpoint fits key by key. In evaluation the embeddings and the last stage,
    a tenth of the work, stay in float32 under autocast to bfloat16: they make most of its error.

    Args:
        in_channels: channels of the clip.
        depths: blocks of each of the four stages.
        widths: channels of each stage; the last two are multiples of `head_width`.
        head_width: channels of an attention head.
        mlp_ratio: hidden width of a block's perceptron over its width.
        dropout: of the first tokens, the attention's projection and the perceptrons, in [0, 1).

    Raises:
        ValueError: if there are not four stages, or a width does not fit `head_width`.

    References:
        Li et al., UniFormer: Unified Transformer for Efficient Spatial-Temporal Representation Learning, ICLR 2022,
        https://arxiv.org/abs/2201.04676 (the small model: depths 3, 4, 8, 3)

    Example:
        >>> import torch
        >>> from common.echo import UniFormer
        >>> encoder = UniFormer(depths=(1, 1, 1, 1), widths=(8, 16, 32, 64), head_width=16)
        >>> encoder(torch.zeros(2, 3, 8, 32, 32)).shape
        torch.Size([2, 64])
    """

    def __init__(
        self,
        in_channels: int = 3,
        depths: Sequence[int] = UNIFORMER_SMALL_DEPTHS,
        widths: Sequence[int] = UNIFORMER_SMALL_WIDTHS,
        head_width: int = 64,
        mlp_ratio: float = 4.0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if len(depths) != 4 or len(widths) != 4:
            raise ValueError(f"depths, widths: expected four stages each, found {list(depths)} and {list(widths)}")
        if widths[2] % head_width or widths[3] % head_width:
            raise ValueError(f"widths: expected multiples of {head_width} in stages 3 and 4, found {list(widths)}")
        first, second, third, fourth = widths
        self.patch_embed1 = _Embedding(in_channels, first, (3, 4, 4), (2, 4, 4), (1, 0, 0))
        self.patch_embed2 = _Embedding(first, second, (1, 2, 2), (1, 2, 2))
        self.patch_embed3 = _Embedding(second, third, (1, 2, 2), (1, 2, 2))
        self.patch_embed4 = _Embedding(third, fourth, (1, 2, 2), (1, 2, 2))
        self.pos_drop = nn.Dropout(dropout)
        self.blocks1 = nn.ModuleList([_LocalBlock(first, mlp_ratio, dropout) for _ in range(depths[0])])
        self.blocks2 = nn.ModuleList([_LocalBlock(second, mlp_ratio, dropout) for _ in range(depths[1])])
        self.blocks3 = nn.ModuleList([_GlobalBlock(third, head_width, mlp_ratio, dropout) for _ in range(depths[2])])
        self.blocks4 = nn.ModuleList([_GlobalBlock(fourth, head_width, mlp_ratio, dropout) for _ in range(depths[3])])
        self.norm = nn.BatchNorm3d(fourth)
        self.out_channels = fourth
        self.apply(_initialise)

    def forward_map(self, clip: Tensor) -> Tensor:
        """Return the last feature map before the mean: (B, C, T, H, W) to (B, widths[-1], T/2, H/32, W/32)."""
        x = self.pos_drop(self.patch_embed1(clip))
        for block in self.blocks1:
            x = block(x)
        x = self.patch_embed2(x)
        for block in self.blocks2:
            x = block(x)
        x = self.patch_embed3(x)
        for block in self.blocks3:
            x = block(x)
        x = self.patch_embed4(x)
        if torch.jit.is_scripting():
            return self._last_stage(x)
        with without_bfloat16(self, x.device.type):
            return self._last_stage(x)

    def _last_stage(self, x: Tensor) -> Tensor:
        for block in self.blocks4:
            x = block(x)
        return self.norm(x)

    def forward(self, clip: Tensor) -> Tensor:
        """Return the features, the mean of the last map over time and space."""
        return self.forward_map(clip).mean(dim=(2, 3, 4))


class _Embedding(nn.Module):
    """Strided convolution into patches, then a layer norm over channels."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int, int],
        stride: tuple[int, int, int],
        padding: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(out_channels)
        self.proj = nn.Conv3d(in_channels, out_channels, kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.proj.weight.dtype)
        if torch.jit.is_scripting():
            return self._embedded(x)
        with without_bfloat16(self, x.device.type):
            return self._embedded(x)

    def _embedded(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(x).permute(0, 2, 3, 4, 1)).permute(0, 4, 1, 2, 3)


class _Pointwise(nn.Conv3d):
    """1 x 1 x 1 convolution; on a CPU a matrix product of channels-last maps, which the embeddings give."""

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda:
            return self._conv_forward(x, self.weight, self.bias)
        mixed = functional.linear(x.permute(0, 2, 3, 4, 1), self.weight.flatten(1), self.bias)
        return mixed.permute(0, 4, 1, 2, 3)


class _LocalBlock(nn.Module):
    """Neighbourhood mixing: position convolution, depthwise 5 x 5 x 5 between pointwise ones, perceptron."""

    def __init__(self, width: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        self.pos_embed = nn.Conv3d(width, width, 3, padding=1, groups=width)
        self.norm1 = nn.BatchNorm3d(width)
        self.conv1 = _Pointwise(width, width, 1)
        self.conv2 = _Pointwise(width, width, 1)
        self.attn = nn.Conv3d(width, width, 5, padding=2, groups=width)
        self.norm2 = nn.BatchNorm3d(width)
        self.mlp = _PointwisePerceptron(width, int(width * mlp_ratio), dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        x = x + self.conv2(self.attn(self.conv1(self.norm1(x))))
        return x + self.mlp(self.norm2(x))


class _PointwisePerceptron(nn.Module):
    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = _Pointwise(width, hidden, 1)
        self.fc2 = _Pointwise(hidden, width, 1)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(functional.gelu(self.fc1(x)))))


class _GlobalBlock(nn.Module):
    """Attention over all tokens of the clip, after a position convolution and before a perceptron."""

    def __init__(self, width: int, head_width: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        self.pos_embed = nn.Conv3d(width, width, 3, padding=1, groups=width)
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width, head_width, dropout)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = _TokenPerceptron(width, int(width * mlp_ratio), dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.attn(self.norm1(tokens))
        tokens = tokens + self.mlp(self.norm2(tokens))
        return tokens.transpose(1, 2).reshape(x.shape)


class _Attention(nn.Module):
    def __init__(self, width: int, head_width: int, dropout: float) -> None:
        super().__init__()
        self.heads = width // head_width
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.proj_drop = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        # (B, N, 3 * C) to (3, B, heads, N, C / heads)
        qkv = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        return self.proj_drop(self.proj(mixed.transpose(1, 2).flatten(2)))


class _TokenPerceptron(nn.Module):
    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(functional.gelu(self.fc1(tokens)))))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
