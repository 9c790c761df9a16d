"""From an item of an RF datalist to the tensors of a frame pair and, if simulated, its exact motion."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import Transform
from numpy.typing import NDArray

from ..errors import UnusableFileError
from .formats import LEAST_LINES, LEAST_SAMPLES, RfRecord, read_rf
from .settings import RfSettings

# Mean over standard deviation of a frame: RF swings about zero; a rectified one has 1.3, an envelope of speckle 1.9.
LARGEST_MEAN = 0.5
# Standard deviation over mean of the frequency: see :func:`relative_bandwidth`.
LARGEST_BANDWIDTH = 0.6


class LoadRfPaird(Transform):
    """Read both frames of a pair.

    Adds to the item: `pre`, `post` (1, H, W) RF, axial first; `sample_mm`, `pitch_mm`, `frame_interval_s` (NaN where
    neither file nor settings say them); and for simulated pairs the exact `displacement` (2, H, W), lateral in lines
    and axial in samples, `strain` (1, H, W), and `inclusion` (5) = [axial mm, lateral mm, radius mm, modulus
    ratio, strain] (NaN if there is none).

    Args:
        settings: how files are read.
        depth_samples: first sample and the sample after the last to keep, as in a slice; None keeps all. Near the
            probe and in the depth there may be no echo of tissue.
        needs_answer: True refuses pairs without the exact displacement (supervised training).
        needs_spacing: True refuses pairs whose distance of lines or samples is not known (results in mm).
    """

    def __init__(
        self,
        settings: RfSettings | None = None,
        depth_samples: Sequence[int | None] | None = None,
        needs_answer: bool = False,
        needs_spacing: bool = False,
    ) -> None:
        self.settings, self.needs_answer, self.needs_spacing = settings, needs_answer, needs_spacing
        self.depth = _slice(depth_samples)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the item with both frames.

        Raises:
            UnusableFileError: if a file cannot serve, has no such frame, the frames are too small, differ in size, are
                equal, or one is constant or does not swing about zero, or a spacing that is needed is not known.
        """
        before = read_rf(data["pre"], self.settings)
        after = before if data["post"] == data["pre"] else read_rf(data["post"], self.settings)
        pre = self._frame(data["pre"], before, data.get("pre_frame", 0))
        post = self._frame(data["post"], after, data.get("post_frame", 1 if after is before else 0))
        if pre.shape != post.shape:
            raise UnusableFileError(
                f"{data['post']}: expected a frame of {pre.shape[0]} samples x {pre.shape[1]} lines as in "
                f"{data['pre']}, found {post.shape[0]} x {post.shape[1]}"
            )
        if np.array_equal(pre, post):
            raise UnusableFileError(
                f"{data['post']}: expected two frames that differ, found the same one twice; nothing can be measured"
            )
        d = {**data, "pre": _tensor(pre), "post": _tensor(post), "pre_path": str(data["pre"])}
        for name in ("sample_mm", "pitch_mm", "frame_interval_s"):
            value = getattr(before, name)
            d[name] = float("nan") if value is None else float(value)
        if self.needs_spacing:
            spacing_mm(d)
        d["first_sample"] = self.depth.indices(before.frames.shape[1])[0]
        return {**d, **self._answer(data, before)}

    def _frame(self, path: Any, record: RfRecord, index: int | str) -> NDArray:
        if not isinstance(index, int):
            raise UnusableFileError(
                f"{path}: expected the number of a frame, from 0, found {index!r}; correct the table"
            )
        if not 0 <= index < len(record.frames):
            raise UnusableFileError(
                f"{path}: expected frame {index}, counted from 0, found {len(record.frames)} in the file; a "
                "pair needs two frames, in one file or in two"
            )
        frame = record.frames[index][self.depth]
        if frame.size == 0:
            raise UnusableFileError(f"{path}: no sample is left of {record.frames.shape[1]} by depth_samples")
        return check_frame(path, frame, index)

    def _answer(self, data: Mapping[str, Any], record: RfRecord) -> dict[str, Any]:
        known = record.answers
        if not {"axial_mm", "lateral_mm", "axial_strain"} <= set(known):
            if self.needs_answer:
                raise UnusableFileError(
                    f"{data['pre']}: expected the exact displacement (axial_mm, lateral_mm, axial_strain) beside the "
                    "frames; supervised training needs simulated pairs"
                )
            return {}
        if record.sample_mm is None or record.pitch_mm is None:
            raise UnusableFileError(f"{data['pre']}: expected fs_hz, sound_speed_m_s and pitch_m beside axial_mm")
        for name in ("axial_mm", "lateral_mm", "axial_strain"):
            if known[name].shape != record.frames.shape[1:] or not np.isfinite(known[name]).all():
                raise UnusableFileError(
                    f"{data['pre']}: expected {name} as a finite number for each of {record.frames.shape[1]} x "
                    f"{record.frames.shape[2]} samples, found {known[name].shape} with "
                    f"{int((~np.isfinite(known[name])).sum())} that are NaN or infinite; simulate the pair again"
                )
        displacement = np.stack([known["lateral_mm"] / record.pitch_mm, known["axial_mm"] / record.sample_mm])
        inclusion = np.asarray(known.get("inclusion", np.full(5, np.nan)), dtype=np.float32).ravel()
        return {
            "displacement": torch.from_numpy(displacement[:, self.depth].astype(np.float32)),
            "strain": _tensor(np.asarray(known["axial_strain"])[self.depth]),
            "inclusion": torch.from_numpy(inclusion),
        }


