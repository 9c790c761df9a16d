"""RF frames and their acquisition from MAT, NPY, NPZ, MHD and raw files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError

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
)
# Numbers that a file may carry, each with the unit in its name.
_ACQUISITION = ("fs_hz", "fc_hz", "sound_speed_m_s", "pitch_m", "frame_interval_s")
_ANSWERS = ("axial_mm", "lateral_mm", "axial_strain", "inclusion")


@dataclass(frozen=True)
class RfSettings:
    """How a file is to be read where it does not say so itself, and what it lacks.

    Attributes:
        variable: name of the array in a MAT, HDF5 or NPZ file, or two names joined by "," (a frame each).
        axial_first: True for samples x lines, False for lines x samples; None expects more samples than lines.
        frames_last: in an array of three axes, True if frames are the last one (as laboratories store MAT), False if
            the first; None takes the last in MAT files and the first elsewhere.
        raw_shape, raw_dtype: shape (of a frame, or of frames by samples by lines) and type of `.raw` files.
        sampling_mhz, centre_mhz, sound_speed_m_s, pitch_mm, frame_interval_ms: the acquisition; they outrank the file.
    """

    variable: str | None = None
    axial_first: bool | None = None
    frames_last: bool | None = None
    raw_shape: Sequence[int] | None = None
    raw_dtype: str = "<f4"
    sampling_mhz: float | None = None
    centre_mhz: float | None = None
    sound_speed_m_s: float | None = None
    pitch_mm: float | None = None
    frame_interval_ms: float | None = None


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
        UnusableFileError: if it is of another kind, damaged, or holds no RF frame; the error lists what it holds.
    """
    path, chosen = Path(path), settings or RfSettings()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected an RF file, found none")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UnusableFileError(f"{path}: expected one of {', '.join(_READERS)}, found {path.suffix or 'no suffix'}")
    try:
        content = reader(path, chosen)
    except UnusableFileError:
        raise
    except Exception as error:
        raise UnusableFileError(f"{path}: cannot be read as {path.suffix}: {error}") from error
    frames = _frames(path, content, chosen)
    return RfRecord(frames, *_acquisition(content, chosen), {k: content[k] for k in _ANSWERS if k in content})


def rf_suffixes() -> tuple[str, ...]:
    """Return the suffixes that :func:`read_rf` reads."""
    return tuple(_READERS)


def _frames(path: Path, content: Mapping[str, Any], settings: RfSettings) -> NDArray:
    names = _variables(path, content, settings)
    frames_last = settings.frames_last if settings.frames_last is not None else path.suffix.lower() == ".mat"
    parts = [_checked(path, name, content[name]) for name in names]
    shapes = {part.shape for part in parts}
    if len(shapes) != 1:
        raise UnusableFileError(f"{path}: expected frames of one size, found {sorted(shapes)} in {', '.join(names)}")
    parts = [np.moveaxis(part, -1, 0) if frames_last and part.ndim == 3 else part for part in parts]
    frames = np.concatenate([part if part.ndim == 3 else part[None] for part in parts])
    return _axial_first(path, frames, settings.axial_first).astype(np.float32)


def _variables(path: Path, content: Mapping[str, Any], settings: RfSettings) -> tuple[str, ...]:
    """Return the names of the arrays to read: the wanted ones, known ones, or the only candidate."""
    held = ", ".join(f"{name} {np.shape(value)} {np.asarray(value).dtype}" for name, value in content.items())
    held = held or "nothing"
    if settings.variable:
        names = tuple(name.strip() for name in settings.variable.split(","))
        if not set(names) <= set(content):
            raise UnusableFileError(f"{path}: expected the variable {settings.variable}, the file holds {held}")
        return names
    for names in KNOWN_VARIABLES:
        if set(names) <= set(content):
            return names
    candidates = [name for name, value in content.items() if _is_frame(value) and name not in _ANSWERS]
    if len(candidates) == 1:
        return (candidates[0],)
    if candidates:
        raise UnusableFileError(
            f"{path}: several arrays could be the RF ({', '.join(candidates)}); name one with `variable`"
        )
    raise UnusableFileError(f"{path}: expected a numeric array of 2 or 3 axes, the file holds {held}")


def _is_frame(value: Any) -> bool:
    numeric = isinstance(value, np.ndarray) and value.dtype.kind in "fiuc"
    return numeric and value.ndim in (2, 3) and min(value.shape) > 1


