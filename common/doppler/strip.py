"""The spectral strip found in the picture of a whole screen: rectangle, baseline and ticks, and how sure that is."""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .calibration import SMALLEST_TRACE_PX, Box, DopplerCalibration

# A tick or a line is brighter by this than the pixels beside it, two away.
LEAST_CONTRAST = 0.12
# A baseline is of one brightness within this, unlike the rows beside it, over at least this part of the picture.
EVENNESS, LEAST_LENGTH = 0.06, 0.28
LONGEST_GAP_PX = 16
# A caliper's cross may stand on it: a wider gap, between two long parts.
CROSS_PX = 48
TICK_PX = (3, 14)
# The tick of velocity 0 grows out of the baseline and is no mark of its own.
LEAST_PITCH_PX, LEAST_TICKS, LEAST_TIME_TICKS, ENOUGH_TICKS = 5, 3, 4, 6
BLACK = 0.06
MOST_STRIPS = 2  # more are not told from two
SURE, SURE_OF_TIME = 0.65, 0.85
# Marks between the ticks of a time scale, as of the spectrum, are no objection where of so many ticks every fourth to
# tenth is longer; noise and smoothing make every second one longer too.
ENOUGH_LONG, LEAST_EVERY, LEAST_AMONG_MARKS = 8, 3.5, 0.5


class Comb(NamedTuple):
    """Marks at regular distances.

    Attributes:
        start, pitch_px: position of mark 0, and pixels from one mark to the next.
        numbers, sizes: number and size of each mark that was found.
        found: fraction of the marks due that were found, less those that stand between.
    """

    start: float
    pitch_px: float
    numbers: NDArray[np.int64]
    sizes: NDArray
    found: float

    def confidence(self, zero: int) -> float:
        """Return how sure the comb is, mark `zero` counted as found; few marks may be in step by chance."""
        with_zero = [*self.numbers.tolist(), zero]
        due = len(self.numbers) / self.found + np.ptp(with_zero) - np.ptp(self.numbers)
        return len(set(with_zero)) / float(due) * min(1.0, len(set(with_zero)) / ENOUGH_TICKS)

    def has_long_marks(self) -> bool:
        """Return whether every fourth to tenth of at least eight marks is longer, three or more: that is no chance."""
        every = self.long_pitch_px() / self.pitch_px
        return bool(len(self.numbers) >= ENOUGH_LONG and LEAST_EVERY < every <= np.ptp(self.numbers) / 2)

    def is_sure_of_time(self) -> bool:
        """Return whether these are the ticks of a time scale: few of those due are missing.

        Few marks may stand between them; more, as in the spectrum, if there are long ones.
        """
        complete = len(set(self.numbers.tolist())) / (np.ptp(self.numbers) + 1)
        least = LEAST_AMONG_MARKS if self.has_long_marks() else SURE_OF_TIME
        return bool(complete >= SURE_OF_TIME and self.found >= least)

    def long_pitch_px(self, zero: int | None = None) -> float:
        """Return the pixels from one mark of the longest kind to the next; NaN where all are of one size.

        Args:
            zero: a mark that is a long one, where that is known.
        """
        for every in (2, 3, 4, 5, 10):
            for offset in range(every) if zero is None else (zero,):
                is_long = (self.numbers - offset) % every == 0
                if is_long.sum() < 2 or is_long.all():
                    continue
                longer, shorter = self.sizes[is_long], self.sizes[~is_long]
                if np.median(longer) > 1.25 * np.median(shorter) and np.mean(longer > np.median(shorter)) > 0.8:
                    numbers = (self.numbers[is_long] - offset) // every
                    kind = self._replace(pitch_px=every * self.pitch_px, numbers=numbers, sizes=longer)
                    longest_px = kind.long_pitch_px(None if zero is None else 0)
                    return kind.pitch_px if math.isnan(longest_px) else longest_px
        return math.nan


