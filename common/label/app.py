"""The MONAI Label app over our bundles; the server imports it through the `main.py` that `start` writes."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.train import TrainTask

from ..bundle import bundle_roots
from .archive import ArchiveStudies, is_archive
from .served import ServedBundle
from .settings import ServerSettings, from_environment
from .studies import Studies
from .training import train, training_options
from .worker import Worker, innermost_reason, limit_memory

logger = logging.getLogger(__name__)


class BundleInference(InferTask):
    """What MONAI Label's clients are told of one bundle; its answers come from the worker."""

    def __init__(self, bundle: ServedBundle) -> None:
        kind = bundle.kind
        super().__init__(
            type=kind["type"],
            labels=kind.get("labels", []),
            dimension=kind.get("dimension", 3),
            description=bundle.metadata["description"],
            config={name: value for name, value in bundle.settings().items() if value is not None},
        )
        self.bundle = bundle

    def is_valid(self) -> bool:
        """Return True: a bundle that cannot answer was left out when the server started."""
        return True

    def info(self) -> dict[str, Any]:
        """Return what `/info/` says of this model."""
        return {**super().info(), "version": self.bundle.metadata["version"]}

    def __call__(self, request: Any) -> Any:
        """Refuse: the server asks the worker.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("answers come from common.label.worker")


class BundleTraining(TrainTask):
    """Training of one bundle from the labels of the studies; its weights stay with the server, not in the bundle."""

    def __init__(self, bundle: ServedBundle, studies: str, settings: ServerSettings) -> None:
        super().__init__(bundle.metadata["description"])
        self.bundle, self.studies, self.settings = bundle, studies, settings

    def config(self) -> dict[str, Any]:
        """Return the settings that a client may change, with the bundle's values."""
        return training_options(self.bundle)

    def stats(self) -> dict[str, Any]:
        """Return which weights are in use, and how each training's compared with those before."""
        return {} if self.bundle.versions is None else self.bundle.versions.summary()

    def __call__(self, request: Mapping[str, Any], datastore: Any) -> dict[str, Any]:
        """Train, in the process that MONAI Label starts for it, and return how the new weights compare.

        Raises:
            ValueError: if a setting is not a number in its range.
        """
        limit_memory(self.settings.memory_gib)
        options = {name: request[name] for name in self.config() if name in request}
        return train(self.bundle, self.studies, options)


class BundleApp(MONAILabelApp):
    """Serves the bundles of a folder; one that is broken is reported and left out.

    `conf` has `bundles`, the folder, and optionally `models`, names joined by commas.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self.settings = from_environment()
        self.skipped: dict[str, str] = {}
        self.bundles: dict[str, ServedBundle] = {}
        self.folders: dict[str, tuple[Path, Path]] = {}
        roots = bundle_roots(conf["bundles"])
        for name in conf["models"].split(",") if conf.get("models") else roots:
            self.folders[name] = (roots[name], Path(app_dir) / "model" / name)
            try:
                self.bundles[name] = ServedBundle(*self.folders[name])
            except Exception as error:  # one broken bundle never takes the others down
                self._skip(name, str(innermost_reason(error)) or type(error).__name__)
        super().__init__(app_dir, studies, conf, name="cardiac and neonatal bundles", description=self._text())
        folders = {name: self.folders[name] for name in self.bundles}
        self.worker = Worker(folders, self.settings.seconds, self.settings.memory_gib)

    def init_datastore(self) -> Studies | ArchiveStudies:
        """Return the studies."""
        if is_archive(self.studies):
            return ArchiveStudies(self.studies, self.settings.writable)
        return Studies(Path(self.studies), Path(self.app_dir), self.settings.writable)

    def init_infers(self) -> dict[str, InferTask]:
        """Return the models by name."""
        return {name: BundleInference(bundle) for name, bundle in self.bundles.items()}

    def init_trainers(self) -> dict[str, TrainTask]:
        """Return the models that learn from labels, by name; none where the studies lie in an archive."""
        learns = not is_archive(self.studies)
        learning = {name: bundle for name, bundle in self.bundles.items() if bundle.learns and learns}
        return {name: BundleTraining(bundle, self.studies, self.settings) for name, bundle in learning.items()}

    def on_init_complete(self) -> None:
        """Load every bundle in the worker, in the server's process alone: trainings run in processes of their own.

        Raises:
            RuntimeError: if not one bundle is left.
        """
        for name, reason in self.worker.start().items():
            bundle = self.bundles[name]
            if bundle.learns and not bundle.weights.is_file():
                logger.warning("%s has no weights yet: it answers after a training", name)
                continue
            self._skip(name, reason)
            self._infers.pop(name, None)
            self._trainers.pop(name, None)
        self.description = self._text()
        if not self._infers:
            raise RuntimeError(f"no bundle to serve: {self.skipped}")

    def served(self, name: str) -> ServedBundle:
        """Return a bundle that answers.

        Raises:
            FileNotFoundError: if there is none of that name.
        """
        if name not in self._infers:
            raise FileNotFoundError(f"{name[:50]}: expected one of {', '.join(self._infers)}")
        return self.bundles[name]

    def learning(self, name: str) -> ServedBundle:
        """Return a bundle that learns from labels.

        Raises:
            FileNotFoundError: if there is none of that name.
        """
        if name not in self._trainers:
            raise FileNotFoundError(
                f"{name[:50]}: expected one of {', '.join(self._trainers)}, which learn from labels"
            )
        return self.bundles[name]

    def next_sample(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return an image without a label, chosen by the strategy in `request`; nothing if there is none.

        Raises:
            FileNotFoundError: if there is no such strategy.
        """
        strategy = request["strategy"]
        if strategy not in self._strategies:
            raise FileNotFoundError(f"{strategy[:50]}: expected one of {', '.join(self._strategies)}")
        chosen = self._strategies[strategy]({"strategy": strategy}, self._datastore)
        return {**chosen, **self._datastore.get_image_info(chosen["id"])} if chosen else {}

    def _skip(self, name: str, reason: str) -> None:
        self.skipped[name] = reason
        logger.error("%s is broken and left out: %s", name, reason)

    def _text(self) -> str:
        broken = "".join(f" Left out: {name} ({reason})." for name, reason in self.skipped.items())
        return f"For research. Not a medical device, not for clinical use.{broken}"
