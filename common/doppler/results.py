"""What an inference of Doppler peaks leaves behind: a picture and a JSON file an image, and one table of all."""

import os
from typing import Any

import torch
from ignite.engine import Engine

from ..data.failures import FailureLog
from ..evaluation.case_results import CaseResults
from ..evaluation.rows import Row
from ..files import write_csv, write_json
from .beats import Beat, Peak, pair_beats, summarise_beats
from .figures import draw_trace
from .rows import doppler_row

COLUMNS = ("case", "e_mean_cm_s", "a_mean_cm_s", "e_to_a", "e_waves", "a_waves", "beats_with_both", "note")
BEAT_COLUMNS = ("case", "beat", "wave", "x", "y", "velocity_cm_s", "confidence")
UNCALIBRATED = "no calibration: positions in pixels, no velocities"
EMPTY = "no wave found"


class DopplerResults(CaseResults):
    """Writes `CASE.json` and `CASE.png` of each image as soon as it is through, at last `predictions.csv`, `beats.csv`.

    Args:
        output_dir: folder to write to.
        failures: where an image goes whose results cannot be written.
        source: which weights made the result, named in every JSON file.
    """

    def __init__(self, output_dir: str | os.PathLike[str], failures: FailureLog, source: str = "") -> None:
        super().__init__(output_dir, failures, COLUMNS)
        self.source = str(source)
        self.peaks: list[Row] = []

    def _start(self, engine: Engine) -> None:
        super()._start(engine)
        self.peaks = []

    def write_case(self, item: Any, result: Any) -> Row:
        """Write JSON and picture of one image and return its row."""
        row = doppler_row(item, result)
        beats = pair_beats(
            [Peak(*peak) for peak in row["found"]["E"]],
            [Peak(*peak) for peak in row["found"]["A"]],
            row["seconds_per_px"],
        )
        is_calibrated = row["calibration"][1] == row["calibration"][1]
        note = "" if is_calibrated else UNCALIBRATED
        note = note if beats else "; ".join(filter(None, (EMPTY, note)))
        summary = summarise_beats(beats)
        content = {
            "case": row["case"], **summary, "unit": "cm/s" if is_calibrated else "px", "note": note,
            "beats": [_beat(beat) for beat in beats], "weights": self.source,
            "use": "Research use only; not a medical device.",
        }  # fmt: skip
        write_json(self.folder / f"{row['case']}.json", content)
        draw_trace(self.folder / f"{row['case']}.png", _cropped(item), beats, row, _caption(row["case"], summary, note))
        self.peaks += _peak_rows(row["case"], beats)
        return {"case": row["case"], **summary, "note": note}

    def _finish(self, engine: Engine) -> None:
        super()._finish(engine)
        write_csv(self.folder / "beats.csv", self.peaks, BEAT_COLUMNS)


def _beat(beat: Beat) -> dict[str, Any]:
    waves = {name: None if peak is None else peak._asdict() for name, peak in (("E", beat.e), ("A", beat.a))}
    return {**waves, "e_to_a": beat.e_to_a}


def _peak_rows(case: str, beats: list[Beat]) -> list[Row]:
    return [
        {
            "case": case,
            "beat": number,
            "wave": wave,
            "x": round(peak.x, 2),
            "y": round(peak.y, 2),
            "velocity_cm_s": round(peak.velocity_cm_s, 2),
            "confidence": round(peak.confidence, 3),
        }
        for number, beat in enumerate(beats, 1)
        for wave, peak in (("E", beat.e), ("A", beat.a))
        if peak
    ]


def _cropped(item: Any) -> Any:
    """Return the network's input without its padding: the trace and nothing else of the screen."""
    image = torch.as_tensor(item["image"])[0].float().cpu()
    offset_x, offset_y, scale_x, scale_y = (float(value) for value in item["placement"])
    left, top, right, bottom = (int(value) for value in item["box"])
    columns = slice(round((left - offset_x) * scale_x), round((right + 1 - offset_x) * scale_x))
    rows = slice(round((top - offset_y) * scale_y), round((bottom + 1 - offset_y) * scale_y))
    return image[rows, columns].numpy()


def _caption(case: str, summary: dict[str, Any], note: str) -> str:
    if summary["e_mean_cm_s"] is None and summary["a_mean_cm_s"] is None:
        return f"{case}: {note}"
    parts = [
        f"{wave} {summary[f'{key}_mean_cm_s']:.0f} cm/s (n = {summary[f'{key}_waves']})"
        for wave, key in (("E", "e"), ("A", "a"))
        if summary[f"{key}_mean_cm_s"] is not None
    ]
    ratio = [f"E/A {summary['e_to_a']:.2f}"] if summary["e_to_a"] is not None else []
    return f"{case}: {', '.join(parts + ratio)}"
