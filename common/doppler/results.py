"""Results of an inference of Doppler peaks: one figure and one JSON an image, and tables of all."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Engine

from ..data.failures import FailureLog
from ..evaluation import dicom_report as dicom
from ..evaluation.case_results import CaseResults
from ..evaluation.familiarity import FamiliarityCheck
from ..evaluation.rows import Row
from ..files import write_csv
from .beats import SURE, Beat, Peak, pair_beats, summarise_beats, sure_beats
from .figures import draw_trace
from .plausibility import reading_doubts, unlike_inflow
from .rows import doppler_row

MEANS = (
    "e_mean_cm_s", "e_sd_cm_s", "a_mean_cm_s", "a_sd_cm_s", "e_to_a", "deceleration_ms", "deceleration_sd_ms",
    "a_duration_ms", "a_duration_sd_ms", "heart_rate_bpm",
)  # fmt: skip
COLUMNS = ("case", *MEANS, "e_waves", "a_waves", "beats_with_both", "doubtful_waves", "remark")
BEAT_COLUMNS = ("case", "beat", "wave", "x", "y", "velocity_cm_s", "duration_ms", "confidence")
UNCALIBRATED = "no calibration (labels.csv, or --tick_cm_s and --tick_s): positions in pixels, no velocities and times"
EMPTY = "no wave found"
EMPTY_FRAME = "no wave found in this frame; --frame takes another of the file's frames"
UNTIMED = "no time scale: no deceleration times, durations and heart rate"
WHOLE = "no strip found in the picture, all of it is taken as the trace: right if it shows nothing else"
NO_TICKS = (math.nan, math.nan)
ECHOCARDIOGRAPHY: dicom.Code = ("40701008", "SCT", "Echocardiography")
MITRAL_VALVE: dicom.Code = ("91134007", "SCT", "Mitral Valve")
E_VELOCITY: dicom.Code = ("18037-2", "LN", "Mitral Valve E-Wave Peak Velocity")
A_VELOCITY: dicom.Code = ("17978-8", "LN", "Mitral Valve A-Wave Peak Velocity")
E_TO_A: dicom.Code = ("18038-0", "LN", "Mitral Valve E to A Ratio")
DECELERATION: dicom.Code = ("399354002", "SCT", "Mitral Valve E-Wave Deceleration Time")
A_DURATION: dicom.Code = ("399229004", "SCT", "Mitral Valve A-Wave Duration")
HEART_RATE: dicom.Code = ("8867-4", "LN", "Heart rate")
MILLISECONDS: dicom.Code = ("ms", "UCUM", "millisecond")
PER_MINUTE: dicom.Code = ("{H.B.}/min", "UCUM", "heart beats per minute")
E_WAVES, A_WAVES = (dicom.own_code(f"{wave.lower()}_waves", f"Number of {wave} waves") for wave in "EA")


class DopplerResults(CaseResults):
    """Writes `CASE.json` and `CASE.png` of each image, and `beats.csv` over all.

    Args:
        failures: where an image goes whose results cannot be written.
        weights: which weights made the result.
        familiarity: see :class:`common.evaluation.CaseResults`.
    """

    def __init__(self, failures: FailureLog, weights: Any = "", familiarity: FamiliarityCheck | None = None) -> None:
        super().__init__(failures, COLUMNS, weights, familiarity)

    def write_case(self, case: str, parts: list[Any]) -> Row:
        """Write JSON and figure of one image and return its row."""
        ((item, result),) = parts
        row = {**doppler_row(item, result), "ticks": tuple(map(float, item.get("ticks", NO_TICKS)))}
        e, a = ([Peak(*peak) for peak in row["predicted"][wave]] for wave in ("E", "A"))
        beats = pair_beats(e, a, row["seconds_per_px"])
        is_calibrated = row["calibration"][1] == row["calibration"][1]
        means = summarise_beats(beats, row["seconds_per_px"])
        is_timed = math.isfinite(row["seconds_per_px"])
        origin = _origin(row["strip"])
        # A picture whose scale was given is one of the trace alone.
        is_doubtful = origin == WHOLE and bool(beats) and not is_calibrated
        remarks = (
            "" if beats else EMPTY_FRAME if item.get("is_one_of_many") else EMPTY,
            "" if is_calibrated else UNCALIBRATED,
            "" if is_timed or not is_calibrated else UNTIMED,
            _left_out(means["doubtful_waves"]),
            "" if is_doubtful else origin,
            _ticks(row["ticks"], row["calibration"]),
        )
        remark = "; ".join(filter(None, remarks))
        summary = {**means, "remark": remark}
        sure = sure_beats(beats)
        doubts = [origin if is_doubtful else "", unlike_inflow(means, sure, row["rise_over_fall"])]
        self.doubt(case, [*doubts, *reading_doubts(means, sure, row)])
        unit = "cm/s" if is_calibrated else "px"
        found = {"beats": [_beat(beat) for beat in beats], "r_peaks": row["r_peaks"]}
        self.write_json(case, {**summary, "unit": unit, **found})
        title = self.caption(case, _caption(case, summary, remark))
        draw_trace(self.file(case, ".png"), _cropped(item), beats, row, title)
        return summary

    def report(self, content: Mapping[str, Any]) -> dicom.Report:
        """Return the means of E, A and E/A with the number of waves, and the same of each beat."""
        means = [
            *_velocities(content["e_mean_cm_s"], content["a_mean_cm_s"], content["e_to_a"], dicom.MEAN),
            *_times(content["deceleration_ms"], content["a_duration_ms"], dicom.MEAN),
            dicom.Quantity(HEART_RATE, content["heart_rate_bpm"], PER_MINUTE, dicom.MEAN),
            dicom.Quantity(E_WAVES, content["e_waves"], dicom.NO_UNIT),
            dicom.Quantity(A_WAVES, content["a_waves"], dicom.NO_UNIT),
        ]
        groups = [dicom.Group("mean", means, [content["remark"]] if content["remark"] else [])]
        for number, beat in enumerate(content["beats"], 1):
            sure = [wave if wave and wave["confidence"] >= SURE else {} for wave in (beat["E"], beat["A"])]
            e, a = (wave.get("velocity_cm_s") for wave in sure)
            if e is not None or a is not None:
                times = (wave.get("duration_ms") for wave in sure)
                groups.append(
                    dicom.Group(f"beat {number}", [*_velocities(e, a, e / a if e and a else None), *_times(*times)])
                )
        return dicom.Report(ECHOCARDIOGRAPHY, MITRAL_VALVE, groups)

    def _finish(self, engine: Engine) -> None:
        super()._finish(engine)
        if not self.failures.rank:  # from the JSON files: other processes and an earlier run wrote some of them
            rows = [row for case in sorted(self.rows) for row in _peak_rows(self.read_json(case))]
            write_csv(self.output.file("beats.csv"), rows, BEAT_COLUMNS)


def _velocities(
    e: float | None, a: float | None, ratio: float | None, derivation: dicom.Code | None = None
) -> list[dicom.Quantity]:
    return [
        dicom.Quantity(E_VELOCITY, e, dicom.CM_PER_S, derivation),
        dicom.Quantity(A_VELOCITY, a, dicom.CM_PER_S, derivation),
        dicom.Quantity(E_TO_A, ratio, dicom.NO_UNIT, derivation),
    ]


def _times(
    deceleration_ms: float | None, duration_ms: float | None, derivation: dicom.Code | None = None
) -> list[dicom.Quantity]:
    return [
        dicom.Quantity(DECELERATION, deceleration_ms, MILLISECONDS, derivation),
        dicom.Quantity(A_DURATION, duration_ms, MILLISECONDS, derivation),
    ]


def _left_out(waves: int) -> str:
    return f"waves in no mean, confidence below {SURE:g}: {waves}" if waves else ""


def _ticks(ticks: tuple[float, float], calibration: Sequence[float]) -> str:
    cm_s, seconds = ticks
    if not math.isfinite(cm_s):
        return ""
    rows, columns = (value / per_px for value, per_px in zip((cm_s, seconds), calibration[1:], strict=True))
    time = f" and {columns:.0f} columns are {seconds:g} s" if math.isfinite(columns) else ""
    return f"from one long tick to the next {rows:.0f} rows are {cm_s:g} cm/s{time}, as the settings say"


def _origin(strip: float) -> str:
    """Return in words where the trace stands, if the file or the user did not say."""
    if strip == 1:
        return ""
    return f"strip found in the picture (confidence {strip:.2f})" if strip else WHOLE


def _beat(beat: Beat) -> dict[str, Any]:
    waves = {name: None if peak is None else _peak(peak) for name, peak in (("E", beat.e), ("A", beat.a))}
    return {**waves, "e_to_a": beat.e_to_a}


def _peak(peak: Peak) -> dict[str, Any]:
    values = peak._asdict()
    duration_ms = 1000 * values.pop("duration_s")
    return {**values, "duration_ms": duration_ms if math.isfinite(duration_ms) else None}


def _peak_rows(content: Mapping[str, Any]) -> list[Row]:
    """Return one row a peak of the case with this JSON."""
    digits = {"x": 2, "y": 2, "velocity_cm_s": 2, "duration_ms": 1, "confidence": 3}
    return [
        {
            "case": content["case"],
            "beat": number,
            "wave": wave,
            **{name: None if peak[name] is None else round(peak[name], places) for name, places in digits.items()},
        }
        for number, beat in enumerate(content["beats"], 1)
        for wave in "EA"
        if (peak := beat[wave])
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
    named = (("e_to_a", "E/A {:.2f}"), ("deceleration_ms", "DT {:.0f} ms"), ("heart_rate_bpm", "{:.0f} bpm"))
    parts += [text.format(summary[name]) for name, text in named if summary[name] is not None]
    return f"{case}: {', '.join(parts)}"