class Strip(NamedTuple):
    """A spectral strip found in a picture.

    Attributes:
        box: min_x, min_y, max_x, max_y, all inside.
        baseline_row: row of velocity 0.
        px_per_tick: rows from one long tick of the velocity scale to the next; from any, if all are of one size.
        px_per_time_tick: columns from one long tick of the time scale to the next; NaN where no long ones were found.
        confidence: in [0, 1]; below `SURE` nobody should rely on it.
    """

    box: Box
    baseline_row: float
    px_per_tick: float
    px_per_time_tick: float
    confidence: float

    def calibration(self, tick_cm_s: float, tick_s: float) -> DopplerCalibration:
        """Return what a pixel measures where the long ticks are `tick_cm_s` and `tick_s` apart."""
        return DopplerCalibration(self.baseline_row, tick_cm_s / self.px_per_tick, tick_s / self.px_per_time_tick)


def find_strips(pixels: NDArray) -> list[Strip]:
    """Return the strips in a picture that are sure; a second one, above, below or beside the first, is looked for.

    Args:
        pixels: (H, W) brightness in [0, 1].
    """
    strips: list[Strip] = []
    rest = pixels.copy()
    while len(strips) < MOST_STRIPS:
        strip = find_strip(rest)
        if strip is None or strip.confidence < SURE:
            break
        strips.append(strip)
        left, top, right, bottom = strip.box
        rest[max(top - 2, 0) : bottom + 3, max(left - TICK_PX[1], 0) : right + TICK_PX[1] + 1] = 0
    return strips


def find_strip(pixels: NDArray) -> Strip | None:
    """Return the strip in the picture of a screen, or None where nothing looks like one.

    The velocity scale is a comb of ticks, one of which continues into a long line of one brightness, the baseline; the
    strip is as wide as that line, and as high as the scale, or down to a comb of time ticks. Numbers are not read.

    Args:
        pixels: (H, W) brightness in [0, 1].
    """
    sides = [list(_candidates(pixels, mirrored=False)), list(_candidates(pixels[:, ::-1], mirrored=True))]
    best = max(itertools.chain(*sides), key=lambda strip: strip.confidence, default=None)
    if best is None:
        return None
    # Minus signs of the numbers beside the ticks are in step too: of scales of one baseline the inner one is taken.
    right, left = (
        [one for one in found if one.confidence >= SURE and abs(one.baseline_row - best.baseline_row) <= 3]
        for found in sides
    )
    inner = [min(right, key=lambda strip: strip.box[2])] if right else []
    inner += [max(left, key=lambda strip: strip.box[0])] if left else []
    return max(inner, key=lambda strip: strip.confidence, default=best)


def _candidates(pixels: NDArray, mirrored: bool) -> Iterator[Strip]:
    """Yield the strips whose velocity scale is at their right."""
    width = pixels.shape[1]
    for column, comb in _scales(pixels):
        baseline = _baseline(pixels, column, comb)
        if baseline is None:
            continue
        number, row, left, evenness = baseline
        long_px = comb.long_pitch_px(number)
        pitch = comb.pitch_px if math.isnan(long_px) else long_px
        inside = pixels[:, left:column]
        marks = comb.start + comb.pitch_px * np.array([comb.numbers.min(), comb.numbers.max()])
        top, lowest = round(min(float(marks[0]), row)), round(max(float(marks[1]), row))
        time_row, time = _time_ticks(inside, lowest - 2, lowest + pitch)
        bottom = time_row if time else _edge(inside, lowest, 1, pitch)
        top = _edge(inside, top, -1, pitch)
        if bottom - top < SMALLEST_TRACE_PX or not top < row < bottom:
            continue
        time_px = time.long_pitch_px() if time else math.nan
        ends = (width - column, width - 1 - left) if mirrored else (left, column - 1)
        yield Strip((ends[0], top, ends[1], bottom), row, pitch, time_px, comb.confidence(number) * evenness)