def _checked(path: Path, name: str, values: Any) -> NDArray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiuc" or array.ndim not in (2, 3):
        raise UnusableFileError(
            f"{path}: expected {name} to be a numeric array of 2 or 3 axes, found {array.dtype} {array.shape}"
        )
    if array.dtype.kind == "c":
        raise UnusableFileError(
            f"{path}: {name} is complex (IQ): its carrier is taken out, and the phase that the method tracks with it; "
            "give RF, or modulate it back with the centre frequency"
        )
    wrong = int(array.size - np.isfinite(array).sum())
    if wrong:
        raise UnusableFileError(f"{path}: {name} holds {wrong} values that are NaN or infinite; export it again")
    return array


def _axial_first(path: Path, frames: NDArray, axial_first: bool | None) -> NDArray:
    samples, lines = frames.shape[1:]
    if axial_first is None and samples < lines:
        raise UnusableFileError(
            f"{path}: expected samples x lines with more samples than lines, found {samples} x {lines}; set "
            "axial_first to false if lines come first, to true if they do not"
        )
    return frames.swapaxes(1, 2) if axial_first is False else frames


def _acquisition(content: Mapping[str, Any], settings: RfSettings) -> tuple[float | None, float | None, float | None]:
    """Return sample distance (mm), pitch (mm) and frame interval (s); None where nothing says it."""
    held = {
        name: float(np.asarray(content[name]).item()) for name in _ACQUISITION if np.size(content.get(name, ())) == 1
    }
    sampling = settings.sampling_mhz * 1e6 if settings.sampling_mhz else held.get("fs_hz")
    speed = settings.sound_speed_m_s or held.get("sound_speed_m_s")
    spacing = content.get("spacing_mm", (None, None))
    sample_mm = speed / (2 * sampling) * 1e3 if speed and sampling else spacing[0]
    pitch = held["pitch_m"] * 1e3 if "pitch_m" in held else spacing[1]
    interval = settings.frame_interval_ms * 1e-3 if settings.frame_interval_ms else held.get("frame_interval_s")
    return sample_mm, settings.pitch_mm or pitch, interval


def _read_mat(path: Path, settings: RfSettings) -> dict[str, Any]:
    with path.open("rb") as stream:
        header = stream.read(128)
    if header[:8] == b"\x89HDF\r\n\x1a\n" or b"MATLAB 7.3" in header:
        return _read_hdf5(path)
    from scipy.io import loadmat

    return {name: value for name, value in loadmat(path).items() if not name.startswith("__")}


def _read_hdf5(path: Path) -> dict[str, Any]:
    import h5py

    content: dict[str, Any] = {}
    with h5py.File(path, "r") as file:
        for name, entry in file.items():
            if isinstance(entry, h5py.Dataset):
                # MATLAB writes its columns first: HDF5 shows the axes in reverse.
                values = np.asarray(entry).T
                if values.dtype.names == ("real", "imag"):
                    values = values["real"] + 1j * values["imag"]
                content[name] = values
    return content


def _read_npz(path: Path, settings: RfSettings) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _read_npy(path: Path, settings: RfSettings) -> dict[str, Any]:
    return {"rf": np.load(path, allow_pickle=False)}


def _read_mhd(path: Path, settings: RfSettings) -> dict[str, Any]:
    import SimpleITK

    image = SimpleITK.ReadImage(str(path))
    columns_mm, rows_mm = image.GetSpacing()[:2]
    content: dict[str, Any] = {"rf": SimpleITK.GetArrayFromImage(image)}
    # A header without ElementSpacing means 1 mm to the library: that is no statement about the scanner.
    header = path.read_bytes()[:4096]
    if b"ElementSpacing" in header or b"ElementSize" in header:
        swapped = settings.axial_first is False
        content["spacing_mm"] = (columns_mm, rows_mm) if swapped else (rows_mm, columns_mm)
    return content


def _read_raw(path: Path, settings: RfSettings) -> dict[str, Any]:
    values = np.fromfile(path, dtype=np.dtype(settings.raw_dtype))
    if not settings.raw_shape:
        raise UnusableFileError(
            f"{path}: a .raw file does not say its shape: set raw_shape, such as [samples, lines] "
            f"({values.size} values of type {settings.raw_dtype})"
        )
    expected = int(np.prod(settings.raw_shape))
    if values.size != expected:
        raise UnusableFileError(
            f"{path}: expected {expected} values for raw_shape {list(settings.raw_shape)}, found {values.size} of type "
            f"{settings.raw_dtype}"
        )
    return {"rf": values.reshape(tuple(settings.raw_shape))}


_READERS: dict[str, Callable[[Path, RfSettings], dict[str, Any]]] = {
    ".mat": _read_mat,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".mhd": _read_mhd,
    ".mha": _read_mhd,
    ".raw": _read_raw,
}
