"""Convolutions one after another, a few rows at a time, so that what lies between them never leaves the cache."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu_

from .winograd import TILE, Winograd

_LEAST_WINOGRAD = 48 * 64  # below, the transforms cost more than the multiplications that they save
_STRIP_PIXELS = 6144  # some megabytes of 128 channels
_MOST_THREADS = 2  # with more, few rows leave some of them idle; not measured


class RowwiseSequential(nn.Sequential):
    """Convolutions and leaky ReLUs that are given their channels in parts.

    Inference on a CPU goes through the image a few rows at a time; else it is the plain way, layer by layer. Both give
    the same up to rounding.
    """

    def forward(self, parts: list[Tensor]) -> Tensor:
        """Return (B, K, H', W') for parts (B, C, H, W) whose channels are joined."""
        if torch.jit.is_scripting():
            return self.plain(parts)
        elif len(self) and goes_by_rows(parts[-1]):
            return all_rows(self, parts)
        else:
            return self.plain(parts)

    def plain(self, parts: list[Tensor]) -> Tensor:
        """Return the same, layer by layer."""
        values = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        for layer in self:
            values = layer(values)
        return values


@torch.jit.unused
def goes_by_rows(image: Tensor) -> bool:
    """Return whether `image` is on a CPU of few threads and nobody asks for a gradient or a graph."""
    usual = image.dtype in (torch.float32, torch.bfloat16) and image.device.type == "cpu"
    usual = usual and torch.get_num_threads() <= _MOST_THREADS
    graph = torch.is_grad_enabled() or torch.jit.is_tracing() or torch.compiler.is_compiling()
    return usual and not graph


def row_precision() -> torch.dtype:
    """Return the type in which convolutions compute here: that of autocast, or float32."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32


def all_rows(layers: nn.Sequential, parts: list[Tensor]) -> Tensor:
    """Return (B, K, H', W') in channels-last memory, see :class:`RowwiseSequential`."""
    dtype = row_precision()
    images = list(zip(*parts, strict=True))
    return as_maps(side_by_side(lambda image: torch.cat(list(by_rows(layers, strips(image, dtype), dtype))), images))