def _scales(pixels: NDArray) -> list[tuple[int, Comb]]:
    """Return the combs of ticks that begin at a column and run to the right, the most complete ones first."""
    marks = _standing_out(pixels)
    lengths = np.zeros(marks.shape, np.int16)
    for column in reversed(range(marks.shape[1])):
        following = lengths[:, column + 1] if column + 1 < marks.shape[1] else 0
        lengths[:, column] = np.where(marks[:, column], following + 1, 0)
    begins = np.where(np.pad(marks, ((0, 0), (1, 0)))[:, :-1], 0, lengths)
    is_tick = (begins >= TICK_PX[0]) & (begins <= TICK_PX[1])
    combs = []
    for column in np.flatnonzero(is_tick.sum(0) >= LEAST_TICKS).tolist():
        # Compression and smoothing let some ticks begin a pixel later.
        near = np.where(is_tick, begins, 0)[:, column : column + 2].max(1)
        comb = _comb(near)
        if comb:
            combs.append((column, comb))
    return sorted(combs, key=lambda one: -one[1].found * np.ptp(one[1].numbers) * one[1].pitch_px)[:16]


def _baseline(pixels: NDArray, column: int, comb: Comb) -> tuple[int, float, int, float] | None:
    """Return the tick at which the baseline ends, the row of that, where it begins, and how sure it is a line."""
    if column < LEAST_LENGTH * pixels.shape[1]:
        return None
    best: tuple[int, float, int, float] | None = None
    for number in range(int(comb.numbers.min()) - 3, int(comb.numbers.max()) + 4):
        zero = comb.start + number * comb.pitch_px
        for offset in (0, -1, 1):  # ticks and lines may be rounded to rows differently
            line = _line(pixels, column, round(zero) + offset)
            if line and (best is None or line[1] > best[3] + (0.3 if offset else 0.0)):
                best = number, zero + offset, *line
    return best


