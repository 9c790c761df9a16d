"""Doppler images: DICOM with calibration, PNG or JPEG without; and items of a datalist to tensors."""

import math
import os
import warnings
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import TransformBackends
from numpy.typing import NDArray
from torch import Tensor

from ..data.integrity import check_kind
from ..data.ultrasound_dicom import read_ultrasound, read_ultrasound_header
from ..errors import UnusableFileError
from .calibration import (
    Box,
    CalibrationError,
    DopplerCalibration,
    check_calibration,
    check_screen_size,
    spectral_calibration,
)
from .labels import WAVES
from .strip import find_strips
from .video import VIDEO_SUFFIXES, read_video_frame, video_size

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# Pillow opens by content, not by name: an EPS file under the name of a PNG would start Ghostscript.
PICTURE_FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
ORIENTATION = 0x0112  # EXIF tag
MOST_SURE = 0.99  # of a strip that was found; 1 is one that was given
# Weights of red, green and blue in brightness, ITU-R BT.601.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Of a pixel that is more than background, and the fraction of them that a colour of the map has at least.
LIT, LEAST_OF_COLOUR = 64, 0.01
THINNED = 4  # rows and columns of which one is looked at, since all of them take half the time of reading a file


class DopplerImage(NamedTuple):
    """A screen with its trace.

    Attributes:
        pixels: (H, W) float32 brightness in [0, 1].
        colours: (H, W, 3) uint8; None where the image is grey.
        box: min_x, min_y, max_x, max_y of the trace, all inside; the whole image where the file does not say.
        calibration: None where the file does not say.
        is_one_of_many: whether the file has other frames.
    """

    pixels: NDArray[np.float32]
    colours: NDArray[np.uint8] | None
    box: Box
    calibration: DopplerCalibration | None
    is_one_of_many: bool


def read_doppler(path: str | os.PathLike[str], frame: int = -1) -> DopplerImage:
    """Return the brightness, trace and calibration of a Doppler image; of several frames the last, which is full.

    Grey pictures of 16 bits are divided by 65,535; pictures are turned as their EXIF orientation says.

    Args:
        path: DICOM file, a picture (PNG, JPEG, BMP, TIFF) or a video (AVI, MP4).
        frame: of several frames another than the last; a file of one frame has that one, whatever the number.

    Raises:
        UnusableFileError: if the file is damaged or no ultrasound image; as :class:`CalibrationError` if its
            calibration is missing or unclear.
    """
    if is_picture(path):
        picture: NDArray[Any] = read_video_frame(path, frame) if is_video(path) else _read_picture(path)
        height, width = picture.shape[:2]
        return DopplerImage(*_brightness(picture), (0, 0, width - 1, height - 1), None, is_video(path))
    image = read_ultrasound(path)
    frame = frame if len(image.frames) > 1 else -1
    if not -len(image.frames) <= frame < len(image.frames):
        raise UnusableFileError(f"{path}: expected a frame {frame}, found {len(image.frames)}; choose another --frame.")
    height, width = image.frames.shape[1:3]
    box, calibration = spectral_calibration(image.regions, (height, width), path)
    return DopplerImage(*_brightness(image.frames[frame]), box, calibration, len(image.frames) > 1)


