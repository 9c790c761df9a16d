"""Batches of all processes side by side, for losses that compare the samples of a batch with each other."""

from typing import Any

import torch
from torch import Tensor, distributed


def gather_with_gradient(local: Tensor) -> Tensor:
    """Return the (world size x B, ...) batch of all processes, in the order of the ranks; the gradient reaches each.

    When every process computes the same loss from the gathered batch, DistributedDataParallel's mean over processes
    is the gradient that one process with the whole batch would have: the backward pass sums over processes. Without
    a process group, or with a single process, `local` itself is returned.

    Args:
        local: (B, ...), of the same shape in every process (distributed samplers pad to that).
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return local
    return _Gather.apply(local)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        parts = [torch.empty_like(local) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, local.contiguous())
        ctx.rows = len(local)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total)
        return total.narrow(0, distributed.get_rank() * ctx.rows, ctx.rows)
