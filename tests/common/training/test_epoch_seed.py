import random

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import Dataset
from monai.transforms import Compose, RandScaleIntensity

from common.training import EpochSeed


def draws(seed, epochs, first=1, **arguments):
    """What random, numpy, torch and a transform draw in each epoch."""
    dataset = Dataset([torch.ones(1)], Compose([RandScaleIntensity(0.5, prob=1.0)]))
    seen = []
    trainer = Engine(
        lambda *_: seen.append((random.random(), np.random.rand(), float(torch.rand(1)), dataset[0].item()))
    )
    EpochSeed(seed, dataset, **arguments).attach(trainer)
    if first > 1:
        trainer.run([0], max_epochs=first - 1)
        seen.clear()
        torch.rand(17)
    trainer.run([0], max_epochs=first + epochs - 1)
    return seen


def test_one_seed_draws_the_same_in_every_generator():
    assert draws(3, 2) == draws(3, 2)


def test_epochs_and_seeds_differ_in_every_generator():
    first, second = draws(3, 2)
    assert all(a != b for a, b in zip(first, second, strict=True))
    assert all(a != b for a, b in zip(first, draws(4, 1)[0], strict=True))


def test_an_epoch_draws_the_same_whatever_came_before():
    assert draws(3, 3)[2] == draws(3, 1, first=3)[0]


def test_seeds_of_neighbouring_runs_and_epochs_do_not_meet():
    assert draws(3, 2)[1] != draws(4, 1)[0]


def test_takes_no_dataset_and_one_without_random_transforms():
    for dataset in (None, Dataset([1], abs), [1]):
        trainer = Engine(lambda *_: float(torch.rand(1)))
        EpochSeed(1, dataset).attach(trainer)
        trainer.run([0], max_epochs=1)
        generator = torch.Generator().manual_seed(100_003 + 1)
        assert trainer.state.output == pytest.approx(float(torch.rand(1, generator=generator)))
