"""RF frames and their acquisition from MAT, NPY, NPZ, MHD and raw files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data.tables import number
from ..errors import UnusableFileError
from .matlab import StoredArray
from .readers import stored_arrays
from .settings import RANGES, RfSettings

# Names under which laboratories store RF, tried in this order; two names are the two frames of a pair.
KNOWN_VARIABLES: tuple[tuple[str, ...], ...] = (
    ("Im1", "Im2"),
    ("Im0", "Im1"),
    ("im1", "im2"),
    ("RfDataFilt",),
    ("RfDataDouble",),
    ("BfData",),
    ("rf_data_set",),
    ("rf",),
    ("RF",),
    ("img",),
    ("RcvData",),
)
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
    along = -1 if _frames_last(path, chosen) else 0
    count = sum(shape[along] if len(shape) == 3 else 1 for shape in shapes)
    sides = shapes[0] if len(shapes[0]) == 2 else (shapes[0][:2] if along else shapes[0][1:])
    return count, int(sides[0]), int(sides[1])


def _variables(path: Path, arrays: Mapping[str, StoredArray], settings: RfSettings) -> tuple[str, ...]:
    """Return the names of the arrays to read: the wanted ones, known ones, or the only candidate; all of one shape."""
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
    for names in KNOWN_VARIABLES:
        found = _by_name(arrays, names)
        if found and all(arrays[name].is_frame for name in found):
            return found
    candidates = [name for name, array in arrays.items() if array.is_frame and name not in _ANSWERS]
    if len(candidates) == 1:
        return (_no_half(path, candidates[0], arrays),)
    if candidates:
        raise UnusableFileError(
            f"{path}: several arrays could be the RF ({_listed(candidates)}); name one, or two that are a frame each, "
            f"as in --rf_variable {candidates[0]}"
        )
    raise UnusableFileError(f"{path}: expected a numeric array of 2 or 3 axes, the file holds {held}")


def _no_half(path: Path, name: str, arrays: Mapping[str, StoredArray]) -> str:
    """Return the name of the only candidate, unless it is half a pair: a MAT 5 file does not say its length."""
    known = {one for names in KNOWN_VARIABLES if len(names) == 2 for one in names}
    if name.split(".")[-1] in known and len(arrays[name].shape) == 2:
        raise UnusableFileError(
            f"{path}: expected two frames, found {name} alone, as in a file that was cut off; copy it again, or set "
            f"--rf_variable {name} if each file holds one frame"
        )
    return name


def _by_name(arrays: Mapping[str, StoredArray], names: Sequence[str]) -> tuple[str, ...] | None:
    """Return the arrays of these names, or the only ones inside structures whose last part is that name."""
    found = []
    for name in names:
        inner = [key for key in arrays if key == name] or [key for key in arrays if key.split(".")[-1] == name]
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
    if stored.kind == "c":
        raise UnusableFileError(
            f"{path}: {name} is complex (IQ): its carrier is taken out, and the phase that the method tracks with it; "
            "give RF, or modulate it back with the centre frequency"
        )
    array = stored.read()
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


def _frames_last(path: Path, settings: RfSettings) -> bool:
    return settings.frames_last if settings.frames_last is not None else path.suffix.lower() == ".mat"


def _frames_first(path: Path, array: NDArray, settings: RfSettings) -> NDArray:
    if array.ndim == 2:
        return array[None]
    return np.moveaxis(array, -1, 0) if _frames_last(path, settings) else array


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
