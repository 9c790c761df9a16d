"""What an evaluation and an inference of heart-failure classes leave behind: tables, pictures, one JSON a patient."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events
from numpy.typing import NDArray

from ..data.failures import FailureLog
from ..evaluation import classes
from ..evaluation.intervals import Statistic, bootstrap_interval
from ..evaluation.rows import Row, RowCollector
from ..evaluation.table import EvaluationRow, write_evaluation
from ..files import replacing, write_csv, write_json
from ..training.processes import is_main_process
from . import scores as metrics


def section_row(batch: Any, output: Any) -> Row:
    """Return case, section, label (1 HFrEF, 0 HFpEF; None without one) and probability of HFrEF of one section."""
    label = batch.get("label")
    return {
        "case": str(batch["case"]),
        "section": int(batch["section"]),
        "label": None if label is None else int(label),
        "probability": float(output["pred"].reshape(-1)[0]),
    }


class HeartFailureEvaluation(RowCollector):
    """Writes `sections.csv`, `patients.csv`, `evaluation.csv`, `evaluation.json` and `roc.png` after an evaluation.

    Args:
        output_dir: folder to write to.
        threshold: probability of HFrEF from which a patient is called so.
        method: the model's name in the table.
    """

    def __init__(
        self, output_dir: str | os.PathLike[str], threshold: float = 0.5, method: str = "model", resamples: int = 2000
    ) -> None:
        super().__init__(section_row)
        self.folder, self.threshold, self.method, self.resamples = Path(output_dir), threshold, method, resamples

    def finish(self, engine: Engine) -> None:
        """Write the tables and the picture, on the main process."""
        if not is_main_process():
            return
        patients = metrics.patient_rows(self.rows)
        write_csv(self.folder / "sections.csv", self.rows)
        write_csv(self.folder / "patients.csv", [{**p, **metrics.call(p, self.threshold)} for p in patients])
        write_evaluation(self.folder, self._table(patients))
        self._draw(patients)

    def _table(self, patients: list[Row]) -> list[EvaluationRow]:
        clusters = metrics.sections_by_patient(self.rows)
        labels, scores = metrics.columns(patients)
        called = (scores >= self.threshold).astype(int)
        clustered_accuracy = metrics.ClusteredAccuracy(self.threshold)
        figures: list[tuple[str, str, Statistic, tuple[NDArray, ...], float | None]] = [
            (self.method, "patient AUC", classes.auc, (labels, scores), 0.8505),
            (self.method, "patient accuracy", classes.accuracy, (labels, called), 0.8208),
            (self.method, "sensitivity", classes.sensitivity, (labels, called), None),
            (self.method, "specificity", classes.specificity, (labels, called), None),
            (self.method, "patch AUC", metrics.clustered_auc, (clusters,), 0.8289),
            (self.method, "patch accuracy", clustered_accuracy, (clusters,), 0.7682),
            ("majority class", "patient accuracy", metrics.majority, (labels,), None),
        ]
        return [
            EvaluationRow(method, name, bootstrap_interval(statistic, *samples, resamples=self.resamples), published)
            for method, name, statistic, samples, published in figures
        ]

    def _draw(self, patients: list[Row]) -> None:
        from matplotlib.figure import Figure
        from sklearn.metrics import roc_curve

        figure = Figure(figsize=(4.2, 4), layout="constrained")
        axes = figure.add_subplot()
        for rows, name in ((patients, "patients"), (self.rows, "sections")):
            labels, scores = metrics.columns(rows)
            if len(set(labels.tolist())) == 2:
                false, true, _ = roc_curve(labels, scores)
                axes.plot(false, true, label=f"{name}: AUC {classes.auc(labels, scores):.3f} (n = {len(rows)})")
        axes.plot([0, 1], [0, 1], color="0.7", linestyle=":", label="chance")
        axes.set(xlabel="1 - specificity", ylabel="sensitivity", title="HFrEF against HFpEF", aspect="equal")
        axes.legend(loc="lower right", frameon=False)
        figure.supxlabel("research use only, not a medical device", fontsize=7, color="0.4")
        with replacing(self.folder / "roc.png") as temporary:
            figure.savefig(temporary, dpi=110)


class HeartFailureResults:
    """Writes `CASE.json` and `CASE.png` of each patient as soon as its sections are through, at last `predictions.csv`.

    The sections of a patient must come one after the other, as :class:`common.data.CaseStream` gives them.

    Args:
        output_dir: folder to write to.
        failures: where a patient goes whose results cannot be written.
        threshold: probability of HFrEF from which a patient is called so.
        source: which weights made the result, named in every JSON file.
    """

    def __init__(
        self, output_dir: str | os.PathLike[str], failures: FailureLog, threshold: float = 0.5, source: str = ""
    ) -> None:
        self.folder, self.failures, self.threshold, self.source = Path(output_dir), failures, threshold, str(source)
        self.patients: list[Row] = []
        self._sections: list[Row] = []
        self._pictures: list[np.ndarray] = []

    def attach(self, engine: Engine) -> None:
        """Write during the run of `engine`."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _start(self, engine: Engine) -> None:
        self.patients, self._sections, self._pictures = [], [], []

    def _add(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        output: Any = engine.state.output
        for item, result in zip(batch, output, strict=True):
            row = section_row(item, result)
            if self._sections and self._sections[-1]["case"] != row["case"]:
                self._close()
            self._sections.append(row)
            image = item["image"]
            self._pictures.append(np.asarray(image[0, :, :, [0, image.shape[-1] // 3]].cpu(), dtype=np.float32))

    def _close(self) -> None:
        case = self._sections[0]["case"]
        with self.failures.guard(case):
            patient = metrics.patient_rows(self._sections)[0]
            call = metrics.call(patient, self.threshold)
            result = {
                "case": case,
                "probability_HFrEF": patient["probability"],
                "probabilities": {"HFrEF": patient["probability"], "HFpEF": 1 - patient["probability"]},
                "call": call["call"],
                "threshold": self.threshold,
                "sections": [{k: row[k] for k in ("section", "probability")} for row in self._sections],
                "weights": self.source,
                "note": "Research use only; not a medical device.",
            }
            write_json(self.folder / f"{case}.json", result)
            self._draw(case, result)
            spread = float(np.std([row["probability"] for row in self._sections]))
            self.patients.append(
                {
                    "case": case,
                    "probability_HFrEF": round(patient["probability"], 6),
                    "call": call["call"],
                    "sections": len(self._sections),
                    "spread_over_sections": round(spread, 6),
                }
            )
        self._sections, self._pictures = [], []

    def _draw(self, case: str, result: dict[str, Any]) -> None:
        from matplotlib.figure import Figure

        columns = min(len(self._pictures), 8)
        shown = np.unique(np.linspace(0, len(self._pictures) - 1, columns).round().astype(int))
        figure = Figure(figsize=(1.6 * len(shown), 4.1), layout="constrained")
        grid = figure.subplots(2, len(shown), squeeze=False)
        for column, index in enumerate(shown):
            row = self._sections[index]
            for line, name in enumerate(("first frame", "a third on")):
                axes = grid[line][column]
                axes.imshow(self._pictures[index][..., line], cmap="gray", vmin=-1.5, vmax=3)
                axes.set(xticks=[], yticks=[], ylabel=name if column == 0 else "")
            grid[0][column].set_title(f"section {row['section']}\np = {row['probability']:.2f}", fontsize=8)
        figure.suptitle(f"{case}: {result['call']}, p(HFrEF) = {result['probability_HFrEF']:.2f}", fontsize=10)
        figure.supxlabel("research use only, not a medical device", fontsize=7, color="0.4")
        with replacing(self.folder / f"{case}.png") as temporary:
            figure.savefig(temporary, dpi=110)

    def _finish(self, engine: Engine) -> None:
        if self._sections:
            self._close()
        write_csv(
            self.folder / "predictions.csv",
            self.patients,
            ["case", "probability_HFrEF", "call", "sections", "spread_over_sections"],
        )
