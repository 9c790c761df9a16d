"""The MONAI Label app over our bundles; the server imports it through the `main.py` that `start` writes."""

import logging
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.train import TrainTask

from ..bundle import bundle_roots, run_bundle
from .served import Answer, ServedBundle
from .training import training_options, training_settings

logger = logging.getLogger(__name__)

UNUSABLE, UNKNOWN_IMAGE, NO_WEIGHTS = 422, 404, 503
EXPECTED = (ValueError, FileNotFoundError)


class BundleInference(InferTask):
    """Answers of one bundle over HTTP: JSON, and a mask or a map as image where the bundle's answer is one."""

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

    def get_path(self, validate: bool = True) -> str:
        """Return the file of the weights in use."""
        return str(self.bundle.weights)

    def __call__(self, request: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Return the answer's image, a file that the server removes once it is sent, and the answer's values.

        Raises:
            HTTPException: with the reason, if the image is unknown or cannot be used, or there are no weights yet.
        """
        if not request.get("image"):
            raise HTTPException(UNKNOWN_IMAGE, "no image of this name among the studies; see /datastore/")
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            answer = self._answer(request, folder)
            kept = None if answer.image is None else _kept(answer.image)
        content = {**answer.content, "latencies": {"total": round(time.perf_counter() - began, 3)}}
        if isinstance(self.labels, Mapping):
            content["label_names"] = self.labels
        if "probabilities" in content:
            classes = enumerate(content["probabilities"].items())
            content["prediction"] = [{"idx": index, "label": name, "score": p} for index, (name, p) in classes]
        return kept, content

    def _answer(self, request: Mapping[str, Any], folder: str) -> Answer:
        try:
            return self.bundle.infer(request["image"], folder, int(request.get("number", 0)), request)
        except Exception as error:
            reason = _reason(error)
            if not isinstance(reason, EXPECTED):
                raise
            status = NO_WEIGHTS if isinstance(reason, FileNotFoundError) else UNUSABLE
            raise HTTPException(status, str(reason)) from error


class BundleTraining(TrainTask):
    """Training of one bundle from the labels of the studies; its weights stay with the server, not in the bundle."""

    def __init__(self, bundle: ServedBundle, studies: str) -> None:
        super().__init__(bundle.metadata["description"])
        self.bundle, self.studies = bundle, studies

    def config(self) -> dict[str, Any]:
        """Return the settings that a client may change, with the bundle's values."""
        return training_options(self.bundle)

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train on the labelled studies, from the weights in use, and return which weights came of it.

        Raises:
            ValueError: if a setting is not a number.
        """
        run_bundle(self.bundle.root, "training", ["train.json"], training_settings(self.bundle, self.studies, request))
        return {"weights": str(self.bundle.weights)}


class BundleApp(MONAILabelApp):
    """Serves the bundles of a folder; one that is broken is reported and left out.

    `conf` has `bundles`, the folder, and optionally `models`, names joined by commas.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self.skipped: dict[str, str] = {}
        self.bundles: dict[str, ServedBundle] = {}
        roots = bundle_roots(conf["bundles"])
        for name in conf["models"].split(",") if conf.get("models") else roots:
            try:
                self.bundles[name] = ServedBundle(roots[name], Path(app_dir) / "model" / name)
            except Exception as error:  # one broken bundle never takes the others down
                self._skip(name, error)
        super().__init__(app_dir, studies, conf, name="cardiac and neonatal bundles", description=self._text())

    def init_infers(self) -> dict[str, InferTask]:
        """Return the models by name."""
        return {name: BundleInference(bundle) for name, bundle in self.bundles.items()}

    def init_trainers(self) -> dict[str, TrainTask]:
        """Return the models that learn from labels, by name."""
        return {name: BundleTraining(bundle, self.studies) for name, bundle in self.bundles.items() if bundle.learns}

    def on_init_complete(self) -> None:
        """Load every bundle, in the server's process alone: trainings run in processes of their own.

        Raises:
            RuntimeError: if not one bundle is left.
        """
        for name, bundle in self.bundles.items():
            try:
                bundle.load()
            except Exception as error:
                if bundle.learns and not bundle.weights.is_file():
                    logger.warning("%s has no weights yet: it answers after a training", name)
                    continue
                self._skip(name, error)
                self._infers.pop(name, None)
                self._trainers.pop(name, None)
        self.description = self._text()
        if not self._infers:
            raise RuntimeError(f"no bundle to serve: {self.skipped}")
        super().on_init_complete()

    def _skip(self, name: str, error: Exception) -> None:
        self.skipped[name] = str(_reason(error)) or type(error).__name__
        logger.error("%s is broken and left out: %s", name, self.skipped[name])

    def _text(self) -> str:
        broken = "".join(f" Left out: {name} ({reason})." for name, reason in self.skipped.items())
        return f"For research. Not a medical device, not for clinical use.{broken}"


def _kept(image: Path) -> str:
    """Move a result out of its folder, to a name of its own with the same suffixes."""
    suffix = image.name[image.name.rindex(".nii") :] if ".nii" in image.name else image.suffix
    with tempfile.NamedTemporaryFile(prefix="answer-", suffix=suffix, delete=False) as file:
        shutil.copyfile(image, file.name)
    return file.name


def _reason(error: BaseException) -> BaseException:
    """Return the error of ours that MONAI has wrapped; without one, the innermost."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    return next((link for link in chain if isinstance(link, EXPECTED)), chain[-1])
