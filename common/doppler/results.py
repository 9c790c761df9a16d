"""Results of an inference of Doppler peaks: one figure and one JSON an image, and tables of all."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from ignite.engine import Engine

from ..data.failures import FailureLog
from ..evaluation import dicom_report as dicom
from ..evaluation.case_results import CaseResults
from ..evaluation.familiarity import FamiliarityCheck
from ..evaluation.rows import Row
from ..files import write_csv
from .beats import Beat, Peak, pair_beats, summarise_beats
from .figures import draw_trace
from .rows import doppler_row

MEANS = (
    "e_mean_cm_s", "e_sd_cm_s", "a_mean_cm_s", "a_sd_cm_s", "e_to_a", "deceleration_ms", "deceleration_sd_ms",
    "a_duration_ms", "a_duration_sd_ms", "heart_rate_bpm",
)  # fmt: skip
COLUMNS = ("case", *MEANS, "e_waves", "a_waves", "beats_with_both", "remark")
BEAT_COLUMNS = ("case", "beat", "wave", "x", "y", "velocity_cm_s", "duration_ms", "confidence")
UNCALIBRATED = "no calibration: positions in pixels, no velocities"
EMPTY = "no wave found"
UNTIMED = "no time scale: no deceleration times, durations and heart rate"
WHOLE = "no strip found in the picture: all of it taken as the trace"
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
# A stenotic valve lets blood pass at 2.5 m/s; continuous wave Doppler of 3 m/s is another jet.
LEAST_CM_S, MOST_CM_S = 15.0, 250.0


class DopplerResults(CaseResults):
    """Writes `CASE.json` and `CASE.png` of each image, and `beats.csv` over all.

    Args:
        failures: where an image goes whose results cannot be written.
        weights: which weights made the result.
        familiarity: see :class:`common.evaluation.CaseResults`.
    """

    def __init__(self, failures: FailureLog, weights: Any = "", familiarity: FamiliarityCheck | None = None) -> None:
        super().__init__(failures, COLUMNS, weights, familiarity)
        self.peaks: list[Row] = []

    def _start(self, engine: Engine) -> None:
        super()._start(engine)
        self.peaks = []

    def write_case(self, case: str, parts: list[Any]) -> Row:
        """Write JSON and figure of one image and return its row."""
        ((item, result),) = parts
        row = doppler_row(item, result)
        e, a = ([Peak(*peak) for peak in row["predicted"][wave]] for wave in ("E", "A"))
        beats = pair_beats(e, a, row["seconds_per_px"])
        is_calibrated = row["calibration"][1] == row["calibration"][1]
        means = summarise_beats(beats, row["seconds_per_px"])
        is_timed = math.isfinite(row["seconds_per_px"])
        remarks = (
            "" if beats else EMPTY,
            "" if is_calibrated else UNCALIBRATED,
            "" if is_timed or not is_calibrated else UNTIMED,
            _origin(row["strip"]),
            f"from one long tick to the next {item['ticks']}, as the settings say" if item.get("ticks") else "",
        )
        remark = "; ".join(filter(None, remarks))
        summary = {**means, "remark": remark}
        self.doubt(case, [_doubt(means)])
        unit = "cm/s" if is_calibrated else "px"
        self.write_json(case, {**summary, "unit": unit, "beats": [_beat(beat) for beat in beats]})
        title = self.caption(case, _caption(case, summary, remark))
        draw_trace(self.file(case, ".png"), _cropped(item), beats, row, title)
        self.peaks += _peak_rows(case, beats)
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
            e, a = ((beat[wave] or {}).get("velocity_cm_s") for wave in "EA")
            if e is not None or a is not None:
                times = ((beat[wave] or {}).get("duration_ms") for wave in "EA")
                groups.append(dicom.Group(f"beat {number}", [*_velocities(e, a, beat["e_to_a"]), *_times(*times)]))
        return dicom.Report(ECHOCARDIOGRAPHY, MITRAL_VALVE, groups)

    def _finish(self, engine: Engine) -> None:
        super()._finish(engine)
        rows = sorted(self.peaks, key=lambda row: (row["case"], row["beat"]))
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


def _doubt(means: dict[str, Any]) -> str:
    """Return in words which mean velocity is none of mitral inflow; empty if none is."""
    named = [(wave, means[f"{wave.lower()}_mean_cm_s"]) for wave in ("E", "A")]
    strange = [f"{wave} {speed:.0f} cm/s" for wave, speed in named if speed and not LEAST_CM_S <= speed <= MOST_CM_S]
    return f"unlike mitral inflow: {', '.join(strange)}" if strange else ""


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


def _peak_rows(case: str, beats: list[Beat]) -> list[Row]:
    return [
        {
            "case": case,
            "beat": number,
            "wave": wave,
            "x": round(peak.x, 2),
            "y": round(peak.y, 2),
            "velocity_cm_s": round(peak.velocity_cm_s, 2),
            "duration_ms": round(1000 * peak.duration_s, 1),
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
    named = (("e_to_a", "E/A {:.2f}"), ("deceleration_ms", "DT {:.0f} ms"), ("heart_rate_bpm", "{:.0f} bpm"))
    parts += [text.format(summary[name]) for name, text in named if summary[name] is not None]
    return f"{case}: {', '.join(parts)}"