def _line(pixels: NDArray, column: int, row: int) -> tuple[int, float] | None:
    """Return where the even part of a row that ends at `column` begins, and how sure it is a line of its own."""
    from scipy import ndimage

    if not 4 <= row < len(pixels) - 4:
        return None
    level = np.median(pixels[row, column // 2 : column])
    is_even = (np.abs(pixels[row] - level) < EVENNESS) & (level > BLACK)
    # The line ends at the ticks; where it goes on, the comb stands inside the strip.
    beyond = is_even[column + TICK_PX[1] + 4 : column + TICK_PX[1] + 44]
    if len(beyond) and beyond.mean() > 0.5:
        return None
    closed = ndimage.binary_closing(np.pad(is_even[:column], LONGEST_GAP_PX), np.ones(LONGEST_GAP_PX))
    run = ndimage.label(closed[LONGEST_GAP_PX:-LONGEST_GAP_PX])[0]
    at_edge = run[max(column - LONGEST_GAP_PX, 0) :].max(initial=0)
    left = int(np.argmax(run == at_edge)) if at_edge else column
    for (part,) in reversed(ndimage.find_objects(run)[: max(at_edge - 1, 0)]):
        if left - part.stop > CROSS_PX or part.stop - part.start < 2 * CROSS_PX:
            break
        left = part.start
    if column - left < LEAST_LENGTH * pixels.shape[1]:
        return None
    beside = np.abs(pixels[[row - 4, row + 4], left:column] - level) > EVENNESS
    return left, float(is_even[left:column].mean()) * min(2 * float(beside.mean(1).min()), 1.0)


def _time_ticks(inside: NDArray, first: int, last: float) -> tuple[int, Comb | None]:
    """Return the row from `first` to `last` on which vertical ticks form the best comb, the lowest of equals.

    One with short and long ticks is better than one of long ones alone, as rows above the foot of the ticks have.
    """
    start = max(first - TICK_PX[1], 0)
    standing = _standing_out(inside[start : int(last) + 1].T).T
    best: tuple[int, Comb | None] = (0, None)
    most = (False, 0.0)
    for row in range(first - start, len(standing)):
        above = np.logical_and.accumulate(standing[max(row - TICK_PX[1], 0) : row + 1][::-1], axis=0).sum(0)
        is_tick = above >= TICK_PX[0]
        if LEAST_TIME_TICKS <= is_tick.sum() < 0.2 * len(is_tick):
            comb = _comb(np.where(is_tick, above, 0))
            is_wide = comb and np.ptp(comb.numbers) * comb.pitch_px > len(is_tick) / 2
            if comb and is_wide and comb.is_sure_of_time():
                worth = comb.has_long_marks(), comb.found
                best, most = ((start + row, comb), worth) if worth >= most else (best, most)
    return best


def _standing_out(pixels: NDArray) -> NDArray[np.bool_]:
    """Return which pixels are brighter than both two rows above and two rows below: thin horizontal marks."""
    padded = np.pad(pixels, ((2, 2), (0, 0)))
    return pixels - np.maximum(padded[:-4], padded[4:]) > LEAST_CONTRAST


def _comb(sizes: NDArray) -> Comb | None:
    """Return the regular marks among (N,) sizes of marks at each position, 0 where there is none."""
    from scipy import ndimage

    labels, count = ndimage.label(sizes > 0)
    if count < LEAST_TICKS:
        return None
    numbers = np.arange(1, count + 1)
    at = np.array(ndimage.center_of_mass(sizes, labels, numbers))[:, 0]
    size = np.asarray(ndimage.maximum(sizes, labels, numbers), float)
    gaps = np.diff(at)
    rounded, often = np.unique(np.rint(gaps), return_counts=True)
    usual = rounded[np.argsort(-often, kind="stable")[:3]]
    # Marks 12.5 pixels apart are 12 and 13 apart in a picture, and 12 or 13 alone leads astray.
    pitches = {float(np.median(gaps)), *usual.tolist(), *(float(gaps[abs(gaps - one) < 1.5].mean()) for one in usual)}
    combs = [comb for comb in (_fitted(at, size, pitch) for pitch in pitches) if comb]
    return max(combs, key=lambda comb: len(comb.numbers) * comb.found, default=None)


def _fitted(at: NDArray, size: NDArray, pitch: float) -> Comb | None:
    """Return the comb of about this pitch that most of the marks at `at` belong to."""
    if pitch < LEAST_PITCH_PX:
        return None
    apart = (at[:, None] - at) / pitch
    start = float(at[np.argmax((np.abs(apart - np.rint(apart)) * pitch <= 1.5).sum(1))])
    for tolerance_px in (1.5, 1.5, 1.0, 1.0):
        index = np.rint((at - start) / pitch).astype(np.int64)
        near = np.abs(at - start - index * pitch) <= tolerance_px
        if near.sum() < LEAST_TICKS or np.ptp(index[near]) < LEAST_TICKS - 1:
            return None
        pitch, start = (float(value) for value in np.polyfit(index[near], at[near], 1))
        if pitch < LEAST_PITCH_PX:
            return None
    near = _longest_run(index, near)
    if near.sum() < LEAST_TICKS:
        return None
    stray = np.count_nonzero(~near & (at > at[near].min()) & (at < at[near].max()))
    found = len(set(index[near].tolist())) / (np.ptp(index[near]) + 1 + stray)
    return Comb(start, pitch, index[near], size[near], float(found))


def _longest_run(index: NDArray, near: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which marks belong to the longest part of the comb without four gaps in a row."""
    which = np.flatnonzero(near)
    part = np.cumsum(np.diff(index[which], prepend=index[which][0]) > 4)
    longest = np.zeros_like(near)
    longest[which[part == np.bincount(part).argmax()]] = True
    return longest


def _edge(inside: NDArray, row: int, step: int, most: float) -> int:
    """Return the row, at most `most` further than the last tick, where the strip ends in three black rows."""
    bright = (inside > BLACK).mean(1) > 0.01
    last = row = min(max(row, 0), len(inside) - 1)
    for at in range(row, int(min(max(row + step * most, 0), len(inside) - 1)) + step, step):
        if bright[at]:
            last = at
        elif abs(at - last) > 3:
            break
    return last
