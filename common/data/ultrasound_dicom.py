"""Ultrasound DICOM files: their pixels and the calibrated regions of the screen, nothing about the patient."""

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError
from .dicom import read_dicom
from .dicom_pixels import decode_pixels, pixel_tools
from .frame_timing import TIMING_TAGS, FrameTiming, frame_timing

ULTRASOUND_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.3",
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.6",
    "1.2.840.10008.5.1.4.1.1.6.1",
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
OTHER_TAGS = ["SOPClassUID", "Modality", "PixelAspectRatio", "SequenceOfUltrasoundRegions", *TIMING_TAGS]


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
        missing: keywords that the standard requires and the file lacks, or whose value is no number; they are -1 or 0
            above.

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
    missing: tuple[str, ...] = ()

    def check(self, path: str | os.PathLike[str]) -> None:
        """Refuse a region that is about to be used and is not whole.

        Raises:
            UnusableFileError: if a required element is missing.
        """
        if self.missing:
            raise UnusableFileError(
                f"{path}: expected a whole item in the sequence of ultrasound regions (0018,6011), found no usable "
                f"{', '.join(self.missing)}; export the file again from the scanner."
            )


@dataclass(frozen=True)
class UltrasoundImage:
    """The pixels of an ultrasound file and its calibrated regions.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB, or (T, H, W) uint8 grey.
        timing: when the frames were taken.
        regions: in the order of the file; empty where the file has none. Not all need be whole.
        pixel_aspect: width of a pixel over its height.
        notes: in words, what was done to the grey levels and the header does not say.
    """

    frames: NDArray[np.uint8]
    timing: FrameTiming
    regions: list[UltrasoundRegion]
    pixel_aspect: float = 1.0
    notes: tuple[str, ...] = ()

    @property
    def frame_interval_ms(self) -> float | None:
        """Mean time between frames; None for a still or where the file does not say."""
        return self.timing.interval_ms


def read_ultrasound(path: str | os.PathLike[str]) -> UltrasoundImage:
    """Return pixels, frame interval and regions of an ultrasound DICOM file; colour comes as RGB.

    YBR_FULL, YBR_FULL_422 and PALETTE COLOR become RGB; more than 8 bits are scaled to 8.

    Args:
        path: DICOM file with one frame or many, uncompressed, RLE, JPEG, JPEG-LS, JPEG 2000 or MPEG.

    Raises:
        UnusableFileError: if the file is damaged, no DICOM, no ultrasound, has no pixels, or needs a decoder that is
            not installed (the message names the package).
    """
    dataset = read_dicom(path, tags=[*PIXEL_TAGS, *PALETTE_TAGS, *OTHER_TAGS])
    modality, sop_class = str(dataset.get("Modality", "")), str(dataset.get("SOPClassUID", ""))
    if modality != "US" and sop_class not in ULTRASOUND_CLASSES and "SequenceOfUltrasoundRegions" not in dataset:
        raise UnusableFileError(
            f"{path}: expected an ultrasound file (modality US), found modality {modality or 'missing'}; "
            "choose the ultrasound series."
        )
    frames, notes = _frames(dataset, path)
    timing = frame_timing(dataset, len(frames))
    return UltrasoundImage(frames, timing, _regions(dataset), _pixel_aspect(dataset), notes)


def read_ultrasound_header(path: str | os.PathLike[str]) -> tuple[tuple[int, int], list[UltrasoundRegion]]:
    """Return height and width of the image and its regions, without decoding pixels.

    Raises:
        UnusableFileError: if the file is no DICOM image.
    """
    tags = ["Rows", "Columns", "SequenceOfUltrasoundRegions"]
    dataset = read_dicom(path, stop_before_pixels=True, tags=tags)
    if "Rows" not in dataset or "Columns" not in dataset:
        raise UnusableFileError(f"{path}: expected a DICOM image with rows and columns, found none.")
    return (int(dataset.Rows), int(dataset.Columns)), _regions(dataset)


