"""Ultrasound DICOM files: their pixels and the calibrated regions of the screen, nothing about the patient."""

import os
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError

ULTRASOUND_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.3",
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.6",
    "1.2.840.10008.5.1.4.1.1.6.1",
}
# Which package decodes which transfer syntax, for the error that asks for it.
DECODERS = {
    "1.2.840.10008.1.2.4.50": "pillow",
    "1.2.840.10008.1.2.4.51": "pylibjpeg pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.57": "pylibjpeg pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.70": "pylibjpeg pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.201": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.202": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg pylibjpeg-openjpeg",
}
# Only these elements are read: what is not read cannot leak.
PIXEL_TAGS = [
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
]
PALETTE_TAGS = [
    f"{kind}{colour}PaletteColorLookupTable{part}"
    for colour in ("Red", "Green", "Blue")
    for kind, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
]
OTHER_TAGS = ["SOPClassUID", "Modality", "FrameTime", "FrameTimeVector", "CineRate", "SequenceOfUltrasoundRegions"]


@dataclass(frozen=True)
class UltrasoundRegion:
    """A rectangle of the screen with its calibration, an item of (0018,6011).

    Attributes:
        min_x, min_y, max_x, max_y: corners in image pixels, all inside the region.
        spatial_format: 1 = 2D, 2 = M-mode, 3 = spectral, 4 = waveform, 5 = graphics.
        data_type: 1 = tissue, 2 = color flow, 3 = PW spectral Doppler, 4 = CW spectral Doppler, 10 = ECG trace, ...
        units_x, units_y: 3 = cm, 4 = seconds, 7 = cm/s, ...
        delta_x, delta_y: physical value per pixel to the right and per pixel downwards; None if the file has none.
        reference_x, reference_y: the reference pixel, relative to (min_x, min_y); None if the file has none.
        flags: (0018,6016); bit 2 set = the Doppler scale is a frequency, not a velocity.
        reference_value_x, reference_value_y: physical value at the reference pixel.

    References:
        DICOM PS3.3 C.8.5.5, US Region Calibration Module.
    """

    min_x: int
    min_y: int
    max_x: int
    max_y: int
    spatial_format: int
    data_type: int
    units_x: int
    units_y: int
    delta_x: float | None
    delta_y: float | None
    reference_x: int | None
    reference_y: int | None
    flags: int
    reference_value_x: float = 0.0
    reference_value_y: float = 0.0


@dataclass(frozen=True)
class UltrasoundImage:
    """The pixels of an ultrasound file and its calibrated regions.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB, or (T, H, W) uint8 grey.
        frame_interval_ms: time between frames; None for a still or where the file does not say.
        regions: in the order of the file; empty where the file has none.
    """

    frames: NDArray[np.uint8]
    frame_interval_ms: float | None
    regions: list[UltrasoundRegion]


def read_ultrasound(path: str | os.PathLike[str]) -> UltrasoundImage:
    """Return pixels, frame interval and regions of an ultrasound DICOM file; colour comes as RGB.

    YBR_FULL, YBR_FULL_422 and PALETTE COLOR become RGB; more than 8 bits are scaled to 8.

    Args:
        path: DICOM file with one frame or many, uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000.

    Raises:
        UnusableFileError: if the file is damaged, no DICOM, no ultrasound, has no pixels, or needs a decoder that is
            not installed (the message names the package).
    """
    dataset = _open(path)
    modality, sop_class = str(dataset.get("Modality", "")), str(dataset.get("SOPClassUID", ""))
    if modality != "US" and sop_class not in ULTRASOUND_CLASSES and "SequenceOfUltrasoundRegions" not in dataset:
        raise UnusableFileError(
            f"{path}: expected an ultrasound file (modality US), found modality {modality or 'missing'}; "
            "choose the ultrasound series."
        )
    if "PixelData" not in dataset:
        raise UnusableFileError(f"{path}: expected pixels in (7FE0,0010), found none; export the image itself.")
    frames = _frames(dataset, path)
    regions = [_region(item, path) for item in dataset.get("SequenceOfUltrasoundRegions") or []]
    return UltrasoundImage(frames, _frame_interval_ms(dataset, len(frames), path), regions)


def read_ultrasound_header(path: str | os.PathLike[str]) -> tuple[tuple[int, int], list[UltrasoundRegion]]:
    """Return height and width of the image and its regions, without decoding pixels.

    Raises:
        UnusableFileError: if the file is no DICOM image, or a region is not whole.
    """
    dataset = _open(path, stop_before_pixels=True)
    if "Rows" not in dataset or "Columns" not in dataset:
        raise UnusableFileError(f"{path}: expected a DICOM image with rows and columns, found none.")
    regions = [_region(item, path) for item in dataset.get("SequenceOfUltrasoundRegions") or []]
    return (int(dataset.Rows), int(dataset.Columns)), regions


