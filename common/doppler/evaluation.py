"""Evaluation of Doppler peaks: table 1 of the paper with intervals, every peak, figures."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation.intervals import Interval, bootstrap_interval
from ..evaluation.rows import Row
from ..evaluation.table import EvaluationRow
from ..files import replacing, write_csv
from .calibration import DopplerCalibration, peak_velocity_cm_s
from .envelope import envelope_peaks
from .figures import draw_bland_altman, draw_sweep
from .fit import to_image
from .rows import WAVES, PeakRow, doppler_row, image_counts, peak_rows
from .scores import bias, match_peaks, peak_tolerance, standard_deviation, wave_agreement

SWEEP = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
NAMES = {
    "precision": "precision", "recall": "recall", "f1": "F1", "bias_cm_s": "bias (cm/s)", "sd_cm_s": "SD (cm/s)",
}  # fmt: skip
BASELINE = "envelope"
CLOSE_MS = 15
Scores = dict[str, dict[str, Interval]]


def doppler_table(
    rows: Sequence[Row],
    method: str = "model",
    beat_fraction: float = 0.1,
    velocity_fraction: float = 0.1,
    resamples: int = 2000,
) -> list[EvaluationRow]:
    """Return the scores of both waves, beside a trace of the spectrum's envelope, and what else is measured of beats.

    Intervals are over images.

    Args:
        rows: from :func:`evaluated_doppler_row`.
        method: name of the arm, such as "EfficientNetB0 unfrozen".
        beat_fraction: tolerance along time, of a beat.
        velocity_fraction: tolerance along velocity, of the trace's range.
        resamples: draws of the bootstrap.
    """
    fractions = (beat_fraction, velocity_fraction)
    further = further_scores(rows, fractions, resamples)
    return [EvaluationRow(method, metric, value) for metric, value in further.items()] + [
        EvaluationRow(name, f"{wave} {NAMES[metric]}", value)
        for name, chosen in ((method, rows), (BASELINE, _of_baseline(rows)))
        for wave, scores in _scores(chosen, fractions, resamples).items()
        for metric, value in scores.items()
        if metric in NAMES
    ]


def draw_doppler(
    folder: Path,
    rows: Sequence[Row],
    method: str = "model",
    beat_fraction: float = 0.1,
    velocity_fraction: float = 0.1,
    published: Mapping[str, Mapping[str, float]] | None = None,
) -> None:
    """Write every peak (`peaks.csv`), `table1.md` in the paper's layout, the tolerance sweep, Bland-Altman figures."""
    fractions = (beat_fraction, velocity_fraction)
    peaks = [peak for row in rows for peak in peak_rows(row, 1.0, *fractions)]
    write_csv(folder / "peaks.csv", [peak._asdict() for peak in peaks], PeakRow._fields)
    arms = {method: _scores(rows, fractions), BASELINE: _scores(_of_baseline(rows), fractions)}
    write_table_1(folder / "table1.md", arms, published or {})
    sweep = _sweep(rows, fractions)
    write_csv(folder / "tolerance_sweep.csv", sweep)
    draw_sweep(folder / "tolerance_sweep.png", sweep)
    for wave in WAVES:
        draw_bland_altman(folder / f"bland_altman_{wave}.png", peaks, wave)


