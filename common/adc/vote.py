"""The vote of several models on one case."""

import copy
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor, nn

from ..training.weights import load_weights
from .threshold import load_threshold


def vote(masks: Sequence[Tensor]) -> Tensor:
    """Return the fraction of the models that call each voxel lesion; half of them suffice in the paper's code (4 of 8).

    Args:
        masks: one mask a model, same shapes, lesion where positive.

    Raises:
        ValueError: if there is no mask.
    """
    if not masks:
        raise ValueError("masks: expected one or more, found none")
    return torch.stack([mask > 0 for mask in masks]).float().mean(dim=0)


class VotingInferer(Inferer):
    """Gives the fraction of several models that call a voxel lesion, each at its own threshold.

    The weights (`model.pt`) and thresholds (`threshold.json`) are read at the first case, so that a config builds
    without them.

    Args:
        inferer: gives a model's probability of a volume.
        model_dirs: one folder a model, as trainings with different `model_dir` leave them.

    References:
        Ninalga, Label Aware Denoising Pretraining, 2024, section II D (vote of eight models).
    """

    def __init__(self, inferer: Inferer, model_dirs: Sequence[str | os.PathLike[str]]) -> None:
        super().__init__()
        self.inferer, self.model_dirs = inferer, [Path(folder) for folder in model_dirs]
        self._models: list[tuple[nn.Module, float]] = []

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Return fractions (B, K, H, W, D) of volumes (B, C, H, W, D).

        Args:
            inputs: volumes.
            network: module on its device; gives the structure, not the weights.
            args, kwargs: for the inferer.

        Raises:
            ValueError: if there is no model.
            FileNotFoundError: if a folder lacks its weights or threshold.
        """
        if not self._models:
            if not self.model_dirs:
                raise ValueError("model_dirs: expected one folder a model, found none; set --model_dirs \"['a','b']\"")
            self._models = [_load(network, folder) for folder in self.model_dirs]
        return vote([self.inferer(inputs, m, *args, **kwargs) >= threshold for m, threshold in self._models])


def _load(network: Any, folder: Path) -> tuple[nn.Module, float]:
    model = load_weights(copy.deepcopy(network), folder / "model.pt").eval()
    return model, load_threshold(folder / "threshold.json", folder / "model.pt")