def _brightness(picture: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
    """Return (H, W) in [0, 1], and the picture itself if it is one in colours; float32 is brightness already."""
    if picture.ndim == 3:
        return (picture @ (LUMA / 255)).astype(np.float32), picture
    return picture.astype(np.float32) / np.float32(255 if picture.dtype == np.uint8 else 1), None


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Return whether the name is that of a picture or a video; any other is taken as DICOM."""
    return Path(path).suffix.lower() in (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES)


def is_video(path: str | os.PathLike[str]) -> bool:
    """Return whether the name is that of a video."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


class DopplerHeader(NamedTuple):
    """What the header says: (height, width), and box and calibration of the trace, None where the file has none."""

    size: tuple[int, int]
    own: tuple[Box, DopplerCalibration] | None = None


def check_doppler(path: str | os.PathLike[str]) -> DopplerHeader:
    """Return what the header says, after a look at whether the file can serve.

    Raises:
        UnusableFileError: if the file is damaged or of another kind, or, as :class:`CalibrationError`, if a DICOM
            file has no clear calibration.
    """
    if is_video(path):
        return DopplerHeader(video_size(path))
    if is_picture(path):
        from PIL import ImageOps

        with _opened(path) as opened:
            # The few that lie on their side are decoded: Pillow's formats differ in which size they give before.
            picture = ImageOps.exif_transpose(opened) if ORIENTATION in opened.getexif() else opened
            return DopplerHeader((picture.height, picture.width))
    size, regions = read_ultrasound_header(path)
    return DopplerHeader(size, spectral_calibration(regions, size, path))


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Yield the picture as Pillow opens it, pixels not yet decoded; any error that it meets becomes one sentence."""
    from PIL import Image, UnidentifiedImageError

    check_kind(path, f"a picture ({', '.join(PICTURE_FORMATS)})")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is stricter
            with Image.open(path, formats=PICTURE_FORMATS) as picture:
                _check_picture(picture, path)
                yield picture
    except (FileNotFoundError, UnusableFileError):
        raise
    except UnidentifiedImageError as error:
        raise UnusableFileError(
            f"{path}: expected a picture ({', '.join(PICTURE_FORMATS)}), found a file of another kind; save it as PNG."
        ) from error
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise UnusableFileError(
            f"{path}: expected a whole picture, found {type(error).__name__} ({reason}); save it again."
        ) from error


def _check_picture(picture: Any, path: str | os.PathLike[str]) -> None:
    check_screen_size(picture.height, picture.width, path)
    if getattr(picture, "n_frames", 1) != 1:
        raise UnusableFileError(
            f"{path}: expected one picture, found {picture.n_frames} in one file; save the one to measure."
        )


def _read_picture(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Return the picture, (H, W, 3) uint8, or (H, W) float32 in [0, 1] if it is grey with more than 8 bits."""
    from PIL import ImageOps

    with _opened(path) as opened:
        picture = ImageOps.exif_transpose(opened)
        if picture.mode.startswith("I") or picture.mode == "F":
            return _sixteen_bits(np.asarray(picture), path)
        return np.asarray(picture.convert("RGB"))


def is_rainbow(colours: NDArray[np.uint8]) -> bool:
    """Return whether (H, W, 3) pixels come from a colour map in which brighter signal is not brighter colour.

    Such maps run from blue over green or yellow to red; those that are sepia, or run from red to white, do not.
    """
    thinned = colours[::THINNED, ::THINNED]
    lit = thinned[thinned.max(-1) > LIT].astype(np.float32)
    if not len(lit):
        return False
    red, green, blue = (lit / lit.max(-1, keepdims=True)).T
    kinds = [(red == 1) & (green < 0.4) & (blue < 0.4), (blue == 1) & (red < 0.5) & (green < 0.5)]
    kinds += [(np.minimum(red, blue) < 0.4) & (green > 0.8)]
    return all(kind.mean() > LEAST_OF_COLOUR for kind in kinds)


def _sixteen_bits(values: NDArray, path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Return grey values over 65,535; a picture that uses less than 12 bits of them is one of fewer bits."""
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= 65535 or 0 < high < 4096:
        raise UnusableFileError(
            f"{path}: expected grey values over the whole range of 16 bits, found {low:g} to {high:g}; save the "
            "picture with 8 bits."
        )
    return values.astype(np.float32) / np.float32(65535)


class LoadDopplerd(MapTransform):
    """Read the file under each key: image (1, H, W) in [0, 1], its box (4,), calibration (3,), and `strip`.

    Box and calibration in the item (from labels.csv) go before the file's own. In a picture without a box the strip is
    looked for; `strip` says how sure it is: 1 where it is given, 0 where none was found and the whole picture is taken
    as the trace. Without a calibration it is NaN, and results stay in pixels. `ticks` (2,) are the distances of the
    screen's long ticks in cm/s and s where they made the calibration, else NaN; `rainbow` is whether the trace is in
    colours of a rainbow, `is_one_of_many` whether the file has other frames. Peaks of the item become (2, K, 2), E
    before A, x before y, their durations in seconds (2, K), NaN where a wave has fewer.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 - MONAI declares a list

    def __init__(
        self,
        keys: KeysCollection = "image",
        max_peaks: int = 32,
        tick_cm_s: float | None = None,
        tick_s: float = 1.0,
        frame: int = -1,
    ) -> None:
        """Keep the settings.

        Args:
            keys: files.
            max_peaks: K, the largest number of peaks of a wave in an image.
            tick_cm_s: from one long tick of the velocity scale to the next, for pictures whose strip is found and that
                have no calibration; None leaves them without.
            tick_s: from one long tick of the time scale to the next, for the same.
            frame: which of several frames, -1 for the last.

        Raises:
            ValueError: if a distance of ticks is no positive number.
        """
        super().__init__(keys)
        if isinstance(frame, bool) or int(frame) != frame:
            raise ValueError(f"frame: expected a whole number, found {frame}")
        for name, value in (("tick_cm_s", tick_cm_s), ("tick_s", tick_s)):
            if value is not None and (not isinstance(value, (int, float)) or not 0 < value < math.inf):
                raise ValueError(f"{name}: expected a positive number, found {value!r}")
        self.max_peaks, self.tick_cm_s, self.tick_s, self.frame = max_peaks, tick_cm_s, tick_s, frame

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the item with tensors; the input mapping is left as it was.

        Raises:
            UnusableFileError: if the file cannot be used, or the item names a problem; as :class:`CalibrationError` if
                a picture shows two strips and nothing in the item says which to measure.
            ValueError: if a wave has more than K peaks.
        """
        d = dict(data)
        if "problem" in d:
            raise UnusableFileError(d["problem"])
        for key in self.key_iterator(d):
            image = read_doppler(d[key], self.frame)
            box, calibration, sure = self._placed(d, image, d[key])
            uses_ticks = calibration is not None and calibration not in (d.get("calibration"), image.calibration)
            d["ticks"] = torch.tensor((self.tick_cm_s, self.tick_s) if uses_ticks else (math.nan,) * 2)
            if calibration:
                check_calibration(box, calibration, d[key])
            d[key] = torch.from_numpy(image.pixels)[None]
            d["box"], d["strip"] = torch.tensor(box), torch.tensor(sure)
            d["is_one_of_many"] = image.is_one_of_many
            left, top, right, bottom = box
            # The picture of a whole screen may show colour Doppler beside the trace.
            colours = image.colours if sure > 0 or calibration else None
            d["rainbow"] = colours is not None and is_rainbow(colours[top : bottom + 1, left : right + 1])
            d["calibration"] = torch.tensor(calibration or (math.nan,) * 3, dtype=torch.float64)
        if "peaks" in d:
            d["peaks"] = stacked_peaks(d["peaks"], self.max_peaks)
        if "durations" in d:
            d["durations"] = stacked_peaks(
                {wave: [(value, value) for value in of] for wave, of in d["durations"].items()}, self.max_peaks
            )[..., 0]
        return d

    def _placed(
        self, item: Mapping[Hashable, Any], image: DopplerImage, path: str | os.PathLike[str]
    ) -> tuple[Box, DopplerCalibration | None, float]:
        """Return box, calibration and how sure the box is; labelled peaks and baseline lie in it."""
        calibration = item.get("calibration") or image.calibration
        if "box" in item or image.calibration:
            return item.get("box") or image.box, calibration, 1.0
        points = [point for wave in (item.get("peaks") or {}).values() for point in wave]
        points += [(math.nan, calibration.baseline_row)] if calibration else []
        strips = [one for one in find_strips(image.pixels) if not any(_is_outside(point, one.box) for point in points)]
        if len(strips) > 1:
            corners = " and ".join(",".join(map(str, strip.box)) for strip in strips)
            raise CalibrationError(
                f"{path}: expected one spectral strip in the picture, found {len(strips)}, at x0,y0,x1,y1 {corners}; "
                "crop the picture to one, or write the corners of the one to measure into labels.csv."
            )
        if not strips:
            return image.box, calibration, 0.0
        strip = strips[0]
        if calibration is None and self.tick_cm_s:
            calibration = strip.calibration(self.tick_cm_s, self.tick_s)
        return strip.box, calibration, min(strip.confidence, MOST_SURE)


def _is_outside(point: tuple[float, float], box: Box) -> bool:
    return point[0] < box[0] or point[0] > box[2] or point[1] < box[1] or point[1] > box[3]


def stacked_peaks(peaks: Mapping[str, Any], max_peaks: int) -> Tensor:
    """Return (2, K, 2) float32 points of the waves E and A, NaN where there are fewer than `max_peaks`.

    Raises:
        ValueError: if a wave has more.
    """
    stacked = torch.full((len(WAVES), max_peaks, 2), math.nan)
    for index, wave in enumerate(WAVES):
        if len(peaks[wave]) > max_peaks:
            raise ValueError(f"expected at most {max_peaks} {wave} peaks in an image, found {len(peaks[wave])}")
        if peaks[wave]:
            stacked[index, : len(peaks[wave])] = torch.tensor(peaks[wave])
    return stacked
