"""How far a case is from what the weights were trained on.

A network answers whatever it is given. Here each case is compared with the training cases: by the features that the
network computes on the way and by plain statistics of the image. Its distance from the training cases becomes a
percentile of the distances of held-out cases of the same kind, so that 99 means the same in every bundle: one of 100
cases of the kind that the weights know lies farther away.
"""

import copy
import logging
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from monai.data import DataLoader, Dataset
from scipy.stats import t as student_t
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import Tensor, nn

from ..errors import NoDataError, UnusableFileError
from ..files import replacing
from ..training.processes import bare_network, is_main_process
from ..training.weights import load_weights, read_checkpoint, sha256_of, write_checkpoint
from .features import STATISTICS, FeatureTap, image_statistics

logger = logging.getLogger(__name__)

LIMIT = 99.9
LEAST_TRAINING, LEAST_HELD_OUT = 10, 5
MOST_CASES = 300
_LEAST = 1e-6
_LEAST_SHRINKAGE = 1e-3
_LEAST_DEVIATION = 0.02
_LEAST_SCALE = 0.05  # of the median standard deviation in a block: what never varied in training must not decide alone


class Gaussian(NamedTuple):
    """A Gaussian with a shrunk covariance (Ledoit and Wolf, 2004), kept as its axes.

    Attributes:
        mean, scale: (D,), of the training cases' vectors.
        axes: (K, D), the directions in which the standardised vectors vary.
        variances: (K + 1,), along these axes; the last one in every other direction.
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor
    variances: Tensor

    @classmethod
    def fit(cls, vectors: Tensor) -> "Gaussian":
        """Return the Gaussian of vectors (N, D); N may be less than D."""
        spread = vectors.std(0)
        mean, scale = vectors.mean(0), spread.clamp_min(max(_LEAST_SCALE * float(spread.median()), _LEAST))
        standard = (vectors - mean) / scale
        shrinkage = max(float(ledoit_wolf_shrinkage(standard.numpy())), _LEAST_SHRINKAGE)
        _, singular, axes = torch.linalg.svd(standard, full_matrices=False)
        found = singular.square() / len(vectors)
        shared = shrinkage * float(found.sum()) / standard.shape[1]
        return cls(mean, scale, axes.half(), torch.cat([(1 - shrinkage) * found + shared, torch.tensor([shared])]))

    def log_distances(self, vectors: Tensor) -> Tensor:
        """Return the logarithm (B,) of the Mahalanobis distance, over the square root of D, of vectors (B, D)."""
        standard = (vectors - self.mean) / self.scale
        along = (standard @ self.axes.float().T).square()
        across = (standard.square().sum(1) - along.sum(1)).clamp_min(0)
        squares = (along / self.variances[:-1]).sum(1) + across / self.variances[-1]
        return squares.div(len(self.mean)).clamp_min(_LEAST).log() / 2


class Familiarity(NamedTuple):
    """What training cases look like to a network, and how far held-out cases of the same kind are from them.

    A case has several vectors: statistics of its image, and the features of each layer. Its score is its logarithmic
    distance in the vector where it is strangest, each in standard deviations of the held-out cases.

    Attributes:
        layers: names of the network's modules whose features are compared.
        gaussians: of the training cases' vectors: the image statistics, then each layer's features.
        held_out: mean and standard deviation of the held-out cases' logarithmic distances, of each vector.
        scores: mean, standard deviation and number of the held-out cases' scores; the score of a case in several
            pieces (slices of a patient) is their mean.
        limit: percentile above which a case is said to be unlike the training cases.
    """

    layers: tuple[str, ...]
    gaussians: list[Gaussian]
    held_out: list[tuple[float, float]]
    scores: tuple[float, float, int]
    limit: float = LIMIT

    @classmethod
    def fit(
        cls,
        layers: Sequence[str],
        training: Sequence[Tensor],
        held_out: Sequence[Tensor],
        cases: Sequence[str] | None = None,
    ) -> "Familiarity":
        """Return the description of training cases and others of the same kind.

        Args:
            layers: names of the layers, to be stored.
            training, held_out: the vectors, each (N, D) and (M, D) with its own D.
            cases: (M,), the case that each held-out vector is a piece of; None if each is a case of its own, as they
                are taken to be too where they belong to fewer than 5 cases.

        Raises:
            ValueError: with fewer than 10 training or 5 held-out cases.
        """
        if len(training[0]) < LEAST_TRAINING or len(held_out[0]) < LEAST_HELD_OUT:
            raise ValueError(
                f"familiarity: expected at least {LEAST_TRAINING} training and {LEAST_HELD_OUT} held-out cases, found "
                f"{len(training[0])} and {len(held_out[0])}"
            )
        gaussians = [Gaussian.fit(vectors) for vectors in training]
        spread = [
            _mean_and_deviation(one.log_distances(vectors)) for one, vectors in zip(gaussians, held_out, strict=True)
        ]
        plain = cls(tuple(layers), gaussians, spread, (0.0, 1.0, len(held_out[0])))
        scores = _by_case(plain.score(held_out), cases)
        return plain._replace(scores=(*_mean_and_deviation(scores), len(scores)))

    def score(self, vectors: Sequence[Tensor]) -> Tensor:
        """Return the score (B,) of cases with these vectors, each (B, D); infinite where D is another."""
        if [len(one.mean) for one in self.gaussians] != [part.shape[1] for part in vectors]:
            return torch.full((len(vectors[0]),), math.inf)
        parts = [
            (one.log_distances(part) - mean) / deviation
            for one, part, (mean, deviation) in zip(self.gaussians, vectors, self.held_out, strict=True)
        ]
        return torch.stack(parts).amax(0)

    def percentile(self, score: float) -> float:
        """Return which percentage of cases of the kind of the held-out ones has a lower score.

        Scores are taken as normal; few held-out cases make the answer more careful (Student's t).
        """
        mean, deviation, count = self.scores
        return 100 * float(student_t.cdf((score - mean) / (deviation * math.sqrt(1 + 1 / count)), count - 1))

    def save(self, path: str | os.PathLike[str], model_sha256: str) -> None:
        """Write plain tensors and words to `path`, with the SHA-256 of the weights that they belong to."""
        gaussians = [one._asdict() for one in self.gaussians]
        content = {
            **self._asdict(),
            "gaussians": gaussians,
            "model_sha256": model_sha256,
            "statistics": STATISTICS,
        }
        with replacing(path) as temporary:
            write_checkpoint(content, temporary, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], weights: str | os.PathLike[str]) -> "Familiarity | None":
        """Return what :meth:`save` wrote for `weights`; None, with a warning, if there is nothing for these.

        Raises:
            UnusableFileError: if the file is damaged.
        """
        if not Path(path).is_file():
            logger.warning(f"{path} is not there: results do not say how far their input is from the training data")
            return None
        try:
            content = read_checkpoint(path)
            model_sha256, statistics = content.pop("model_sha256"), content.pop("statistics", 1)
            found = cls(**{**content, "gaussians": [Gaussian(**one) for one in content["gaussians"]]})
            found.percentile(float(found.score([one.mean[None] for one in found.gaussians])))
        except Exception as error:
            raise UnusableFileError(
                f"{path}: expected the familiarity of {Path(weights).name}, found a damaged file; run `describing` "
                "(train.json) or remove it"
            ) from error
        if statistics != STATISTICS:
            logger.warning(f"{path} is of another version of this package: run `describing` (train.json) to renew it")
            return None
        if model_sha256 != sha256_of(weights):
            logger.warning(f"{path} belongs to other weights than {weights}: run `describing` (train.json) to renew it")
            return None
        return found


def familiarity_file(weights: str | os.PathLike[str]) -> Path:
    """Return where the familiarity of `weights` is kept: `model.familiarity.pt` beside `model.pt`."""
    return Path(weights).with_suffix(".familiarity.pt")


class FamiliarityCheck:
    """Gives each case of an inference its score beside the training cases, while it passes the network.

    Args:
        network: the network in use.
        weights: file of its weights; the familiarity lies beside it.
        seen: what the inferer makes of an image before the network; None if nothing.
    """

    def __init__(
        self,
        network: nn.Module,
        weights: str | os.PathLike[str],
        seen: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.network, self.weights, self.seen = network, weights, seen
        self.known: Familiarity | None = None
        self._tap: FeatureTap | None = None

    def start(self) -> None:
        """Read the familiarity and listen to the network."""
        self.known = Familiarity.load(familiarity_file(self.weights), self.weights)
        absent = set(self.known.layers) - {name for name, _ in self.network.named_modules()} if self.known else set()
        if absent:
            logger.warning(
                f"{familiarity_file(self.weights)} is of another network, with {', '.join(sorted(absent))}: results do "
                "not say how far their input is from the training data"
            )
            self.known = None
        self._tap = FeatureTap(self.network, self.known.layers) if self.known else None

    def stop(self) -> None:
        """Leave the network as it was."""
        if self._tap:
            self._tap.close()
        self._tap = None

    def scores(self, images: Sequence[Tensor]) -> list[float | None]:
        """Return the score of each case that has just passed the network, None where none is known."""
        features = self._tap.take(len(images)) if self._tap else None
        if self.known is None or features is None:
            return [None] * len(images)
        statistics = [image_statistics(self.seen(image) if self.seen else image) for image in images]
        return [
            float(self.known.score([own[None], *(layer[[place]] for layer in features)]))
            for place, own in enumerate(statistics)
        ]


class FitFamiliarity:
    """Fits the :class:`Familiarity` of trained weights and writes it beside them; at most 300 cases of each list count.

    Args:
        network: network of the structure that the weights have; it is copied.
        model: file of the weights.
        layers: names of the layers whose features are compared.
        training: datalist of the cases that the weights were trained on.
        held_out: datalist of others of the same kind.
        transform: from a case to what the network gets, without anything random.
        inferer: passes a batch through the network.
        seen: what the inferer makes of an image before the network; None if nothing.
        device: where to compute.
    """

    def __init__(
        self,
        network: nn.Module,
        model: str | os.PathLike[str],
        layers: Sequence[str],
        training: Sequence[Any],
        held_out: Sequence[Any],
        transform: Callable[..., Any],
        inferer: Callable[..., Any],
        seen: Callable[[Tensor], Tensor] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network, self.model, self.layers = network, model, layers
        self.training, self.held_out = training, held_out
        self.transform, self.inferer, self.seen, self.device = transform, inferer, seen, device

    def fit(self, required: bool = False) -> None:
        """Fit and write; in several processes the first one does. With too few cases nothing is written.

        Args:
            required: whether too few cases are an error, rather than a warning.

        Raises:
            FileNotFoundError: if there are no trained weights.
            NoDataError: if there are too few cases and the fit is `required`.
        """
        if not is_main_process():
            return
        if len(self.training) < LEAST_TRAINING or len(self.held_out) < LEAST_HELD_OUT:
            few = (
                f"familiarity: expected at least {LEAST_TRAINING} training and {LEAST_HELD_OUT} held-out cases, found "
                f"{len(self.training)} and {len(self.held_out)}; results will not say how far their input is from the "
                "training data"
            )
            if required:
                raise NoDataError(few)
            logger.warning(few)
            return
        network = load_weights(copy.deepcopy(bare_network(self.network)), self.model).to(self.device).eval()
        (training, _), (held_out, cases) = (self._vectors(network, part) for part in (self.training, self.held_out))
        found = Familiarity.fit(self.layers, training, held_out, cases)
        found.save(familiarity_file(self.model), sha256_of(self.model))
        logger.info(f"{familiarity_file(self.model)}: {found.scores[2]} held-out cases beside the training cases")

    @torch.inference_mode()
    def _vectors(self, network: nn.Module, cases: Sequence[Any]) -> tuple[list[Tensor], list[str]]:
        places = torch.linspace(0, len(cases) - 1, min(MOST_CASES, len(cases))).round().int().tolist()
        chosen = [cases[place] for place in places]
        tap = FeatureTap(network, self.layers)
        vectors, names = [], []
        for number, batch in enumerate(DataLoader(Dataset(chosen, self.transform), batch_size=1)):
            self.inferer(batch["image"].to(self.device), network)
            features = tap.take(1)
            if features is None:
                raise ValueError(f"layers: expected modules that the network runs, found {list(self.layers)}")
            image = batch["image"][0]
            vectors.append([image_statistics(self.seen(image) if self.seen else image)[None], *features])
            names.append(str(batch["case"][0]) if "case" in batch else str(number))
        return [torch.cat(parts) for parts in zip(*vectors, strict=True)], names


def _by_case(scores: Tensor, cases: Sequence[str] | None) -> Tensor:
    """Return the mean score of each case; the scores (M,) as they are where there are too few cases."""
    if cases is None or len(set(cases)) < LEAST_HELD_OUT:
        return scores
    pieces: dict[str, list[Tensor]] = {}
    for score, case in zip(scores, cases, strict=True):
        pieces.setdefault(case, []).append(score)
    return torch.stack([torch.stack(of_case).mean() for of_case in pieces.values()])


def _mean_and_deviation(values: Tensor) -> tuple[float, float]:
    return float(values.mean()), max(float(values.std()), _LEAST_DEVIATION)
