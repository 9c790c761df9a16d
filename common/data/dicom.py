"""DICOM files of any age: with or without preamble, and nothing about the patient in any log."""

import logging
import os
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import UnusableFileError
from .integrity import check_kind

PREAMBLE = 128
UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
DEFLATED = "1.2.840.10008.1.2.1.99"
LARGEST_INFLATED_BYTES = 4_000_000_000
_CHUNK_BYTES = 1 << 20
# The file meta information's group length stands first: tag, VR, length and value, 12 bytes in all.
_GROUP_LENGTH_BYTES = 12

logger = logging.getLogger(__name__)


def is_dicom(path: str | os.PathLike[str]) -> bool:
    """Return whether a file begins as DICOM does: with the preamble, or without it with an element of group 2 or 8."""
    if has_preamble(path):
        return True
    with open(path, "rb") as stream:
        start = stream.read(8)
    if len(start) < 8:
        return False
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    groups = [struct.unpack(order, start[:2])[0] for order in ("<H", ">H")]
    return (explicit and not {2, 8}.isdisjoint(groups)) or (groups[0] == 8 and struct.unpack("<I", start[4:])[0] < 1024)


def should_be_dicom(path: Path) -> bool:
    """Return whether a file is DICOM by its content or, damaged perhaps, by its suffix; a DICOMDIR is no image."""
    return path.name.upper() != "DICOMDIR" and (path.suffix.lower() in (".dcm", ".ima") or is_dicom(path))


def has_preamble(path: str | os.PathLike[str]) -> bool:
    """Return whether a file has the 128 bytes and the letters DICM before its elements."""
    with open(path, "rb") as stream:
        return stream.read(PREAMBLE + 4)[PREAMBLE:] == b"DICM"


def read_dicom(
    path: str | os.PathLike[str], stop_before_pixels: bool = False, tags: Sequence[Any] | None = None
) -> Any:
    """Return the pydicom dataset of a file, every element read; `file_meta` always has a transfer syntax.

    Elements whose value cannot be read are left out, and their keywords logged. What pydicom has to say about values
    is kept from log and console: a damaged header puts names and birth dates into any element.

    Args:
        path: DICOM file, with a preamble or without.
        stop_before_pixels: whether to leave the pixels on the disk.
        tags: keywords or numbers of the elements to read; all if None.

    Raises:
        UnusableFileError: if the file is no DICOM, is cut off or damaged, or holds none of the `tags`.
    """
    check_kind(path, "a DICOM file")
    if not is_dicom(path):
        raise UnusableFileError(f"{path}: expected a DICOM file, found another kind of file; choose the DICOM series.")
    with silent_pydicom():
        try:
            dataset = _dataset(path, stop_before_pixels, tags)
            damaged = _drop_damaged(dataset)
        except (OSError, UnusableFileError):
            raise
        except Exception as error:
            raise UnusableFileError(
                f"{path}: expected a whole DICOM file, found {fault_of(error)}; export it again."
            ) from None
    if not len(dataset):
        raise UnusableFileError(
            f"{path}: expected a whole DICOM file with an image, found one that is cut off or another kind of file; "
            "export it again."
        )
    if damaged:
        logger.warning("%s: left out elements with damaged values: %s", path, ", ".join(damaged))
    return dataset


def left_after_header(path: str | os.PathLike[str]) -> int:
    """Return the bytes of a file from the element of the pixels on, without reading them; the file is not deflated."""
    import pydicom

    with silent_pydicom(), open(path, "rb") as stream:
        pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=[], force=True)
        return os.fstat(stream.fileno()).st_size - stream.tell()


@contextmanager
def silent_pydicom() -> Iterator[None]:
    """Keep the warnings of pydicom and highdicom, which quote values, from console and log."""
    sources = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    levels = [source.level for source in sources]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for source in sources:
            source.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for source, level in zip(sources, levels, strict=True):
                source.setLevel(level)


def fault_of(error: Exception) -> str:
    """Return in words what is wrong with the file; without the error's own text, which may quote the patient."""
    if isinstance(error, (EOFError, struct.error, IndexError)):
        return "one that is cut off"
    if isinstance(error, MemoryError):
        return "one that claims more than the memory holds"
    return f"a damaged one ({type(error).__name__})"


def _dataset(path: str | os.PathLike[str], stop_before_pixels: bool, tags: Sequence[Any] | None) -> Any:
    import pydicom
    from pydicom.uid import UID

    if has_preamble(path):
        _check_deflated(path)
    specific = None if tags is None else list(tags)
    dataset = pydicom.dcmread(path, stop_before_pixels=stop_before_pixels, force=True, specific_tags=specific)
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = UID(_encoding(dataset))
    return dataset


def _check_deflated(path: str | os.PathLike[str]) -> None:
    """Refuse a deflated file that fills the memory, before it does."""
    from pydicom.filereader import read_file_meta_info

    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DEFLATED:
        return
    decoder, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with open(path, "rb") as stream:
        stream.seek(PREAMBLE + 4 + _GROUP_LENGTH_BYTES + int(meta.FileMetaInformationGroupLength))
        while not decoder.eof and (data := decoder.unconsumed_tail or stream.read(_CHUNK_BYTES)):
            total += len(decoder.decompress(data, _CHUNK_BYTES))
            if total > LARGEST_INFLATED_BYTES:
                raise UnusableFileError(
                    f"{path}: expected at most {LARGEST_INFLATED_BYTES / 1e9:.3g} GB when decompressed, found more; "
                    "export a smaller part."
                )


def _encoding(dataset: Any) -> str:
    """Return the transfer syntax in which the elements were found to be written."""
    from pydicom import uid

    implicit, little = getattr(dataset, "original_encoding", (None, None))
    if implicit is None:  # pydicom 2
        implicit, little = dataset.read_implicit_vr, dataset.read_little_endian
    if implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian


def _drop_damaged(dataset: Any) -> list[str]:
    """Read every element, nested ones too; delete those that cannot be read and return their keywords or tags."""
    from pydicom.datadict import keyword_for_tag

    damaged = []
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            items = element.value if element.VR == "SQ" else ()
        except Exception:  # whatever is wrong with one value, the other elements may serve
            del dataset[tag]
            damaged.append(keyword_for_tag(tag) or str(tag))
            continue
        for item in items or ():
            damaged += _drop_damaged(item)
    return list(dict.fromkeys(damaged))