def side_by_side(work: Callable[[Sequence[Tensor]], Tensor], images: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Return what `work` makes of each image, without autocast; where there are threads, each image has one of them.

    A few rows are too little to share.
    """
    threads, is_inference = torch.get_num_threads(), torch.is_inference_mode_enabled()

    def alone(image: Sequence[Tensor]) -> Tensor:
        with torch.inference_mode(is_inference), torch.no_grad(), torch.autocast("cpu", enabled=False):
            return work(image)

    if threads == 1 or len(images) == 1:
        return [alone(image) for image in images]
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(alone, images))
    finally:
        torch.set_num_threads(threads)  # a part of the setting is the process's


def as_maps(images: list[Tensor]) -> Tensor:
    """Return (B, K, H, W) in channels-last memory for B images (H, W, K)."""
    together = torch.stack(images) if len(images) > 1 else images[0].unsqueeze(0)
    return together.permute(0, 3, 1, 2)


def strips(parts: Iterable[Tensor], dtype: torch.dtype) -> Iterator[Tensor]:
    """Yield rows (r, W, C) of parts (C, H, W) from the top, their channels joined."""
    maps = [part.as_subclass(Tensor).permute(1, 2, 0) for part in parts]  # a MetaTensor makes other empty rows
    height, width = maps[0].shape[:2]
    count = max(TILE, _STRIP_PIXELS // width // TILE * TILE)
    for top in range(0, height, count):
        rows = [values[top : top + count].to(dtype) for values in maps]
        yield torch.cat(rows, dim=2) if len(rows) > 1 else rows[0]


class _RowConvolution:
    """A convolution that is given its image some rows at a time, from the top."""

    def __init__(self, convolution: nn.Conv2d, slope: float, dtype: torch.dtype) -> None:
        self.size, self.stride, self.slope = convolution.kernel_size, convolution.stride[0], slope
        self.weight = convolution.weight.detach().to(dtype)
        bias = self.weight.new_zeros(len(self.weight)) if convolution.bias is None else convolution.bias
        self.bias = bias.detach().to(dtype)
        outputs, channels = self.weight.shape[:2]
        large = channels * outputs >= _LEAST_WINOGRAD and dtype == torch.float32
        self.winograd = Winograd(self.weight, self.bias) if large and self.size == (3, 3) and self.stride == 1 else None
        self.tile = TILE if self.winograd else 1
        # Processors compute 16 channels at once. Two, as of a displacement, become 2 x 7 columns of the kernel.
        self.by_columns = outputs * self.size[1] <= 16 and self.stride == 1
        if self.by_columns:
            self.weight = self.weight.permute(0, 3, 1, 2).flatten(0, 1).unsqueeze(3)
        if self.winograd is None:
            self.weight = self.weight.contiguous(memory_format=torch.channels_last)
        self.outputs = outputs
        self.held: Tensor | None = None

    def push(self, rows: Tensor, last: bool) -> Tensor:
        """Return the rows of the result (r', W', K) that follow from those given so far and `rows` (r, W, C)."""
        high, wide = self.size
        width, columns = rows.shape[1], -(-rows.shape[1] // self.tile) * self.tile
        held = rows.new_zeros(high // 2, 1, 1) if self.held is None else self.held
        known = len(held) + len(rows)
        ready = max(0, (known + (high // 2 if last else 0) - high) // self.stride + 1)
        made = -(-ready // self.tile) * self.tile if last else ready // self.tile * self.tile
        left, right = wide // 2, wide // 2 + width
        window = rows.new_empty(max(known, made and (made - 1) * self.stride + high), columns + wide - 1, rows.shape[2])
        window[: len(held)] = held
        window[len(held) : known, left:right] = rows
        for outside in (window[len(held) : known, :left], window[len(held) : known, right:], window[known:]):
            outside.zero_()
        self.held = window[made * self.stride : known]
        if not made:
            return rows.new_empty(0, -(-width // self.stride), self.outputs)
        result = self._convolved(window[: (made - 1) * self.stride + high])[:ready, : -(-width // self.stride)]
        return leaky_relu_(result, self.slope) if self.slope != 1 else result

    def _convolved(self, window: Tensor) -> Tensor:
        if self.winograd:
            return self.winograd(window)
        image = window.permute(2, 0, 1).unsqueeze(0)
        if not self.by_columns:
            return conv2d(image, self.weight, self.bias, self.stride)[0].permute(1, 2, 0)
        column = conv2d(image, self.weight)[0].permute(1, 2, 0).contiguous()
        (down, across, channels), wide = column.shape, self.size[1]
        size = (down, across - wide + 1, self.outputs, wide)
        total = column.as_strided(size, (across * channels, channels, wide, channels + 1)).sum(3)
        return total + self.bias


def by_rows(layers: nn.Sequential, strips: Iterable[Tensor], dtype: torch.dtype) -> Iterator[Tensor]:
    """Yield the rows (r, W, K) that `layers` make of an image given in strips (r, W, C), both from the top.

    Each convolution keeps the rows that its next ones need, so that nothing is computed twice, and pads with zeros at
    the borders of the image only.

    Args:
        layers: convolutions of odd kernels, padded by half of it, and leaky ReLUs.
        strips: rows of the image; each is used before the next is asked for.
        dtype: type in which the convolutions compute.
    """
    modules = list(layers)
    following = [*modules[1:], nn.Identity()]
    chain = [
        _RowConvolution(layer, after.negative_slope if isinstance(after, nn.LeakyReLU) else 1.0, dtype)
        for layer, after in zip(modules, following, strict=True)
        if isinstance(layer, nn.Conv2d)
    ]
    for rows, last in _with_last(strips):
        for convolution in chain:
            rows = convolution.push(rows, last)
        if len(rows):
            yield rows


def _with_last(strips: Iterable[Tensor]) -> Iterator[tuple[Tensor, bool]]:
    iterator = iter(strips)
    current = next(iterator)
    for following in iterator:
        yield current, False
        current = following
    yield current, True