def check_frame(path: Any, frame: NDArray, index: int) -> NDArray:
    """Return an RF frame (H, W) that can be measured.

    Args:
        path: its file, for errors.
        frame: samples x lines.
        index: its number in the file, from 0.

    Raises:
        UnusableFileError: if it is too small, constant, or no RF: it does not swing about zero, or has no carrier.
    """
    if frame.shape[0] < LEAST_SAMPLES or frame.shape[1] < LEAST_LINES:
        raise UnusableFileError(
            f"{path}: expected RF of at least {LEAST_SAMPLES} samples x {LEAST_LINES} lines, found "
            f"{frame.shape[0]} samples x {frame.shape[1]} lines; record a larger field, or check --rf_variable, "
            "--axial_first and --depth_samples"
        )
    if frame.min() == frame.max():
        raise UnusableFileError(f"{path}: frame {index + 1} is constant ({frame.flat[0]}); record it again")
    mean, deviation = float(frame.mean(dtype=float)), float(frame.std(dtype=float))
    if abs(mean) > LARGEST_MEAN * deviation:
        raise UnusableFileError(
            f"{path}: expected RF, which swings about zero, found a mean of {mean:.4g} at a standard deviation of "
            f"{deviation:.4g} in frame {index + 1}, as an envelope, a B-mode image or RF with an offset has; "
            "export RF, or subtract the offset from it"
        )
    halves = (frame, frame[: len(frame) // 2], frame[len(frame) // 2 :])
    spread = min(
        relative_bandwidth(part) for part in halves
    )  # a half alone may be dead, or full of the probe's ringing
    if spread > LARGEST_BANDWIDTH:
        raise UnusableFileError(
            f"{path}: expected RF, which has a carrier, found a spectrum along depth that is widest about 0 in frame "
            f"{index + 1} (relative bandwidth {spread:.2f}, of RF at most {LARGEST_BANDWIDTH}), as an envelope or a "
            "log-compressed image has, also with its mean taken out; export RF, filter out what is slower than the "
            "pulse, or set --axial_first to false if lines come first"
        )
    return frame


def relative_bandwidth(frame: NDArray) -> float:
    """Return the standard deviation of frequency along depth over its mean, of an RF frame (H, W) without its constant.

    Weights are the squares of the power, so that noise hardly counts: pulses have .1 to .4, white noise .58, what has
    no carrier .63 and more.
    """
    values = np.asarray(frame, dtype=float)
    largest = float(np.abs(values).max()) or 1.0
    power = (np.abs(np.fft.rfft((values - values.mean(0)) / largest, axis=0)) ** 2).mean(1)[1:] ** 2
    total, cycles = max(float(power.sum()), 1e-300), np.arange(1, len(power) + 1)
    mean = float((cycles * power).sum()) / total
    return float(np.sqrt(((cycles - mean) ** 2 * power).sum() / total)) / max(mean, 1e-300)


def spacing_mm(item: Mapping[str, Any]) -> tuple[float, float]:
    """Return the distance of lines and of samples of a pair that was read.

    Raises:
        UnusableFileError: if one of them is not known; it is never guessed.
    """
    spacing = (float(item["pitch_mm"]), float(item["sample_mm"]))
    if not np.isfinite(spacing).all():
        raise UnusableFileError(
            f"{item.get('pre_path', item['case'])}: the distance of lines or samples is not in the file; set "
            "--pitch_mm, --sampling_mhz and --sound_speed_m_s"
        )
    return spacing


def _slice(depth_samples: Any) -> slice:
    """Return the samples to keep.

    Raises:
        ValueError: if it is no pair of whole numbers or None.
    """
    if depth_samples is None or str(depth_samples).lower() in ("none", "null"):
        return slice(None)
    bounds = list(depth_samples) if isinstance(depth_samples, (list, tuple)) else []
    if len(bounds) != 2 or not all(bound is None or isinstance(bound, int) for bound in bounds):
        raise ValueError(
            f"depth_samples: expected [first, end], whole numbers or None as in a slice, found {depth_samples!r}"
        )
    return slice(*bounds)


def _tensor(frame: NDArray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(frame, dtype=np.float32))[None]
