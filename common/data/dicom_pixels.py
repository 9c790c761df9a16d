"""Pixels of DICOM files in whatever transfer syntax pydicom, SimpleITK or PyAV decodes."""

import io
import math
import os
import struct
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnusableFileError
from .dicom import fault_of, silent_pydicom

LARGEST_BYTES = 4_000_000_000
# PS3.5 annex A: JPEG baseline is left to pydicom, which knows its colour spaces.
JPEG_FAMILY = {f"1.2.840.10008.1.2.4.{number}" for number in (51, 57, 70, 80, 81, 90, 91)}
MPEG = {f"1.2.840.10008.1.2.4.{number}" for number in (*range(100, 109), *(f"{n}.1" for n in range(100, 107)))}
# Which package decodes which transfer syntax, for the error that asks for it.
DECODERS = {
    "1.2.840.10008.1.2.4.50": "pillow",
    **dict.fromkeys(JPEG_FAMILY, "pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"),
    **{f"1.2.840.10008.1.2.4.{number}": "pylibjpeg pylibjpeg-openjpeg" for number in (201, 202, 203)},
}
_CONVERTED = ("YBR_FULL", "YBR_FULL_422")
_KEPT_FOR_SIMPLEITK = (
    "SamplesPerPixel",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
_ITEM, _END = 0xE000, 0xE0DD


def decode_pixels(dataset: Any, path: str | os.PathLike[str]) -> NDArray:
    """Return the stored values as pydicom shapes them: (T, H, W, 3), the axes of a single frame or sample left out.

    YBR comes as RGB; rescale slope, window and palette are not applied. Decoders are tried in turn: pydicom's,
    SimpleITK for JPEG, JPEG-LS and JPEG 2000, PyAV for MPEG-2, H.264 and H.265.

    Args:
        dataset: of :func:`common.data.read_dicom`, with its pixels.
        path: file that the errors name.

    Raises:
        UnusableFileError: if there are no pixels, fewer than the header claims, or more than 4 GB, or if no installed
            library decodes them (the message names a package that does).
    """
    if "PixelData" not in dataset:
        raise UnusableFileError(f"{path}: expected pixels in (7FE0,0010), found none; export the image itself.")
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if not dataset.file_meta.TransferSyntaxUID.is_transfer_syntax:
        raise UnusableFileError(
            f"{path}: expected a transfer syntax in (0002,0010), found another identifier; export the file again."
        )
    _check_claims(dataset, syntax, path)
    with silent_pydicom():
        if syntax in MPEG:
            return _by_pyav(dataset, path)
        try:
            return _by_pydicom(dataset)
        except Exception as error:
            return _otherwise(dataset, syntax, path, error)


def _check_claims(dataset: Any, syntax: str, path: str | os.PathLike[str]) -> None:
    """Refuse what the header claims and the file does not hold, before memory is asked for."""
    shape = [frame_count(dataset, path)]
    for keyword in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated"):
        value = dataset.get(keyword, 1 if keyword == "SamplesPerPixel" else None)
        if not isinstance(value, int) or value < 1:
            raise UnusableFileError(
                f"{path}: expected a positive {keyword}, found {_number(value)}; export the file again."
            )
        shape.append(int(value))
    claimed = math.ceil(math.prod(shape) / 8)
    if claimed > LARGEST_BYTES:
        raise UnusableFileError(
            f"{path}: expected at most {LARGEST_BYTES / 1e9:.3g} GB of pixels, found a header that claims "
            f"{shape[0]} frames of {shape[1]} x {shape[2]} ({claimed / 1e9:.3g} GB); export the file again."
        )
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        found = len(_fragments(dataset.PixelData, path))
        if found < (1 if syntax in MPEG else shape[0]):
            raise UnusableFileError(
                f"{path}: expected the {shape[0]} frames of its header, found {found}; export the file again."
            )
        return
    stored = claimed * 2 // 3 if dataset.get("PhotometricInterpretation") == "YBR_FULL_422" else claimed
    if len(dataset.PixelData) < stored:
        raise UnusableFileError(
            f"{path}: expected whole pixel data of {stored} bytes, found {len(dataset.PixelData)}: the file is cut "
            "off; export it again."
        )


def frame_count(dataset: Any, path: str | os.PathLike[str]) -> int:
    """Return the number of frames that the header claims, 1 where it claims none.

    Raises:
        UnusableFileError: if it is no whole number over 0.
    """
    value = dataset.get("NumberOfFrames") or 1
    if not isinstance(value, int) or value < 1:
        raise UnusableFileError(
            f"{path}: expected a whole NumberOfFrames over 0, found {_number(value)}; export the file again."
        )
    return int(value)


def _number(value: Any) -> str:
    return str(value) if isinstance(value, (int, float)) else "no number"


def _fragments(data: bytes, path: str | os.PathLike[str]) -> list[bytes]:
    """Return the fragments of encapsulated pixels without the offset table, the first item (PS3.5 A.4)."""
    items: list[bytes] = []
    place = 0
    while place + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHI", data, place)
        if group != 0xFFFE or element not in (_ITEM, _END):
            break
        if element == _END:
            return items[1:]
        if place + 8 + length > len(data):
            break
        items.append(data[place + 8 : place + 8 + length])
        place += 8 + length
    if place < len(data) or not items:
        raise UnusableFileError(
            f"{path}: expected whole pixel data in fragments, found none or cut-off ones; export the file again."
        )
    return items[1:]


def _by_pydicom(dataset: Any) -> NDArray:
    tools = pixel_tools()
    if hasattr(tools, "pixel_array"):
        return tools.pixel_array(dataset)
    array, name = dataset.pixel_array, dataset.PhotometricInterpretation
    return tools.convert_color_space(array, name, "RGB") if name in _CONVERTED else array


def pixel_tools() -> Any:
    """Return pydicom's module of pixel functions, under its name in pydicom 3 or in 2.4."""
    try:
        return import_module("pydicom.pixels")
    except ImportError:
        return import_module("pydicom.pixel_data_handlers.util")


def _otherwise(dataset: Any, syntax: str, path: str | os.PathLike[str], error: Exception) -> NDArray:
    """Return the values as SimpleITK decodes them, or raise for what pydicom said."""
    name = dataset.file_meta.TransferSyntaxUID.name
    if syntax in JPEG_FAMILY:
        try:
            return _by_simpleitk(dataset)
        except Exception as second:
            error = second
    elif _is_missing_decoder(error):
        package = DECODERS.get(syntax)
        remedy = f"pip install {package}" if package else "export the file uncompressed"
        raise UnusableFileError(f"{path}: {name} needs a decoder that is not installed; {remedy}.") from None
    raise UnusableFileError(
        f"{path}: expected whole pixel data in {name or 'a known transfer syntax'}, found {fault_of(error)}; export "
        "the file again, uncompressed if need be."
    ) from None


def _is_missing_decoder(error: Exception) -> bool:
    text = str(error).lower()
    said = ("missing dependencies", "missing required dependencies", "no available")  # pydicom 3, 2.4, 3
    return isinstance(error, NotImplementedError) or any(words in text for words in said)


def _by_simpleitk(dataset: Any) -> NDArray:
    """Decode a copy that holds the pixels alone, so that SimpleITK applies neither slope nor palette nor colours."""
    import pydicom
    import SimpleITK
    from pydicom.dataset import Dataset, FileMetaDataset

    colour = dataset.get("SamplesPerPixel", 1) == 3
    copy, meta = Dataset(), FileMetaDataset()
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    meta.MediaStorageSOPClassUID = copy.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID = pydicom.uid.generate_uid()
    copy.file_meta = meta
    for keyword in _KEPT_FOR_SIMPLEITK:
        if keyword in dataset:
            copy[keyword] = dataset[keyword]
    name = dataset.PhotometricInterpretation
    in_codec = name in ("YBR_RCT", "YBR_ICT")
    copy.PhotometricInterpretation = name if in_codec else "RGB" if colour else "MONOCHROME2"
    copy.PixelData = dataset.PixelData
    copy["PixelData"].VR, copy["PixelData"].is_undefined_length = "OB", True
    with tempfile.TemporaryDirectory() as folder:
        target = os.fspath(Path(folder) / "pixels.dcm")
        arguments = {"enforce_file_format": True} if int(pydicom.__version_info__[0]) > 2 else {}
        if not arguments:
            copy.is_little_endian, copy.is_implicit_VR = True, False
            arguments = {"write_like_original": False}
        copy.save_as(target, **arguments)
        array = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(target))
    array = array.reshape(-1, int(dataset.Rows), int(dataset.Columns), *((3,) if colour else ()))
    if name in _CONVERTED:
        array = pixel_tools().convert_color_space(array, name, "RGB")
    return array[0] if len(array) == 1 else array


def _by_pyav(dataset: Any, path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    import av

    stream = io.BytesIO(b"".join(_fragments(dataset.PixelData, path)))
    try:
        with av.open(stream, "r", metadata_errors="ignore") as container:
            frames: list[Any] = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    except (av.FFmpegError, IndexError) as error:
        raise UnusableFileError(
            f"{path}: expected a video in {dataset.file_meta.TransferSyntaxUID.name}, found {fault_of(error)}; export "
            "the file again."
        ) from None
    claimed = frame_count(dataset, path)
    if not frames or claimed - len(frames) > 1:
        raise UnusableFileError(
            f"{path}: expected the {claimed} frames of its header, found {len(frames)}; export the file again."
        )
    return np.stack(frames) if len(frames) > 1 else frames[0]
