"""How RF files are to be read where they do not say so themselves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..data.tables import number

# Of each quantity what no scanner is outside of, in the unit of its setting.
RANGES = {
    "sampling_mhz": (1.0, 500.0),
    "sound_speed_m_s": (500.0, 7000.0),
    "pitch_mm": (0.005, 10.0),
    "sample_mm": (0.0005, 2.0),
    "frame_interval_ms": (0.001, 60_000.0),
}


@dataclass(frozen=True)
class RfSettings:
    """How a file is to be read where it does not say so itself, and what it lacks.

    Words that a command line leaves as text, and the lists and numbers that it makes of others, are taken as well.

    Attributes:
        variable: name of the array in a MAT or NPZ file, or a pattern such as "Im?" that fits one; or two of them,
            joined by "," or as a list (a frame each).
        axial_first: True for samples x lines, False for lines x samples; None expects more samples than lines.
        frames_last: in an array of three axes, True if frames are the last one (as laboratories store MAT), False if
            the first; None takes the last in MAT files and the first elsewhere, if that leaves frames.
        raw_shape, raw_dtype: shape (of a frame, or of frames by samples by lines) and type of `.raw` files.
        raw_offset: bytes of a `.raw` file before its first value.
        sampling_mhz, sound_speed_m_s, pitch_mm, frame_interval_ms: the acquisition; they outrank the file.

    Raises:
        ValueError: if a setting is of another kind, or a quantity outside of its range.
    """

    variable: str | Sequence[str] | None = None
    axial_first: bool | None = None
    frames_last: bool | None = None
    raw_shape: Sequence[int] | None = None
    raw_dtype: str = "<f4"
    raw_offset: int = 0
    sampling_mhz: float | None = None
    sound_speed_m_s: float | None = None
    pitch_mm: float | None = None
    frame_interval_ms: float | None = None

    def __post_init__(self) -> None:
        for name in (entry.name for entry in fields(self)):
            value = getattr(self, name)
            if isinstance(value, str) and value.strip().lower() in ("none", "null", ""):
                object.__setattr__(self, name, None)
        for name in ("axial_first", "frames_last"):
            object.__setattr__(self, name, _truth(name, getattr(self, name)))
        for name in set(RANGES) & {entry.name for entry in fields(self)}:
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else number(value, name, *RANGES[name]))
        object.__setattr__(self, "raw_shape", _shape(self.raw_shape))
        object.__setattr__(self, "raw_dtype", _dtype(self.raw_dtype))
        if not isinstance(self.raw_offset, int) or self.raw_offset < 0:
            raise ValueError(f"raw_offset: expected a number of bytes, at least 0, found {self.raw_offset!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """The wanted arrays; none for the known names."""
        if self.variable is None:
            return ()
        parts = self.variable if isinstance(self.variable, (list, tuple)) else str(self.variable).split(",")
        return tuple(str(part).strip() for part in parts)


def _truth(name: str, value: Any) -> bool | None:
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{name}: expected true, false or none, found {value!r}")
    return value


def _shape(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    sides = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    if len(sides) not in (2, 3) or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(
            f"raw_shape: expected [samples, lines] or [frames, samples, lines], whole numbers above 0, found {value!r}"
        )
    return sides


def _dtype(value: Any) -> str:
    try:
        return np.dtype(value).str
    except TypeError as error:
        raise ValueError(f"raw_dtype: expected a type of numpy such as '<f4' or '<i2', found {value!r}") from error
