"""RF frames and their acquisition from MAT, NPY, NPZ, MHD and raw files."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data.tables import number
from ..errors import UnusableFileError
from .matlab import StoredArray
from .readers import stored_arrays
from .settings import RANGES, RfSettings

# Names under which laboratories number frames, and store RF; tried in this order.
_NUMBERED = ("Im", "im")
KNOWN_VARIABLES = ("RfDataFilt", "RfDataDouble", "BfData", "rf_data_set", "rf", "RF", "img", "RcvData")
# A millimetre of tissue at 40 MHz, and a beam beside others; recordings have thousands of samples and a hundred lines.
LEAST_SAMPLES, LEAST_LINES = 64, 8
_ANSWERS = ("axial_mm", "lateral_mm", "axial_strain", "inclusion")
# Number that a file may carry: the setting that outranks it, and how many of the setting's unit it counts.
_ACQUISITION = {
    "fs_hz": ("sampling_mhz", 1e-6),
    "sound_speed_m_s": ("sound_speed_m_s", 1.0),
    "pitch_m": ("pitch_mm", 1e3),
    "frame_interval_s": ("frame_interval_ms", 1e3),
}
# Beyond it, squares and their sums leave the range of float32.
_LARGEST_VALUE = 1e15
_NAMED = 30


@dataclass(frozen=True)
class RfRecord:
    """Frames of one file and what is known of them.

    Attributes:
        frames: (T, H, W) float32, axial first.
        sample_mm, pitch_mm: distance of samples and of lines; None if neither file nor settings say it.
        frame_interval_s: time between frames, or None.
        answers: exact displacement and strain of simulated pairs, by name.
    """

    frames: NDArray
    sample_mm: float | None = None
    pitch_mm: float | None = None
    frame_interval_s: float | None = None
    answers: Mapping[str, NDArray] = field(default_factory=dict)


def read_rf(path: str | Path, settings: RfSettings | None = None) -> RfRecord:
    """Return the RF frames of a `.mat` (5 and 7.3), `.npy`, `.npz`, `.mhd`/`.mha` or `.raw` file.

    Raises:
        FileNotFoundError: if there is no such file.
        UnusableFileError: if it is of another kind, damaged, claims more than memory holds, or holds no RF frame (the
            error lists what it holds); if a value is no number, too large, or a quantity outside of its range.
    """
    path, chosen = Path(path), settings or RfSettings()
    arrays = stored_arrays(path, chosen)
    names = _variables(path, arrays, chosen)
    parts = [_frames_first(path, _values(path, name, arrays[name]), chosen) for name in names]
    frames = _axial_first(path, np.concatenate(parts), chosen.axial_first)
    answers = {name: np.asarray(arrays[name].read(), dtype=float) for name in _ANSWERS if name in arrays}
    return RfRecord(frames.astype(np.float32), *_acquisition(path, arrays, chosen), answers)


def frame_shape(path: str | Path, settings: RfSettings | None = None) -> tuple[int, int, int]:
    """Return the number of frames in a file and their two sides, from headers as far as the format has them.

    Raises:
        FileNotFoundError, UnusableFileError: as :func:`read_rf`, but for what only the values show.
    """
    path, chosen = Path(path), settings or RfSettings()
    arrays = stored_arrays(path, chosen)
    shapes = [arrays[name].shape for name in _variables(path, arrays, chosen)]
    along = -1 if _frames_last(path, shapes[0], chosen) else 0
    count = sum(shape[along] if len(shape) == 3 else 1 for shape in shapes)
    sides = shapes[0] if len(shapes[0]) == 2 else (shapes[0][:2] if along else shapes[0][1:])
    return count, int(sides[0]), int(sides[1])


def _variables(path: Path, arrays: Mapping[str, StoredArray], settings: RfSettings) -> tuple[str, ...]:
    """Return the arrays to read: the wanted or known ones, numbered frames or the only candidate; all of one shape."""
    names = _chosen(path, arrays, settings)
    shapes = sorted({tuple(arrays[name].shape) for name in names})
    if len(shapes) != 1:
        raise UnusableFileError(f"{path}: expected frames of one size, found {shapes} in {', '.join(names)}")
    return names


def _chosen(path: Path, arrays: Mapping[str, StoredArray], settings: RfSettings) -> tuple[str, ...]:
    held = _held(arrays)
    if settings.names:
        found = _by_name(arrays, settings.names)
        if found is None:
            raise UnusableFileError(
                f"{path}: expected the variable {','.join(settings.names)}, the file holds {held}; set --rf_variable"
            )
        for name in found:
            if not arrays[name].is_frame:
                raise UnusableFileError(
                    f"{path}: expected {name} to be a numeric array of 2 or 3 axes, found {arrays[name]}"
                )
        return found
    candidates = [name for name, array in arrays.items() if array.is_frame and name not in _ANSWERS]
    numbered = _numbered(candidates, arrays)
    for stem in _NUMBERED:
        structures = [names for before, names in numbered.items() if before.split(".")[-1] == stem]
        if len(structures) > 1:
            raise _several(path, candidates)
        if structures and len(structures[0]) > 1:
            return structures[0]
    for name in KNOWN_VARIABLES:
        found = _by_name(arrays, [name])
        if found and arrays[found[0]].is_frame:
            return found
    if len(candidates) == 1:
        return (_no_half(path, candidates[0], arrays),)
    if len(numbered) == 1 and len(next(iter(numbered.values()))) == len(candidates) > 1:
        return next(iter(numbered.values()))
    if candidates:
        raise _several(path, candidates)
    raise UnusableFileError(f"{path}: expected a numeric array of 2 or 3 axes, the file holds {held}")


def _several(path: Path, candidates: Sequence[str]) -> UnusableFileError:
    return UnusableFileError(
        f"{path}: several arrays could be the RF ({_listed(candidates)}); name one, as in --rf_variable "
        f"{candidates[0]}, or two that are a frame each, the first one first, as in --rf_variable "
        f"{candidates[0]},{candidates[1]}"
    )


def _numbered(names: Sequence[str], arrays: Mapping[str, StoredArray]) -> dict[str, tuple[str, ...]]:
    """Return the frames whose names end in a number, in its order, by what comes before it; structures stay apart."""
    parts = [(name, re.fullmatch(r"(.*?)(\d+)", name)) for name in names if len(arrays[name].shape) == 2]
    found: dict[str, list[tuple[int, str]]] = {}
    for name, match in parts:
        if match:
            found.setdefault(match[1], []).append((int(match[2]), name))
    return {stem: tuple(name for _, name in sorted(frames)) for stem, frames in found.items()}


def _no_half(path: Path, name: str, arrays: Mapping[str, StoredArray]) -> str:
    """Return the name of the only candidate, unless it is half a pair: a MAT 5 file does not say its length."""
    stem = next((stem for stem in _NUMBERED if re.fullmatch(stem + r"\d+", name.split(".")[-1])), None)
    if stem and len(arrays[name].shape) == 2:
        raise UnusableFileError(
            f"{path}: expected two frames, found {name} alone, as in a file that was cut off; copy it again, or set "
            f'--rf_variable {name} if each file holds one frame ("{stem}?" if they are {name} in one, another in the '
            "next)"
        )
    return name


def _by_name(arrays: Mapping[str, StoredArray], names: Sequence[str]) -> tuple[str, ...] | None:
    """Return the arrays of these names, or the only ones whose last part inside structures is that name or pattern."""
    found = []
    for name in names:
        inner = [key for key in arrays if key == name] or [key for key in arrays if key.split(".")[-1] == name]
        inner = inner or [key for key in arrays if fnmatchcase(key.split(".")[-1], name)]
        if len(inner) != 1:
            return None
        found += inner
    return tuple(found)


def _held(arrays: Mapping[str, StoredArray]) -> str:
    return _listed([f"{name} {array}" for name, array in arrays.items()]) or "nothing"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _values(path: Path, name: str, stored: StoredArray) -> NDArray:
    array = stored.read()
    if array.dtype.kind == "c":  # the header of MAT 5 that scipy lists does not tell
        raise UnusableFileError(
            f"{path}: {name} is complex (IQ): its carrier is taken out, and the phase that the method tracks with it; "
            "give RF, or modulate it back with the centre frequency"
        )
    wrong = int(array.size - np.isfinite(array).sum())
    if wrong:
        raise UnusableFileError(f"{path}: {name} holds {wrong} values that are NaN or infinite; export it again")
    largest = float(np.abs(array).max())
    if largest > _LARGEST_VALUE or 0 < largest < 1 / _LARGEST_VALUE:
        raise UnusableFileError(
            f"{path}: expected {name} to reach an amplitude from {1 / _LARGEST_VALUE:g} to {_LARGEST_VALUE:g}, found "
            f"{largest:g}; is it RF, and of this type?"
        )
    return array


def _frames_last(path: Path, shape: Sequence[int], settings: RfSettings) -> bool:
    """Return whether the last of three axes counts frames: as set, or as usual unless that leaves no frame."""
    if settings.frames_last is not None:
        return settings.frames_last
    usual = path.suffix.lower() == ".mat"
    usable = {last: _holds_frame(shape[:2] if last else shape[1:]) for last in (True, False)}
    return usual if len(shape) != 3 or usable[usual] or not usable[not usual] else not usual


def _holds_frame(sides: Sequence[int]) -> bool:
    return min(sides) >= LEAST_LINES and max(sides) >= LEAST_SAMPLES


def _frames_first(path: Path, array: NDArray, settings: RfSettings) -> NDArray:
    if array.ndim == 2:
        return array[None]
    return np.moveaxis(array, -1, 0) if _frames_last(path, array.shape, settings) else array


def _axial_first(path: Path, frames: NDArray, axial_first: bool | None) -> NDArray:
    samples, lines = frames.shape[1:]
    if axial_first is None and samples < lines:
        raise UnusableFileError(
            f"{path}: expected samples x lines with more samples than lines, found {samples} x {lines}; set "
            "--axial_first to false if lines come first, to true if they do not"
        )
    return frames.swapaxes(1, 2) if axial_first is False else frames


def _acquisition(
    path: Path, arrays: Mapping[str, StoredArray], settings: RfSettings
) -> tuple[float | None, float | None, float | None]:
    """Return sample distance (mm), pitch (mm) and frame interval (s); None where nothing says it."""
    known = {
        setting: getattr(settings, setting) or _quantity(path, arrays, name, setting, factor)
        for name, (setting, factor) in _ACQUISITION.items()
    }
    speed, sampling, interval = (known[name] for name in ("sound_speed_m_s", "sampling_mhz", "frame_interval_ms"))
    sample_mm = speed / (2e3 * sampling) if speed and sampling else _quantity(path, arrays, "sample_mm", "sample_mm", 1)
    pitch_mm = known["pitch_mm"] or _quantity(path, arrays, "pitch_mm", "pitch_mm", 1)
    return sample_mm, pitch_mm, interval / 1e3 if interval else None


def _quantity(path: Path, arrays: Mapping[str, StoredArray], name: str, setting: str, factor: float) -> float | None:
    """Return a number that the file carries, in the unit of its setting; None if it does not."""
    found = _by_name(arrays, (name,))
    if found is None:
        return None
    value = np.asarray(arrays[found[0]].read())
    low, high = (bound / factor for bound in RANGES[setting])
    if value.size != 1:
        raise UnusableFileError(f"{path}: expected {name} as one number, found {arrays[found[0]]}")
    try:
        return number(value.ravel()[0], name, low, high) * factor
    except UnusableFileError as error:
        remedy = "--sampling_mhz and --sound_speed_m_s" if setting == "sample_mm" else f"--{setting}"
        raise UnusableFileError(f"{path}: {error}; correct it, or set {remedy}") from error