def _frames(dataset: Any, path: str | os.PathLike[str]) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Return (T, H, W) or (T, H, W, 3) and what was done to the grey levels."""
    array = decode_pixels(dataset, path)
    notes: tuple[str, ...] = ()
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        array = _looked_up(array, dataset, path)
    else:
        array, notes = _eight_bits(array, dataset)
    colour = dataset.get("SamplesPerPixel", 1) == 3 or dataset.get("PhotometricInterpretation") == "PALETTE COLOR"
    return (array if array.ndim == (4 if colour else 3) else array[None]), notes


def _looked_up(indices: NDArray, dataset: Any, path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Return palette colours with 8 bits; some scanners write values of 8 bits into a palette that claims 16."""
    tools = pixel_tools()
    try:
        entries = np.arange(int(dataset.RedPaletteColorLookupTableDescriptor[0] or 1 << 16), dtype=np.uint32)
        first = int(dataset.RedPaletteColorLookupTableDescriptor[1])
        whole, table = tools.apply_color_lut(entries + first, dataset), tools.apply_color_lut(indices, dataset)
    except Exception as error:  # whatever pydicom meets in a damaged palette
        raise UnusableFileError(
            f"{path}: expected a palette of three whole tables, found a damaged one ({type(error).__name__}); export "
            "the file as RGB."
        ) from None
    return (table >> 8 if whole.max() > 255 else table).astype(np.uint8)


def _eight_bits(array: NDArray, dataset: Any) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Return grey levels from 0 to 255, scaled by the bits stored, or by those used where that is far fewer."""
    bits = int(dataset.get("BitsStored") or dataset.BitsAllocated)
    notes: tuple[str, ...] = ()
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        array = (1 << bits) - 1 - array
    if array.dtype == np.uint8:
        return array, ()
    used = next(count for count in (8, 10, 12, 14, 16, 32) if count >= min(bits, 32) or array.max() < 1 << count)
    if bits - used >= 3 and array.max() > 1 << (used - 2):
        notes = (f"grey levels fill {used} bits, though the header claims {bits}; they were scaled from {used} bits",)
        bits = used
    top = (1 << bits) - 1
    return np.rint(np.clip(array, 0, top) * (255.0 / top)).astype(np.uint8), notes


def _pixel_aspect(dataset: Any) -> float:
    """Return the width of a pixel over its height; (0028,0034) gives the height first."""
    ratio = dataset.get("PixelAspectRatio") or (1, 1)
    height, width = (float(value) for value in ratio) if len(ratio) == 2 else (1.0, 1.0)
    return width / height if height > 0 and width > 0 else 1.0


def _regions(dataset: Any) -> list[UltrasoundRegion]:
    return [_region(item) for item in dataset.get("SequenceOfUltrasoundRegions") or []]


def _region(item: Any) -> UltrasoundRegion:
    missing: list[str] = []

    def required(keyword: str) -> int:
        value = _number(item.get(keyword))
        if value is None:
            missing.append(keyword)
        return -1 if value is None else int(value)

    def reference(keyword: str) -> int | None:
        value = _number(item.get(keyword))
        return None if value is None else int(value)

    def physical(keyword: str) -> float:
        if item.get(keyword) is None:
            return 0.0
        value = _number(item.get(keyword))
        if value is None:
            missing.append(keyword)
        return value or 0.0

    return UltrasoundRegion(
        min_x=required("RegionLocationMinX0"),
        min_y=required("RegionLocationMinY0"),
        max_x=required("RegionLocationMaxX1"),
        max_y=required("RegionLocationMaxY1"),
        spatial_format=required("RegionSpatialFormat"),
        data_type=required("RegionDataType"),
        units_x=required("PhysicalUnitsXDirection"),
        units_y=required("PhysicalUnitsYDirection"),
        delta_x=_number(item.get("PhysicalDeltaX")),
        delta_y=_number(item.get("PhysicalDeltaY")),
        reference_x=reference("ReferencePixelX0"),
        reference_y=reference("ReferencePixelY0"),
        flags=int(_number(item.get("RegionFlags")) or 0),
        reference_value_x=_number(item.get("ReferencePixelPhysicalValueX")) or 0.0,
        reference_value_y=physical("ReferencePixelPhysicalValueY"),
        missing=tuple(missing),
    )


def _number(value: Any) -> float | None:
    """Return a finite number, None for anything else."""
    usable = isinstance(value, (int, float)) and math.isfinite(value)
    return float(value) if usable else None