def write_table_1(path: Path, arms: Mapping[str, Scores], published: Mapping[str, Mapping[str, float]]) -> None:
    """Write the scores in the layout of the paper's table 1, as Markdown, the paper's own figures below each arm."""
    lines = [
        "| Model | E P/R/F1 | A P/R/F1 | E bias±SD (cm/s) | A bias±SD (cm/s) |",
        "|---|---|---|---|---|",
    ]
    for name, waves in arms.items():
        lines.append(_line(name, {f"{w} {NAMES[m]}": waves[w][m].value for w in WAVES for m in NAMES}))
        if name in published:
            lines.append(_line(f"{name} (published, other images)", published[name]))
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def evaluated_doppler_row(batch: Any, output: Any) -> Row:
    """Return :func:`doppler_row` with what the envelope of the spectrum gives under `baseline`."""
    row = doppler_row(batch, output)
    placement = batch["placement"].double().cpu()
    calibration = DopplerCalibration(*row["calibration"])
    middle = (row["box"][1] + row["box"][3]) / 2
    zero = calibration.baseline_row if math.isfinite(calibration.baseline_row) else middle
    baseline_row = float((zero + 0.5 - placement[1]) * placement[3] - 0.5)
    image = batch["image"][0].float().cpu().numpy()
    traced = envelope_peaks(image, baseline_row, max(4, image.shape[1] // 40))
    row["baseline"] = {}
    for wave in WAVES:
        points = to_image(
            batch["placement"].new_tensor(np.asarray(traced[wave])).double().cpu().reshape(-1, 2), placement
        )
        row["baseline"][wave] = [(x, y, 1.0, peak_velocity_cm_s(y, calibration)) for x, y in points.tolist()]
    return row


def further_scores(
    rows: Sequence[Row], fractions: tuple[float, float] = (0.1, 0.1), resamples: int = 1
) -> dict[str, Interval]:
    """Return the fraction of the found waves with the other's name, and how durations agree where both are known.

    A wave is found if a peak of any name lies within the tolerance of it. Of decelerations of E and durations of A:
    the fraction of the matched waves that have one, bias and SD in ms, and the fraction within 15 ms.
    """
    swapped = np.array([_swapped(row, fractions) for row in rows], float).reshape(-1, 2)
    scores = {"names swapped": bootstrap_interval(_pooled_ratio, *swapped.T, resamples=resamples)}
    matched = [[peak for peak in peak_rows(row, 1.0, *fractions) if peak.status == "matched"] for row in rows]
    for wave, name in (("E", "E deceleration"), ("A", "A duration")):
        known = [[p for p in image if p.wave == wave and math.isfinite(p.reference_duration_ms)] for image in matched]
        if not any(known):
            continue
        off = [np.array([p.duration_ms - p.reference_duration_ms for p in image], float) for image in known]
        off = [one[np.isfinite(one)] for one in off]
        count = np.array([len(one) for one in off], float)
        total, squares = (np.array([(one**power).sum() for one in off]) for power in (1, 2))
        close = np.array([(np.abs(one) <= CLOSE_MS).sum() for one in off], float)
        due = np.array([len(image) for image in known], float)
        statistics: dict[str, tuple[Callable[..., float], tuple[NDArray, ...]]] = {
            "given": (_pooled_ratio, (count, due)),
            "bias (ms)": (bias, (count, total)),
            "SD (ms)": (standard_deviation, (count, total, squares)),
            f"within {CLOSE_MS} ms": (_pooled_ratio, (close, count)),
        }
        for metric, (statistic, samples) in statistics.items():
            scores[f"{name} {metric}"] = bootstrap_interval(statistic, *samples, resamples=resamples)
    return scores


def _swapped(row: Row, fractions: tuple[float, float]) -> tuple[int, int]:
    """Return how many of the waves that were found have the other's name, and how many were found."""
    named = [[(wave, *peak[:2]) for wave in WAVES for peak in row[which][wave]] for which in ("predicted", "reference")]
    predicted, reference = (np.array([peak[1:] for peak in peaks], float).reshape(-1, 2) for peaks in named)
    of_waves = [[peak[:2] for peak in row["reference"][wave]] for wave in WAVES]
    tolerance = peak_tolerance(of_waves, tuple(row["trace_size"]), row["seconds_per_px"], *fractions)
    pairs = match_peaks(predicted, reference, tolerance)
    return sum(named[0][i][0] != named[1][j][0] for i, j in pairs), len(pairs)


def _pooled_ratio(part: NDArray, whole: NDArray) -> float:
    return float(part.sum() / whole.sum()) if whole.sum() else math.nan


def _of_baseline(rows: Sequence[Row]) -> list[Row]:
    return [{**row, "predicted": row["baseline"]} for row in rows]


def _scores(rows: Sequence[Row], fractions: tuple[float, float], resamples: int = 1, scale: float = 1.0) -> Scores:
    matched = [peak_rows(row, scale, *fractions) for row in rows]
    return {wave: wave_agreement([image_counts(image, wave) for image in matched], resamples) for wave in WAVES}


def _sweep(rows: Sequence[Row], fractions: tuple[float, float]) -> list[Row]:
    table = []
    for scale in SWEEP:
        for wave, scores in _scores(rows, fractions, scale=scale).items():
            named = {"beat_fraction": fractions[0] * scale, "velocity_fraction": fractions[1] * scale}
            table.append({"wave": wave, **named, **{metric: scores[metric].value for metric in NAMES}})
    return table


def _line(name: str, figures: Mapping[str, float]) -> str:
    fractions = ["/".join(f"{figures[f'{wave} {m}']:.2f}" for m in ("precision", "recall", "F1")) for wave in WAVES]
    pairs = [(figures[f"{wave} bias (cm/s)"], figures[f"{wave} SD (cm/s)"]) for wave in WAVES]
    agreement = [f"{bias:.2f}±{spread:.2f}" if math.isfinite(spread) else "too few" for bias, spread in pairs]
    return f"| {' | '.join([name, *fractions, *agreement])} |"
