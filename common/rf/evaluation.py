"""What an evaluation of displacement leaves behind: every method's figures side by side, strain images, a profile."""

import copy
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from torch import Tensor, nn

from ..errors import UnusableFileError
from ..evaluation.intervals import Interval, bootstrap_interval
from ..evaluation.rows import Row, RowCollector
from ..evaluation.table import EvaluationRow, write_evaluation
from ..files import write_csv
from ..training.processes import bare_network, is_main_process
from ..training.weights import load_weights
from .analytic_signal import analytic_channels
from .classical import ClassicalSettings, classical_displacements
from .figures import ShownPair, draw_profile, draw_strains
from .grid import resample_displacement
from .strain import axial_strain
from .strain_case import case_figures

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


class ElastographyEvaluation(RowCollector):
    """Writes `pairs.csv`, `evaluation.csv`, `evaluation.json`, `strain.png` and `profile.png` after an evaluation.

    For engines whose postprocessing brings `pred` back to the frames' grid, and whose batches hold `pre`, `post`,
    `image` and, of simulated pairs, the exact `displacement`, `strain` and `inclusion`.

    Args:
        output_dir: folder to write to.
        network: the network, for the run with other weights.
        before: weights before fine-tuning; a row of the table if the file is there.
        window: samples of the strain fit.
        edges: samples and lines left out at each side.
        classical: settings of NCC and GLUE; None leaves both out.
        windows: JSON file with windows {"target", "background", "uniform"} for all cases, or such by case name.
        shown: pairs in `strain.png`.
        method: name of the network's row.

    Raises:
        UnusableFileError: if `windows` is no JSON file.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        network: nn.Module,
        before: str | os.PathLike[str] | None = None,
        window: int = 43,
        edges: Sequence[int] = (40, 10),
        classical: ClassicalSettings | None = None,
        windows: str | os.PathLike[str] | None = None,
        shown: int = 3,
        method: str = "model",
    ) -> None:
        super().__init__(self._row)
        self.folder, self.shown, self.edges = Path(output_dir), shown, tuple(edges)
        self.network, self.before, self.method = network, before, method
        self.window, self.classical = window, classical
        self.windows = _read_windows(windows) if windows else {}
        self.pictures: list[ShownPair] = []
        self._other: nn.Module | None = None

    def _start(self, engine: Engine) -> None:
        super()._start(engine)
        self.pictures = []
        if self.before and Path(self.before).is_file():
            self._other = load_weights(copy.deepcopy(bare_network(self.network)), self.before).eval()

    def _row(self, item: Mapping[str, Any], output: Mapping[str, Any]) -> Row:
        with torch.no_grad():
            displacements = self._flows(item, output)
            strains = {
                method: axial_strain(displacement, self.window) for method, displacement in displacements.items()
            }
            image = torch.cat([analytic_channels(item[key]) for key in ("pre", "post")]).to(output["pred"].device)
            windows = self.windows.get(str(item["case"]), self.windows.get("*"))
            figures = {
                method: case_figures(displacement, strains[method], item, image, self.edges, windows)
                for method, displacement in displacements.items()
            }
        if len(self.pictures) < self.shown:
            self.pictures.append(ShownPair.of(item, strains, figures, self.edges))
        return {"case": str(item["case"]), "figures": figures}

    def _flows(self, item: Mapping[str, Any], output: Mapping[str, Any]) -> dict[str, Tensor]:
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
        return {**displacements, self.method: output["pred"]}

    def finish(self, engine: Engine) -> None:
        """Write tables and pictures, on the main process."""
        if not is_main_process():
            return
        table = [
            {"case": row["case"], "method": method, **figures}
            for row in self.rows
            for method, figures in row["figures"].items()
        ]
        write_csv(self.folder / "pairs.csv", table)
        write_evaluation(self.folder, _summary(table))
        if self.pictures:
            draw_strains(self.folder / "strain.png", self.pictures)
            draw_profile(self.folder / "profile.png", self.pictures[0])


def _summary(table: Sequence[Row]) -> list[EvaluationRow]:
    methods = list(dict.fromkeys(row["method"] for row in table))
    rows = []
    for key, label in _LABELS.items():
        for method in methods:
            values = [row[key] for row in table if row["method"] == method and np.isfinite(row.get(key, np.nan))]
            if values:
                rows.append(EvaluationRow(method, label, _mean_interval(values)))
    return rows


def _mean_interval(values: Sequence[float]) -> Interval:
    return bootstrap_interval(_mean, values)


def _mean(values: Any) -> float:
    return float(np.mean(values))


def _read_windows(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return windows by case name; those for all cases under `*`."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableFileError(f"{path}: expected a JSON file of windows: {error}") from error
    return {"*": content} if "target" in content else content
