"""What handlers need to know of other processes."""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn


def is_main_process() -> bool:
    """Return whether this process is the one that writes files: rank 0, or the only one."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0


def gather_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of all processes in rank order; without process group the rows themselves."""
    if not (dist.is_available() and dist.is_initialized()):
        return rows
    gathered: list[list[dict[str, Any]]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(gathered, rows)
    return [row for part in gathered for row in part]


def wait_for_all() -> None:
    """Wait until every process has come here; without process group go on at once."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()


def bare_network(network: nn.Module) -> nn.Module:
    """Return the network inside DistributedDataParallel, or the network itself."""
    return network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network


def distributed_network(network: nn.Module, device: torch.device) -> nn.Module:
    """Return `network` on `device`, wrapped so that the gradients of all processes are averaged."""
    devices = [device] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(network.to(device), device_ids=devices)


def leave_together(network: nn.Module) -> None:
    """Leave the process group once all processes have come here, and end its threads.

    torch's wrapper keeps the group, and with it threads that may abort a process whose interpreter is ending.

    Args:
        network: what :func:`distributed_network` gave; it can no longer be trained.
    """
    dist.barrier()
    dist.destroy_process_group()
    for kept in ("reducer", "logger", "process_group"):
        setattr(network, kept, None)
