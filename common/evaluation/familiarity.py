"""How far an input is from what the weights were trained on: its features beside those of the training cases.

A network answers any input. Here the features that it computes on the way, and plain statistics of what it is given,
are compared with those of its training cases: the distance to the nearest of them, as a percentile of the distances of
held-out cases that are like the training cases. The percentile means the same in every bundle: above 99.5 are one of
200 cases of the kind that the weights know, and nearly all others.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UnusableFileError
from ..files import replacing

NEIGHBOURS = 3
LIMIT_PERCENT = 99.5
_QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
_LEAST_SPREAD = 1e-6


def image_statistics(image: Tensor) -> Tensor:
    """Return plain statistics of the images (B, C, ...) that a network is given: (B, C x 7 + axes).

    Mean, standard deviation and five quantiles of each channel, and the mean step from pixel to pixel along each axis,
    over the standard deviation: how fine the image is, and whether its axes differ.
    """
    flat = image.float().flatten(2)
    levels = torch.tensor(_QUANTILES, dtype=flat.dtype, device=flat.device)
    spread = flat.std(-1)
    quantiles = torch.quantile(_thinned(flat), levels, dim=-1).permute(1, 2, 0).flatten(1)
    scale = spread.mean(1) + _LEAST_SPREAD
    steps = [image.float().diff(dim=axis).abs().flatten(1).mean(1) / scale for axis in range(2, image.ndim)]
    return torch.cat([flat.mean(-1), spread, quantiles, torch.stack(steps, 1)], 1)


def _thinned(flat: Tensor, most: int = 50_000) -> Tensor:
    """Return evenly spaced values of (B, C, N), at most `most`, since a quantile sorts them."""
    return flat[..., :: max(1, flat.shape[-1] // most)]


class FeatureTap:
    """Collects one vector a sample while a network runs: pooled features of some layers, statistics of the input.

    Args:
        network: the network.
        layers: names of its modules whose outputs (B, F, ...) are averaged over all positions.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        self.layers = tuple(layers)
        self._taken: dict[str, list[Tensor]] = {name: [] for name in ("", *self.layers)}
        network.register_forward_pre_hook(self._take_input)
        for name in self.layers:
            network.get_submodule(name).register_forward_hook(self._take(name))

    def vectors(self, samples: int) -> Tensor:
        """Return (samples, D) of what has passed since the last call; views and slices of a sample are averaged."""
        parts = [torch.cat(taken) for taken in self._taken.values()]
        for taken in self._taken.values():
            taken.clear()
        return torch.cat([part.reshape(samples, -1, part.shape[-1]).mean(1) for part in parts], 1)

    def _take_input(self, network: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._taken[""].append(image_statistics(torch.as_tensor(inputs[0]).detach()).cpu())

    def _take(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self._taken[name].append(output.detach().float().flatten(2).mean(-1).cpu())

        return hook


@dataclass(frozen=True)
class Familiarity:
    """What training cases look like to a network, and how far held-out cases are from them.

    Attributes:
        mean, scale: (D,), of the training cases' vectors.
        known: (N, D), their standardised vectors.
        log_distance: mean and standard deviation of the logarithm of the held-out cases' distances.
        limit_percent: percentile above which a case is said to be unlike the training cases.
    """

    mean: Tensor
    scale: Tensor
    known: Tensor
    log_distance: tuple[float, float]
    limit_percent: float = LIMIT_PERCENT

    @classmethod
    def fit(cls, training: Tensor, held_out: Tensor, limit_percent: float = LIMIT_PERCENT) -> "Familiarity":
        """Return the description of vectors (N, D) of training cases and (M, D) of others of the same kind.

        Raises:
            ValueError: with fewer than 10 training or 5 held-out cases.
        """
        if len(training) < 10 or len(held_out) < 5:
            raise ValueError(
                "familiarity: expected at least 10 training and 5 held-out cases, "
                f"found {len(training)} and {len(held_out)}"
            )
        mean, scale = training.mean(0), training.std(0).clamp_min(_LEAST_SPREAD)
        known = (training - mean) / scale
        plain = cls(mean, scale, known, (0.0, 1.0), limit_percent)
        logs = plain.distances(held_out).clamp_min(_LEAST_SPREAD).log()
        return cls(mean, scale, known, (float(logs.mean()), float(logs.std().clamp_min(0.02))), limit_percent)

    def distances(self, vectors: Tensor) -> Tensor:
        """Return the mean distance of vectors (B, D) to their nearest training cases, per square root of D."""
        standard = (vectors - self.mean) / self.scale
        near = torch.cdist(standard, self.known).topk(min(NEIGHBOURS, len(self.known)), largest=False).values
        return near.mean(1) / math.sqrt(vectors.shape[1])

    def percentiles(self, vectors: Tensor) -> Tensor:
        """Return the percentile (0 to 100) of each vector's distance among those of held-out cases."""
        mean, spread = self.log_distance
        logs = self.distances(vectors).clamp_min(_LEAST_SPREAD).log()
        return 100 * torch.special.ndtr((logs - mean) / spread)

    def save(self, path: str | os.PathLike[str], sha256: str) -> None:
        """Write tensors to `path`, with the SHA-256 of the weights that they belong to."""
        state = {
            "mean": self.mean,
            "scale": self.scale,
            "known": self.known.half(),
            "log_distance": torch.tensor(self.log_distance),
            "limit_percent": torch.tensor(self.limit_percent),
            "model_sha256": torch.frombuffer(bytearray.fromhex(sha256), dtype=torch.uint8),
        }
        with replacing(path) as temporary:
            torch.save(state, temporary)

    @classmethod
    def load(cls, path: str | os.PathLike[str], sha256: str) -> "Familiarity":
        """Return what :meth:`save` wrote for the weights with this SHA-256.

        Raises:
            UnusableFileError: if the file is damaged or belongs to other weights.
        """
        try:
            state: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
            stored = bytes(state["model_sha256"].tolist()).hex()
            found = cls(
                state["mean"],
                state["scale"],
                state["known"].float(),
                (float(state["log_distance"][0]), float(state["log_distance"][1])),
                float(state["limit_percent"]),
            )
        except Exception as error:
            raise UnusableFileError(f"{path}: expected the familiarity of a training, found a damaged file") from error
        if stored != sha256:
            raise UnusableFileError(f"{path}: expected the familiarity of these weights, found that of others")
        return found
