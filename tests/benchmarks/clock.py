"""Time that a function takes, also on a machine with other work."""

import statistics
import time

import torch


def seconds(function):
    """One thread's own time leaves out what other programs take of its core; for more threads, the time on the wall."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    function()
    return clock() - start


def side_by_side(reference, function, rounds=5):
    """Medians of both and of their ratio, measured in turn, so that the machine's other work strikes both alike."""
    reference(), function()
    pairs = [(seconds(reference), seconds(function)) for _ in range(rounds)]
    return {
        "threads": torch.get_num_threads(),
        "seconds": statistics.median(pair[1] for pair in pairs),
        "reference_seconds": statistics.median(pair[0] for pair in pairs),
        "times_faster": statistics.median(first / second for first, second in pairs),
    }
