"""Weights and inputs made from names and seeds: the recipe behind every golden number in these tests."""

import math
import zlib

import numpy as np
import torch


def fill(name, shape):
    """Value of the upstream state-dict entry `name`: float32, int64 for num_batches_tracked."""
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if leaf == "running_var":
        value = 1.0 + 0.2 * np.tanh(noise)
    elif leaf == "running_mean":
        value = 0.1 * noise
    elif len(shape) == 1:
        value = 1.0 + 0.1 * noise if leaf == "weight" else 0.05 * noise
    else:
        value = noise * math.sqrt(2.0 / int(np.prod(shape[1:])))
    return value.astype(np.float32)


def filled_state_dict(shapes, prefix=""):
    """State dict with the upstream names and `shapes`, filled by name (with `prefix` before it)."""
    return {name: torch.from_numpy(np.asarray(fill(prefix + name, tuple(shape)))) for name, shape in shapes.items()}


def noise_image(shape, seed):
    """Uniform noise in [0, 1), float32."""
    return np.random.RandomState(seed).random_sample(shape).astype(np.float32)