def _open(path: str | os.PathLike[str], stop_before_pixels: bool = False) -> Any:
    import pydicom

    tags = [*PIXEL_TAGS, *PALETTE_TAGS, *OTHER_TAGS]
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=stop_before_pixels, specific_tags=tags)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise UnusableFileError(f"{path}: expected a DICOM file, found {_reason(error)}; export it again.") from error
    if not len(dataset):
        raise UnusableFileError(f"{path}: expected a whole DICOM file, found one that is cut off; export it again.")
    return dataset


def _frames(dataset: Any, path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    from pydicom.uid import UID

    syntax = UID(getattr(dataset.file_meta, "TransferSyntaxUID", ""))
    try:
        array = _decoded(dataset)
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            array = _looked_up(array, dataset)
    except Exception as error:
        if str(syntax) in DECODERS and _is_missing_decoder(error):
            raise UnusableFileError(
                f"{path}: transfer syntax {syntax.name} needs a decoder that is not installed; "
                f"pip install {DECODERS[str(syntax)]}."
            ) from error
        raise UnusableFileError(
            f"{path}: expected whole pixel data in {syntax.name or 'a known transfer syntax'}, found "
            f"{_reason(error)}; export the file again."
        ) from error
    array = _eight_bits(array, dataset)
    colour = dataset.get("SamplesPerPixel", 1) == 3 or dataset.PhotometricInterpretation == "PALETTE COLOR"
    return array if array.ndim == (4 if colour else 3) else array[None]


def _decoded(dataset: Any) -> NDArray:
    """Return the stored values, YBR already as RGB."""
    tools = _pixel_tools()
    if hasattr(tools, "pixel_array"):
        return tools.pixel_array(dataset)
    array, name = dataset.pixel_array, dataset.PhotometricInterpretation
    return tools.convert_color_space(array, name, "RGB") if name in ("YBR_FULL", "YBR_FULL_422") else array


def _looked_up(indices: NDArray, dataset: Any) -> NDArray:
    table = _pixel_tools().apply_color_lut(indices, dataset)
    return (table >> 8).astype(np.uint8) if table.dtype == np.uint16 else table


def _pixel_tools() -> Any:
    """Return pydicom's module of pixel functions, under its name in pydicom 3 or in 2.4."""
    try:
        return import_module("pydicom.pixels")
    except ImportError:
        return import_module("pydicom.pixel_data_handlers.util")


def _eight_bits(array: NDArray, dataset: Any) -> NDArray[np.uint8]:
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        array = (1 << int(dataset.BitsStored)) - 1 - array
    if array.dtype == np.uint8:
        return array
    top = (1 << int(dataset.BitsStored)) - 1
    return np.rint(np.clip(array, 0, top) * (255.0 / top)).astype(np.uint8)


def _frame_interval_ms(dataset: Any, frames: int, path: str | os.PathLike[str]) -> float | None:
    if frames < 2:
        return None
    try:
        vector = [float(value) for value in dataset.get("FrameTimeVector") or []]
        rate = float(dataset.get("CineRate") or 0)
        interval = float(dataset.get("FrameTime") or 0) or (float(np.mean(vector[1:])) if len(vector) > 1 else 0.0)
    except (TypeError, ValueError) as error:
        raise UnusableFileError(f"{path}: expected frame times in milliseconds, found {_reason(error)}.") from error
    interval = interval or (1000.0 / rate if rate > 0 else 0.0)
    return interval if interval > 0 else None


def _region(item: Any, path: str | os.PathLike[str]) -> UltrasoundRegion:
    def whole(keyword: str) -> int:
        return int(item[keyword].value)

    def optional(keyword: str) -> Any:
        return item[keyword].value if keyword in item else None

    try:
        return UltrasoundRegion(
            min_x=whole("RegionLocationMinX0"),
            min_y=whole("RegionLocationMinY0"),
            max_x=whole("RegionLocationMaxX1"),
            max_y=whole("RegionLocationMaxY1"),
            spatial_format=whole("RegionSpatialFormat"),
            data_type=whole("RegionDataType"),
            units_x=whole("PhysicalUnitsXDirection"),
            units_y=whole("PhysicalUnitsYDirection"),
            delta_x=optional("PhysicalDeltaX"),
            delta_y=optional("PhysicalDeltaY"),
            reference_x=optional("ReferencePixelX0"),
            reference_y=optional("ReferencePixelY0"),
            flags=int(optional("RegionFlags") or 0),
            reference_value_x=float(optional("ReferencePixelPhysicalValueX") or 0.0),
            reference_value_y=float(optional("ReferencePixelPhysicalValueY") or 0.0),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableFileError(
            f"{path}: expected a whole item in the sequence of ultrasound regions (0018,6011), found "
            f"{_reason(error)}; remove the sequence or export the file again."
        ) from error


def _is_missing_decoder(error: Exception) -> bool:
    text = str(error).lower()
    said = ("missing dependencies", "missing required dependencies", "no available")  # pydicom 3, 2.4, 3
    return isinstance(error, NotImplementedError) or any(words in text for words in said)


def _reason(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__} ({first})" if first else type(error).__name__
