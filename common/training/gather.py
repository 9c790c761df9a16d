"""Batches of all processes side by side, for losses that compare the samples of a batch with each other."""

import torch
from torch import Tensor, distributed
from torch.distributed.nn.functional import all_gather


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
    return torch.cat(all_gather(local.contiguous()))
