"""Moving ultrasound images, whatever the file format."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ..data.dicom import is_dicom
from ..data.ultrasound_dicom import read_ultrasound
from ..errors import UnusableFileError
from .frames import FrameSource, on_even_time, source_of
from .sector import PUBLISHED_SIZE, TISSUE, find_sector, tissue_region, turns_to_upright
from .sequence import VOLUME_SUFFIXES, open_sequence
from .video import open_video

VIDEO_SUFFIXES = (
    *(".avi", ".mp4", ".mov", ".mkv", ".m4v", ".wmv", ".asf", ".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts"),
    *(".webm", ".gif", ".flv", ".3gp", ".ogv", ".dv"),
)
DICOM_SUFFIXES = (".dcm", ".dicom")
SUFFIXES = (*VIDEO_SUFFIXES, *VOLUME_SUFFIXES, *DICOM_SUFFIXES)
# The sector is looked for in this many frames.
LOOKED_AT = 32
# A pixel that is wider than high, or higher than wide, by less is square; by more the file is wrong.
SQUARE, MOST_ASPECT = 0.02, 5.0
CENTIMETRES = 3
SMALLEST_SECTOR = 0.1


def open_ultrasound_cine(
    path: str | os.PathLike[str], as_stored: bool = False, trust_size: bool = False
) -> FrameSource:
    """Return the cine in a video, a multi-frame ultrasound DICOM file, or a NIfTI or MetaImage sequence (CAMUS).

    Frames are cut to the sector, black outside it, whatever the format: texts, names and ECG are gone. Frames of
    EchoNet's size without text are cut already and stay as they are. Pixels that are not square are made so. A sector
    whose apex is not at the top is turned upright; whether left and right are exchanged cannot be seen from it.

    Args:
        path: the file.
        as_stored: whether to leave out cut and stretching (data sets that are published with a preparation of their
            own).
        trust_size: whether frames of EchoNet's size count as cut without a look at them (training reads them again
            and again).

    Raises:
        UnusableFileError: if the format is none of these, the file is damaged, or it holds a still image.
    """
    cine, regions = _opened(path)
    if as_stored:
        return cine
    height, width = cine.read([0]).shape[1:3]
    region = tissue_region(regions, height, width)
    mask = None
    if not (trust_size and height == width <= PUBLISHED_SIZE):
        cine, mask = _cut(cine, region, (height, width))
    if region is None and regions:
        cine = cine.noting(["the file's regions are not whole, not 2D or not within the picture: not used"])
    aspect = _aspect(cine, region)
    cine = _with_square_pixels(cine, aspect, path)
    return cine if mask is None else _upright(cine, mask, aspect)


def is_ultrasound_cine(path: Path) -> bool:
    """Return whether a file looks like a cine by its name or, without a known suffix, by its first bytes."""
    return path.name.lower().endswith(SUFFIXES) or is_dicom(path)


def _opened(path: str | os.PathLike[str]) -> tuple[FrameSource, Sequence[Any]]:
    name = Path(path).name.lower()
    if name.endswith(VIDEO_SUFFIXES):
        return open_video(path), ()
    if name.endswith(VOLUME_SUFFIXES):
        return open_sequence(path), ()
    if name.endswith(DICOM_SUFFIXES) or is_dicom(path):
        return _dicom(path)
    raise UnusableFileError(
        f"{path}: expected a video ({', '.join(VIDEO_SUFFIXES)}), an ultrasound DICOM file or a sequence "
        f"({', '.join(VOLUME_SUFFIXES)}), found {Path(name).suffix!r}; export it as one of these."
    )


def _dicom(path: str | os.PathLike[str]) -> tuple[FrameSource, Sequence[Any]]:
    image = read_ultrasound(path)
    if len(image.frames) < 2:
        raise UnusableFileError(f"{path}: expected a cine of several frames, found 1; choose the moving loop.")
    frames = image.frames if image.frames.ndim == 4 else np.repeat(image.frames[..., None], 3, axis=3)
    timing = image.timing
    cine = source_of(frames, timing.interval_ms, timing.source, image.pixel_aspect)
    if timing.times_ms is not None:
        cine = on_even_time(cine, np.asarray(timing.times_ms), path)
    return cine.noting(image.notes, timing.doubts), image.regions


def _cut(cine: FrameSource, region: Any, shape: tuple[int, int]) -> tuple[FrameSource, NDArray[np.bool_]]:
    """Return the cine cut to its sector, unless it is already, and where in its frames the sector is."""
    height, width = shape
    spread = np.linspace(0, cine.frame_count - 1, min(cine.frame_count, LOOKED_AT)).round().astype(int)
    cut, mask = find_sector(cine.read(sorted(set(spread.tolist()))), region)
    if cut is None:
        return cine, mask
    notes = [f"cut to the sector: rows {cut.top} to {cut.bottom - 1}, columns {cut.left} to {cut.right - 1}"]
    notes[0] += f" of {height} x {width}, counted from 0; black outside it"
    share = float(cut.mask.sum()) / (height * width)
    doubts = [f"the area that moves is {share:.1%} of the picture"] if share < SMALLEST_SECTOR else []
    if region is not None and region.data_type != TISSUE:
        doubts.append(f"the file calls its region data type {region.data_type}, not tissue (1)")

    def read(indices: Sequence[int]) -> NDArray[np.uint8]:
        return cut.apply(cine.read(indices))

    return replace(cine, read=read).noting(notes, doubts), mask


def _upright(cine: FrameSource, mask: NDArray[np.bool_], aspect: float) -> FrameSource:
    """Return the cine with the apex of its sector at the top; `mask` is the sector before pixels were made square."""
    columns = (np.arange(max(1, round(mask.shape[1] * aspect))) / aspect).astype(int).clip(max=mask.shape[1] - 1)
    turns = turns_to_upright(mask[:, columns])
    if not turns:
        return cine

    def read(indices: Sequence[int]) -> NDArray[np.uint8]:
        frames = cine.read(indices)
        turned = frames[:, ::-1] if turns == 2 else np.rot90(frames, turns, (1, 2))  # scanners invert, they do not turn
        return np.ascontiguousarray(turned)

    side = {1: "the right", 2: "the bottom", 3: "the left"}[turns]
    note = f"turned upright: the sector's apex was at {side}"
    return replace(cine, read=read).noting([note], [note])


def _aspect(cine: FrameSource, region: Any) -> float:
    """Return the width of a pixel over its height; the region outranks the cine."""
    if region is not None and {region.units_x, region.units_y} == {CENTIMETRES} and region.delta_x and region.delta_y:
        return float(abs(region.delta_x / region.delta_y))
    return cine.pixel_aspect


def _with_square_pixels(cine: FrameSource, aspect: float, path: str | os.PathLike[str]) -> FrameSource:
    """Return the cine with its frames stretched along x until pixels are as wide as high."""
    if abs(aspect - 1) <= SQUARE:
        return cine
    if not 1 / MOST_ASPECT <= aspect <= MOST_ASPECT:
        raise UnusableFileError(
            f"{path}: expected pixels about as wide as high, found a width of {aspect:g} times the height; correct "
            "the spacing in its header."
        )

    def read(indices: Sequence[int]) -> NDArray[np.uint8]:
        frames = torch.from_numpy(np.ascontiguousarray(cine.read(indices).transpose(0, 3, 1, 2))).float()
        size = (frames.shape[2], max(1, round(frames.shape[3] * aspect)))
        stretched = functional.interpolate(frames, size, mode="bilinear", antialias=True, align_corners=False)
        return stretched.round().clamp(0, 255).to(torch.uint8).numpy().transpose(0, 2, 3, 1)

    note = f"stretched to square pixels: they are {aspect:.3g} times as wide as high"
    return replace(cine, read=read, pixel_aspect=1.0).noting([note])
