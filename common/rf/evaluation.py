"""Evaluation of displacement: every method's figures side by side, strain images, a profile."""

import copy
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn

from ..errors import UnusableFileError
from ..evaluation.intervals import bootstrap_interval
from ..evaluation.rows import Row
from ..evaluation.table import EvaluationRow
from ..files import write_csv
from ..training.processes import bare_network
from ..training.weights import load_weights
from .analytic_signal import analytic_channels
from .classical import ClassicalSettings, classical_displacements, completed_displacement, refined_displacement
from .figures import ShownPair, draw_profile, draw_strains
from .grid import resample_displacement
from .quality import axial_strain, trusted_strain
from .scores import case_figures

_LABELS = {
    "cnr": "CNR",
    "sr": "SR",
    "sr_error": "SR error against 2/(1+G)",
    "snre": "SNRe",
    "axial_rmse": "axial RMSE (samples)",
    "axial_bias": "axial bias (samples)",
    "axial_sd": "axial SD (samples)",
    "lateral_rmse": "lateral RMSE (lines)",
    "lateral_bias": "lateral bias (lines)",
    "lateral_sd": "lateral SD (lines)",
    "strain_rmse": "strain RMSE (%)",
    "strain_bias": "strain bias (%)",
    "strain_sd": "strain SD (%)",
    "data_term": "data term",
    "reliable_fraction": "fraction of reliable pixels",
}


class EvaluatedPairs:
    """Rows of an evaluation with the figures of every method under `figures`; images of the first pairs.

    For engines whose postprocessing brings `pred` back to the frames' grid, and whose batches hold `pre`, `post`,
    `image` and, of simulated pairs, the exact `displacement`, `strain` and `inclusion`.

    Args:
        network: the network, for the run with other weights.
        before: weights before fine-tuning; a row of the table if the file is there.
        window: samples of the strain fit.
        edges: samples and lines left out at each side.
        classical: settings of NCC and GLUE; None leaves both, and the network refined by GLUE, out.
        windows: JSON file with windows {"target", "background", "uniform"} for all cases, or such by case name.
        shown: pairs in `strain.png`.
        method: name of the network's row.

    Raises:
        UnusableFileError: if `windows` is no JSON file.
    """

    def __init__(
        self,
        network: nn.Module,
        before: str | os.PathLike[str] | None = None,
        window: int = 43,
        edges: Sequence[int] = (40, 10),
        classical: ClassicalSettings | None = None,
        windows: str | os.PathLike[str] | None = None,
        shown: int = 3,
        method: str = "model",
    ) -> None:
        self.shown, self.edges = shown, tuple(edges)
        self.network, self.before, self.method = network, before, method
        self.window, self.classical = window, classical
        self.windows = _read_windows(windows) if windows else {}
        self.pairs: list[ShownPair] = []
        self._other: nn.Module | None = None

    def attach(self, engine: Engine) -> None:
        """Load the weights before fine-tuning when `engine` starts."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)

    def __call__(self, item: Mapping[str, Any], output: Mapping[str, Any]) -> Row:
        """Return case and figures by method of one pair."""
        if "displacement" in item:  # RfPairToImaged has brought it to the network's grid
            reference = resample_displacement(item["displacement"], item["pre"].shape[-2:])
            item = {**item, "displacement": reference}
        with torch.no_grad():
            displacements = self._displacements(item, output)
            strains = {
                method: axial_strain(displacement, self.window) for method, displacement in displacements.items()
            }
            image = torch.cat([analytic_channels(item[key]) for key in ("pre", "post")]).to(output["pred"].device)
            windows = self.windows.get(str(item["case"]), self.windows.get("*"))
            figures = {
                method: case_figures(displacement, strains[method], item, image, self.edges, windows)
                for method, displacement in displacements.items()
            }
        if len(self.pairs) < self.shown:
            believed = {
                method: trusted_strain(item["pre"], item["post"], displacement, self.window).strain[None]
                for method, displacement in displacements.items()
            }
            self.pairs.append(ShownPair.of(item, believed, figures, self.edges))
        return {"case": str(item["case"]), "figures": figures}

    def draw(self, folder: Path, rows: Sequence[Row], method: str = "model") -> None:
        """Write `pairs.csv`, `strain.png` and `profile.png`."""
        write_csv(folder / "pairs.csv", _by_method(rows))
        if self.pairs:
            draw_strains(folder / "strain.png", self.pairs)
            draw_profile(folder / "profile.png", self.pairs[0])

    def _start(self) -> None:
        self.pairs = []
        if self.before and Path(self.before).is_file():
            self._other = load_weights(copy.deepcopy(bare_network(self.network)), self.before).eval()

    def _displacements(self, item: Mapping[str, Any], output: Mapping[str, Any]) -> dict[str, Tensor]:
        displacements = {}
        if self.classical is not None:
            displacements = {
                k: v.to(output["pred"].device)
                for k, v in classical_displacements(item["pre"], item["post"], self.classical).items()
            }
        if self._other is not None:
            image = item["image"][None].to(output["pred"].device)
            displacement = self._other.to(image.device)(image)[0]
            displacements["before fine-tuning"] = resample_displacement(displacement, item["pre"].shape[-2:])
        displacements[self.method] = output["pred"]
        if self.classical is not None:
            refined, _ = completed_displacement(item["pre"], item["post"], output["pred"], self.classical)
            refined = refined_displacement(item["pre"], item["post"], refined, self.classical.glue)
            displacements[f"{self.method} and GLUE"] = refined.to(output["pred"].device)
        return displacements


def elastography_table(rows: Sequence[Row], method: str = "model") -> list[EvaluationRow]:
    """Return the mean of each figure and method, with intervals over the pairs in which it is known.

    Args:
        rows: from :class:`EvaluatedPairs`, which name the methods themselves.
        method: not needed.
    """
    table = _by_method(rows)
    methods = list(dict.fromkeys(row["method"] for row in table))
    result = []
    for key, label in _LABELS.items():
        for name in methods:
            values = [row[key] for row in table if row["method"] == name and np.isfinite(row.get(key, np.nan))]
            if values:
                result.append(EvaluationRow(name, label, bootstrap_interval(np.mean, values)))
    return result


def _by_method(rows: Sequence[Row]) -> list[Row]:
    return [
        {"case": row["case"], "method": method, **figures} for row in rows for method, figures in row["figures"].items()
    ]


def _read_windows(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return windows by case name; those for all cases under `*`."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableFileError(f"{path}: expected a JSON file of windows: {error}") from error
    return {"*": content} if "target" in content else content
