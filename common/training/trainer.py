"""The trainer of all bundles: MONAI's, with all that a training does between its steps in an order fixed here."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from monai.engines import Evaluator, SupervisedTrainer
from monai.handlers import LrScheduleHandler, ValidationHandler
from torch import nn
from torch.optim import Optimizer

from ..data.output import LOCK, held
from .best_model import KeepBest
from .epoch_seed import EpochSeed
from .finite_weights import StopIfNotFinite
from .history import History
from .processes import is_main_process
from .progress_bar import ProgressBar
from .resume import ResumeLoader, ResumeSaver


class Trainer(SupervisedTrainer):
    """MONAI's supervised trainer with validation, best model, history, seeds, schedule and resume.

    At the end of an epoch: weights that are not finite end the training before anything else looks at them; the
    learning rate changes; the validation runs; the best model is kept; the history is written; last, the state to
    resume from, so that it holds all of this.

    Args:
        network: network in training.
        optimizer: its optimizer.
        train_data_loader: loader whose dataset's random transforms are seeded for each epoch.
        evaluator: validates the network; has `metric` in its metrics.
        metric: name of the metric that decides which model is kept.
        model: file of the model that is kept.
        output_dir: folder of the history and of the state to resume from.
        settings: what `model` was trained with and is needed to use it, see :class:`KeepBest`.
        mode: "max" if more of `metric` is better, "min" if less is.
        lr_scheduler: steps after each epoch, or after each iteration where `lr_each_step`; None keeps the rate.
        lr_each_step: see `lr_scheduler`.
        val_interval: epochs between two validations.
        patience: validations without improvement before the training ends; 0 never ends it.
        half: keep the model in half precision.
        precision: "mixed" scales the loss and computes in half precision on a GPU, see :class:`PrecisionInferer`.
        seed: seed of the run.
        resume: see :class:`ResumeLoader`.
        title: heading of the history's figure and of the progress bar.
        kept_network: what is kept of `network`, where that wraps it; None keeps all of it.
        beside_model: each called with the SHA-256 of a model that was just kept, to write what belongs to it.
        train_handlers: handlers of this training alone; they act before the validation.
        arguments: the others of MONAI's trainer.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        train_data_loader: Any,
        evaluator: Evaluator,
        metric: str,
        model: str | os.PathLike[str],
        output_dir: str | os.PathLike[str],
        settings: Mapping[str, Any] | None = None,
        mode: str = "max",
        lr_scheduler: Any = None,
        lr_each_step: bool = False,
        val_interval: int = 1,
        patience: int = 0,
        half: bool = False,
        precision: str = "float32",
        seed: int = 0,
        resume: bool | str = False,
        title: str = "training",
        kept_network: nn.Module | None = None,
        beside_model: Sequence[Callable[[str], None]] = (),
        train_handlers: Sequence[Any] = (),
        **arguments: Any,
    ) -> None:
        self.locks = [Path(output_dir) / LOCK, Path(model).parent / f".{Path(model).name}{LOCK}"]
        kept = network if kept_network is None else kept_network
        best = KeepBest(kept, model, metric, evaluator, mode, patience, val_interval, settings, half, beside_model)
        history = History(output_dir, evaluator, optimizer, title)
        objects = {"network": network, "optimizer": optimizer, "keep_best": best, "history": history}
        schedule = []
        if lr_scheduler is not None:
            objects["lr_scheduler"] = lr_scheduler
            schedule = [LrScheduleHandler(lr_scheduler, print_lr=False, epoch_level=not lr_each_step)]
        state = Path(output_dir) / "resume.pt"
        handlers = [
            StopIfNotFinite(network),
            EpochSeed(seed, train_data_loader.dataset),
            *(handler for handler in train_handlers if handler is not None),
            *schedule,
            ValidationHandler(val_interval, evaluator, epoch_level=True),
            best,
            history,
            ProgressBar(desc=title),
            ResumeLoader(state, objects, resume),
            ResumeSaver(state, objects),
        ]
        super().__init__(
            network=network,
            optimizer=optimizer,
            train_data_loader=train_data_loader,
            train_handlers=handlers,
            amp=precision == "mixed",
            **arguments,
        )

    def run(self) -> None:  # type: ignore[override]  # as MONAI has it
        """Train, while no other run may write to the same files.

        Raises:
            OutputFolderError: if another training writes to them.
        """
        with held(*self.locks) if is_main_process() else nullcontext():
            super().run()
