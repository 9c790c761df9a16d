"""The seed of each epoch, so that a resumed run draws what an uninterrupted one would have drawn."""

import random
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from ignite.engine import Engine, Events
from monai.transforms import Randomizable

_STRIDE = 100_003
_RANK_STRIDE = 7_368_787


class EpochSeed:
    """Seeds torch, numpy, random and the dataset's transforms at the start of every epoch from (seed, epoch, rank).

    Attached to the trainer, before anything that draws. Workers of a data loader take their seeds from torch's, as
    long as they are not persistent.

    Args:
        seed: seed of the run; two runs with one seed agree.
        dataset: dataset whose `transform` holds MONAI's random transforms; None if there is none.
        fixed: the same seed every epoch, for a validation whose random transforms must not change between epochs.
    """

    def __init__(self, seed: int, dataset: Any = None, fixed: bool = False) -> None:
        self.seed = seed
        self.dataset = dataset
        self.fixed = fixed

    def attach(self, engine: Engine) -> None:
        """Seed at the start of each epoch of `engine`."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Seed for the epoch that `engine` starts."""
        rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
        seed = (self.seed * _STRIDE + (0 if self.fixed else engine.state.epoch) + rank * _RANK_STRIDE) % 2**31
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        transform = getattr(self.dataset, "transform", None)
        if isinstance(transform, Randomizable):
            transform.set_random_state(seed=seed)
