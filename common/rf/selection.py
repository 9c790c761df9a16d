"""Of a sequence of frames the pairs worth measuring: enough strain, not too much, and frames that match."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError
from .formats import read_rf
from .levelling import level_amplitude, measure_speckle
from .load import check_frame
from .periods import Baseband, correlation_candidates, smoothest
from .settings import RfSettings

# Mean axial strain (%) below which noise outweighs it, and above which frames no longer match.
STRAIN_PERCENT = (0.1, 5.0)
# Median over windows of the complex correlation; that of unrelated frames is about .4.
LEAST_CORRELATION = 0.75
# Frames apart of a pair at most: more are measured in vain in long sequences.
MOST_APART = 8
_COLUMNS = 24
_DEEPEST = 0.06


@dataclass(frozen=True)
class MeasuredPair:
    """What a coarse look at two frames of a sequence shows.

    Attributes:
        pre, post: numbers of the frames, from 0.
        strain_percent: mean axial strain, compression negative.
        correlation: median of the windows.
        reason: why the pair is left out; empty if it is worth measuring.
    """

    pre: int
    post: int
    strain_percent: float
    correlation: float
    reason: str = ""

    @property
    def worth(self) -> float:
        """Strain times the signal-to-noise ratio that the correlation c stands for, c^2 / (1 - c^2)."""
        power = min(self.correlation, 0.999) ** 2
        return abs(self.strain_percent) * power / (1 - power)


def selected_items(items: Sequence[dict[str, Any]], settings: RfSettings | None = None) -> list[dict[str, Any]]:
    """Return the items with what was seen of each pair, and under `reason` why it is left out.

    Adds `strain_percent`, `correlation` and `reason`, "" for a pair to measure. A sequence of two frames is one pair,
    which is measured in any case.

    Args:
        items: every pair of each sequence, as :func:`common.rf.rf_pairs` lists them.
        settings: how files are read.
    """
    sequences: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        sequences.setdefault(item["sequence"], []).append(item)
    judged = {}
    for members in sequences.values():
        if len(members) == 1:
            judged[members[0]["case"]] = {**members[0], "strain_percent": "", "correlation": "", "reason": ""}
        else:
            judged.update({item["case"]: item for item in _judged_sequence(members, settings)})
    return [judged[item["case"]] for item in items]


def _judged_sequence(items: Sequence[dict[str, Any]], settings: RfSettings | None) -> list[dict[str, Any]]:
    ends = list(dict.fromkeys((item[end], item[f"{end}_frame"]) for item in items for end in ("pre", "post")))
    frames, faults = _usable(ends, settings)
    known = list(frames)
    pairs = {(known[p.pre], known[p.post]): p for p in judge_pairs(list(measure_pairs(list(frames.values()))))}
    result = []
    for item in items:
        both = tuple((item[end], item[f"{end}_frame"]) for end in ("pre", "post"))
        fault = next((faults[end] for end in both if end in faults), f"more than {MOST_APART} frames apart")
        pair = pairs.get(both)  # type: ignore[arg-type]
        seen = (round(pair.strain_percent, 4), round(pair.correlation, 3), pair.reason) if pair else ("", "", fault)
        result.append({**item, **dict(zip(("strain_percent", "correlation", "reason"), seen, strict=True))})
    return result


def _usable(
    ends: Sequence[tuple[str, int]], settings: RfSettings | None
) -> tuple[dict[tuple[str, int], NDArray], dict[tuple[str, int], str]]:
    """Return the frames that can be measured, each file read once, and why the others cannot."""
    frames: dict[tuple[str, int], NDArray] = {}
    faults: dict[tuple[str, int], str] = {}
    for path, members in itertools.groupby(ends, lambda end: end[0]):
        group = list(members)
        try:
            held = read_rf(path, settings).frames
        except UnusableFileError as error:
            faults.update(dict.fromkeys(group, str(error)))
            continue
        for end in group:
            try:
                frames[end] = check_frame(path, held[end[1]], end[1])
            except UnusableFileError as error:
                faults[end] = str(error)
    usual = Counter(frame.shape for frame in frames.values()).most_common(1)
    for end, frame in list(frames.items()):
        if frame.shape != usual[0][0]:
            expected, found = (f"{shape[0]} x {shape[1]}" for shape in (usual[0][0], frame.shape))
            faults[end] = f"{end[0]}: expected a frame of {expected} as most, found {found}"
            del frames[end]
    return frames, faults


def measure_pairs(frames: Sequence[NDArray]) -> Iterator[MeasuredPair]:
    """Yield every pair of RF frames (H, W) of one size, at most eight apart, seen on a coarse grid.

    Each frame is prepared once; a pair takes some hundredths of a second.
    """
    if len(frames) < 2:
        return
    speckle = measure_speckle(frames[0])
    prepared = [Baseband.of(level_amplitude(frame, speckle), speckle) for frame in frames]
    every = max(1, prepared[0].signal.shape[1] // _COLUMNS)
    reach = (max(30, int(_DEEPEST * len(frames[0]))), prepared[0].skip)
    for pre, post in itertools.combinations(range(len(frames)), 2):
        if post - pre <= MOST_APART:
            yield MeasuredPair(pre, post, *_measured(prepared[pre], prepared[post], reach, every))


def judge_pairs(measured: Sequence[MeasuredPair]) -> list[MeasuredPair]:
    """Return the pairs with the reason why they are left out, or none: for each first frame the best later one is kept.

    A pair is the better the larger its :attr:`MeasuredPair.worth`, among those whose strain and correlation serve.
    """
    judged = [replace(pair, reason=_fault(pair)) for pair in measured]
    best: dict[int, MeasuredPair] = {}
    for pair in judged:
        if not pair.reason and (pair.pre not in best or pair.worth > best[pair.pre].worth):
            best[pair.pre] = pair
    return [
        pair if pair.reason or pair is best[pair.pre] else replace(pair, reason=_better(best[pair.pre]))
        for pair in judged
    ]


def _fault(pair: MeasuredPair) -> str:
    low, high = STRAIN_PERCENT
    if pair.correlation < LEAST_CORRELATION:
        return f"the frames do not match: correlation {pair.correlation:.2f}, at least {LEAST_CORRELATION} is needed"
    if abs(pair.strain_percent) < low:
        return f"too little strain: {pair.strain_percent:.3f} %, at least {low} % is needed"
    if abs(pair.strain_percent) > high:
        return f"too much strain: {pair.strain_percent:.1f} %, at most {high} % can be followed"
    return ""


def _better(best: MeasuredPair) -> str:
    return (
        f"with frame {best.post + 1} the strain is clearer: {best.strain_percent:.2f} % at a correlation of "
        f"{best.correlation:.2f}"
    )


def _measured(first: Baseband, second: Baseband, reach: tuple[int, int], every: int) -> tuple[float, float]:
    """Return mean axial strain (%) and median correlation of the windows with signal."""
    found = correlation_candidates(first, second, reach, every)
    best = smoothest(found, first.period)[None]
    axial, score = (np.take_along_axis(values, best, 0)[0] for values in (found.axial, found.score))
    alive = score > 0
    if not alive.any():
        return 0.0, 0.0
    weights = score**4
    rows = np.broadcast_to(found.rows[:, None], axial.shape)
    middle, mean = (float((weights * values).sum() / weights.sum()) for values in (rows, axial))
    spread = float((weights * (rows - middle) ** 2).sum())
    slope = float((weights * (rows - middle) * (axial - mean)).sum()) / max(spread, 1e-9)
    return 100 * slope, float(np.median(score[alive]))
