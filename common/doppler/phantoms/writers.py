"""Simulated Doppler screens as files: DICOM with calibrated regions, PNG with a table."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...files import replacing
from .screen import DopplerScreen, TraceLayout

ULTRASOUND_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
ULTRASOUND_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"
# Ways to store the pixels, and how often each is drawn.
STORAGES = {"JPEG": 0.7, "RGB": 0.1, "YBR_FULL": 0.1, "MONOCHROME2": 0.1}


def write_doppler_dicom(path: Path, screen: DopplerScreen, case: str, rng: np.random.Generator) -> None:
    """Write the screen with its calibrated regions; pixel storage, region order, signs and references vary.

    Args:
        path: file to write.
        screen: what it shows.
        case: name of the case, which stands where a patient's name would.
        rng: source of chance.
    """
    storage = str(rng.choice(list(STORAGES), p=list(STORAGES.values())))
    frames = screen.pixels[None]
    if rng.random() < 0.15:
        # A sweep that fills from the left: the last frame is the whole one.
        swept = screen.pixels.copy()
        swept[screen.layout.top :, (screen.pixels.shape[1] // 2) :] = 0
        frames = np.stack([swept, screen.pixels])
    dataset = _header(frames, case, rng)
    _store(dataset, frames, storage)
    regions = [_sector(screen), _trace(screen.layout, rng), _ecg(screen.layout)]
    dataset.SequenceOfUltrasoundRegions = [regions[index] for index in rng.permutation(3)]
    with replacing(path) as temporary:
        save_dicom(dataset, temporary)


def _header(frames: NDArray[np.uint8], case: str, rng: np.random.Generator) -> Any:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    dataset, meta = Dataset(), FileMetaDataset()
    # 2.25 is the root for identifiers made from random numbers, PS3.5 B.2.
    study, series, instance = (UID(f"2.25.{int(rng.integers(2**62))}") for _ in range(3))
    meta.MediaStorageSOPClassUID = UID(ULTRASOUND_MULTIFRAME if len(frames) > 1 else ULTRASOUND_IMAGE)
    meta.MediaStorageSOPInstanceUID = instance
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, instance
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.Modality, dataset.Manufacturer, dataset.ManufacturerModelName = "US", "Simulated", "doppler_keypoint"
    dataset.PatientName = dataset.PatientID = case
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    if len(frames) > 1:
        dataset.FrameTime = "40"
        dataset.FrameIncrementPointer = 0x00181063
    return dataset


def _store(dataset: Any, frames: NDArray[np.uint8], storage: str) -> None:
    from pydicom.encaps import encapsulate
    from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

    samples = 1 if storage == "MONOCHROME2" else 3
    dataset.SamplesPerPixel = samples
    dataset.PhotometricInterpretation = "YBR_FULL_422" if storage == "JPEG" else storage
    if samples == 3:
        dataset.PlanarConfiguration = 0
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape[:3]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if storage == "JPEG" else ExplicitVRLittleEndian
    if storage == "JPEG":
        dataset.PixelData = encapsulate([_jpeg(frame) for frame in frames])
        dataset.LossyImageCompression = "01"
    else:
        stored = np.stack([_converted(frame, storage) for frame in frames]).tobytes()
        dataset.PixelData = stored + b"\0" * (len(stored) % 2)
    dataset["PixelData"].VR = "OB"


def _jpeg(frame: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=93)
    return stream.getvalue()


def _converted(frame: NDArray[np.uint8], storage: str) -> NDArray[np.uint8]:
    from PIL import Image

    modes = {"YBR_FULL": "YCbCr", "MONOCHROME2": "L"}
    return np.asarray(Image.fromarray(frame).convert(modes[storage]) if storage in modes else frame)


def _region(spatial_format: int, data_type: int, flags: int, box: tuple[int, int, int, int]) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = spatial_format, data_type, flags
    item.RegionLocationMinX0, item.RegionLocationMinY0 = box[:2]
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box[2:]
    return item


def _sector(screen: DopplerScreen) -> Any:
    item = _region(1, 1, 0, screen.sector)
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = item.PhysicalDeltaY = 16.0 / (screen.sector[3] - screen.sector[1])
    return item


def _trace(layout: TraceLayout, rng: np.random.Generator) -> Any:
    box = (layout.left, layout.top, layout.left + layout.width - 1, layout.top + layout.height - 1)
    # Bit 1: the region's pixels are protected. Bit 2 stays 0: the scale is a velocity.
    item = _region(3, 3, 2, box)
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = 4, 7
    item.PhysicalDeltaX = layout.seconds_per_px
    # Velocity per row downwards; some scanners leave out the minus sign.
    signed = layout.cm_s_per_px * (-1 if layout.upward and rng.random() < 0.8 else 1)
    item.PhysicalDeltaY = signed
    reference_row = round(layout.baseline_row) if rng.random() < 0.7 else layout.top + int(rng.integers(layout.height))
    item.ReferencePixelX0, item.ReferencePixelY0 = 0, reference_row - layout.top
    item.ReferencePixelPhysicalValueX = 0.0
    item.ReferencePixelPhysicalValueY = (reference_row - layout.baseline_row) * signed
    return item


def _ecg(layout: TraceLayout) -> Any:
    bottom = layout.top + layout.height - 1
    box = (layout.left, bottom - round(0.15 * layout.height), layout.left + layout.width - 1, bottom)
    item = _region(4, 10, 1, box)
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = 4, 0
    item.PhysicalDeltaX, item.PhysicalDeltaY = layout.seconds_per_px, 1.0
    return item


def save_dicom(dataset: Any, path: str | os.PathLike[str]) -> None:
    """Write `dataset`, in little endian with explicit types, as a file with preamble and meta information."""
    import pydicom

    if int(pydicom.__version_info__[0]) < 3:
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.save_as(path, write_like_original=False)
    else:
        dataset.save_as(path, enforce_file_format=True)
