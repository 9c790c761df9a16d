"""Run a function in two processes that talk over gloo, each with its rank, and collect what they return."""

import torch
from torch import distributed, multiprocessing


def run_in_two_processes(function, directory, *arguments):
    """List of `function(rank, *arguments)` for both ranks; `function` stands at the top of an importable module."""
    multiprocessing.spawn(_worker, (str(directory), function, arguments), nprocs=2)
    return [torch.load(f"{directory}/result{rank}.pt", weights_only=True) for rank in range(2)]


def _worker(rank, directory, function, arguments):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{directory}/rendezvous", rank=rank, world_size=2)
    try:
        torch.save(function(rank, *arguments), f"{directory}/result{rank}.pt")
    finally:
        distributed.destroy_process_group()
