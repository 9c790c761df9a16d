"""What a client may send: names, tags, suffixes of files, JSON."""

import json
import re
from pathlib import Path
from typing import Any, NoReturn

# What the bundles read.
VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
VIDEOS = (".avi", ".mp4", ".mov", ".mkv", ".dcm", ".dicom")
RADIO_FREQUENCY = (".mat", ".npz", ".npy")
SUFFIXES = (*VOLUMES, *PICTURES, *VIDEOS, *RADIO_FREQUENCY)

NAME = re.compile(r"[^\W_](?:[\w.,+=@()-]| (?! |$))*")
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
LONGEST_BYTES = 200


def checked_name(text: str) -> str:
    """Return `text` if it may name an image: never a path, a hidden file or anything that a shell or a config reads.

    Raises:
        ValueError: if it may not.
    """
    if not NAME.fullmatch(text) or ".." in text or text.endswith(".") or len(text.encode()) > LONGEST_BYTES:
        raise ValueError(
            "expected a name of letters, digits, single blanks and .,+=@()_-, that begins with a letter or a digit, "
            f"in at most {LONGEST_BYTES} bytes; found {text[:LONGEST_BYTES]!r}"
        )
    return text


def checked_tag(text: str) -> str:
    """Return `text` if it may be the tag of a label.

    Raises:
        ValueError: if it may not.
    """
    if not TAG.fullmatch(text):
        raise ValueError(f"expected a tag of up to 32 letters, digits, _ and -, found {text[:LONGEST_BYTES]!r}")
    return text


def split_name(file_name: str) -> tuple[str, str]:
    """Return the name in the name of a file, whatever folders a client puts before it, and its suffix in lower case.

    Raises:
        ValueError: if the suffix is none of :data:`SUFFIXES` or the name is refused by :func:`checked_name`.
    """
    base = re.split(r"[\\/]", file_name)[-1]
    suffix = next((suffix for suffix in SUFFIXES if base.lower().endswith(suffix)), None)
    if suffix is None:
        raise ValueError(f"{base[:LONGEST_BYTES]!r}: expected a file that ends in one of {', '.join(SUFFIXES)}")
    return checked_name(base[: -len(suffix)]), suffix


def inside(folder: Path, path: Path) -> bool:
    """Tell whether `path` lies in `folder` once every link in it is followed."""
    return path.resolve().is_relative_to(folder.resolve())


def read_object(text: str | bytes) -> dict[str, Any]:
    """Return a JSON object, in which NaN and Infinity are no numbers; empty text is an empty one.

    Raises:
        ValueError: if `text` is anything else.
    """
    try:
        content = json.loads(text or "{}", parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected a JSON object, found {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, found {type(content).__name__}")
    return content


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no number")
