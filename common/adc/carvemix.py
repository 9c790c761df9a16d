"""CarveMix: a lesion and its surroundings cut from one slice and set into another."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.engines import PrepareBatch
from monai.transforms import Randomizable
from monai.utils import CommonKeys
from torch import Tensor

from .region import region_of_interest, sample_reach_fraction


class CarveMix(Randomizable):
    """Return a batch in which some slices carry the lesion of another slice of the batch, with its annotation.

    Each slice is, with `probability`, the receiver of a donor drawn from the batch: inside the donor's region of
    interest (its lesion, made smaller or larger at random) image and annotation are the donor's, elsewhere they stay
    the receiver's. A donor without lesion changes nothing.

    Args:
        probability: fraction of the slices that receive, in [0, 1]; 0 leaves every batch as it is.
        seed: seed of the draws; None takes each batch's from torch's generator, so that a seeded epoch repeats.

    References:
        Zhang et al., CarveMix, NeuroImage 2023, https://doi.org/10.1016/j.neuroimage.2023.120041

    Example:
        >>> import torch
        >>> from common.adc import CarveMix
        >>> images, labels = torch.rand(4, 2, 32, 32), torch.zeros(4, 1, 32, 32)
        >>> labels[0, 0, 10:20, 10:20] = 1
        >>> mixed, annotations = CarveMix(probability=1.0, seed=0)(images, labels)
        >>> mixed.shape, annotations.shape
        (torch.Size([4, 2, 32, 32]), torch.Size([4, 1, 32, 32]))
    """

    def __init__(self, probability: float = 0.5, seed: int | None = None) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f"probability: expected a fraction in [0, 1], found {probability}")
        self.probability, self.seeded = probability, seed is not None
        self.set_random_state(seed)
        self._donors: list[tuple[int, int, float]] = []

    def randomize(self, count: int) -> None:
        """Draw receivers, their donors and the reach of each donor's region for a batch of `count` slices."""
        if not self.seeded:
            self.set_random_state(int(torch.randint(2**31 - 1, ())))
        receivers = np.nonzero(self.R.random_sample(count) < self.probability)[0]
        self._donors = [(int(r), int(self.R.randint(count)), sample_reach_fraction(self.R)) for r in receivers]

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mixed images (B, C, H, W) and labels (B, 1, H, W); the arguments are left as they were."""
        self.randomize(len(images))
        mixed_images, mixed_labels = images.clone(), labels.clone()
        for receiver, donor, fraction in self._donors:
            region = torch.from_numpy(region_of_interest(labels[donor, 0].cpu().numpy(), fraction)).to(images.device)
            mixed_images[receiver] = torch.where(region, images[donor], images[receiver])
            mixed_labels[receiver] = torch.where(region, labels[donor], labels[receiver])
        return mixed_images, mixed_labels


class CarveMixPrepareBatch(PrepareBatch):
    """Hands a trainer's engine the batch after :class:`CarveMix`.

    Args:
        probability, seed: as in :class:`CarveMix`.
    """

    def __init__(self, probability: float = 0.5, seed: int | None = None) -> None:
        self.mix = CarveMix(probability, seed)

    def __call__(
        self,
        batchdata: Mapping[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor]:
        """Return images and labels on `device`."""
        images, labels = self.mix(batchdata[CommonKeys.IMAGE], batchdata[CommonKeys.LABEL])
        move = {"device": device, "non_blocking": non_blocking, **kwargs}
        return images.to(**move), labels.to(**move)
