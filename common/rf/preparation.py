"""What training a displacement network needs beside MONAI's trainer: batches, clipped gradients, skipped pairs."""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.engines.utils import IterationEvents
from torch import Tensor, nn

from .loss import ElastographyLoss

logger = logging.getLogger(__name__)


class PreparePairBatch:
    """From a batch to (image, label) on the device, where the label is another entry than `label`.

    Args:
        label_key: `displacement` for the exact displacement (supervised), `image` for the pair itself (unsupervised).
    """

    def __init__(self, label_key: str) -> None:
        self.label_key = label_key

    def __call__(
        self,
        batch: Mapping[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **options: Any,
    ) -> tuple[Tensor, Tensor]:
        """Return image and label; the same tensor twice if the label is the image."""
        image = batch["image"].to(device=device, non_blocking=non_blocking, **options)
        if self.label_key == "image":
            return image, image
        return image, batch[self.label_key].to(device=device, non_blocking=non_blocking, **options)


class ClipGradients:
    """Shortens the gradient of each step to `max_norm` before the optimizer uses it.

    Args:
        network: network whose gradients are clipped.
        max_norm: largest 2-norm over all parameters, positive.
    """

    def __init__(self, network: nn.Module, max_norm: float = 1.0) -> None:
        self.network, self.max_norm = network, max_norm

    def attach(self, engine: Engine) -> None:
        """Clip after each backward pass of the trainer `engine`."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        """Clip; under mixed precision the gradients are first unscaled."""
        scaler = getattr(engine, "scaler", None)
        if scaler is not None:
            scaler.unscale_(engine.optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.max_norm)


class SkippedPairs:
    """Counts the pairs that the loss skipped for want of reliable pixels, and logs the count after each epoch.

    Args:
        loss: the loss of the trainer.
    """

    def __init__(self, loss: ElastographyLoss) -> None:
        self.loss = loss
        self.skipped = self.seen = 0
        self._shares: list[Tensor] = []

    def attach(self, engine: Engine) -> None:
        """Count during each epoch of the trainer `engine`."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def _start(self, engine: Engine) -> None:
        self._shares = []

    def _add(self, engine: Engine) -> None:
        if self.loss.last_terms is not None:
            self._shares.append(self.loss.last_terms.reliable_fraction)

    def __call__(self, engine: Engine) -> None:
        """Log the count, and leave it in the engine's metrics as `skipped_pairs`."""
        if not self._shares:
            return
        fractions = torch.cat(self._shares)
        self.seen, self.skipped = fractions.numel(), int((fractions < self.loss.least_reliable).sum())
        engine.state.metrics["skipped_pairs"] = self.skipped
        fraction = f"{100 * self.loss.least_reliable:.0f} %"
        logger.info(
            f"epoch {engine.state.epoch}: skipped {self.skipped} of {self.seen} pairs (under {fraction} reliable)"
        )
        if self.skipped == self.seen:
            logger.warning(
                "every pair was skipped, so nothing was learned: start from weights that track these frames "
                "(pretraining), or take pairs with less motion between them"
            )
