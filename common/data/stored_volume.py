"""What the headers of MetaImage and NRRD files claim about the voxels that follow them."""

import re
from pathlib import Path
from typing import NamedTuple

from ..errors import UnusableFileError

MOST_AXES = 5
_LARGEST_HEADER_BYTES = 65536
_META_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}
# Of the names that NRRD has for its types, words such as "unsigned", "int" or "_t" say nothing about the size.
_NRRD_BYTES = {
    **dict.fromkeys(("char", "int8"), 1),
    **dict.fromkeys(("short", "int16"), 2),
    **dict.fromkeys(("int", "int32", "float"), 4),
    **dict.fromkeys(("longlong", "int64", "double"), 8),
}


class StoredVolume(NamedTuple):
    """What a header claims.

    Attributes:
        shape: values along each axis; the components of a vector are the first.
        bytes_per_value: bytes of one value.
        compressed: whether the voxels are a zlib or gzip stream.
        data: the file that holds them; None if they are spread over several or written as text.
        offset: byte of `data` at which they begin.
    """

    shape: tuple[int, ...]
    bytes_per_value: int
    compressed: bool
    data: Path | None
    offset: int


def stored_volume(path: Path) -> StoredVolume | None:
    """Return what the header of a MetaImage or NRRD file claims, None for a name of another kind.

    Raises:
        UnusableFileError: if the header does not end, lacks a field that the size depends on, or claims more than
            MOST_AXES axes (the library that reads the file crashes on hundreds of them, as on a path that is not in
            UTF-8), or names a file outside of its folder.
    """
    suffix = path.suffix.lower()
    if suffix not in (".mha", ".mhd", ".nrrd", ".nhdr"):
        return None
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UnusableFileError(
            f"{path}: expected a path in UTF-8, without which the library that reads {suffix} ends the process, found "
            "other bytes; rename it"
        ) from error
    with path.open("rb") as stream:
        head = stream.read(_LARGEST_HEADER_BYTES)
    return _metaimage(path, head) if suffix in (".mha", ".mhd") else _nrrd(path, head)


def _metaimage(path: Path, head: bytes) -> StoredVolume:
    end = re.search(rb"^[ \t]*ElementDataFile[ \t]*[=:][ \t]*([^\n]*?)[ \t\r]*(\n|\Z)", head, re.MULTILINE)
    if end is None:
        raise _damaged(path, "no ElementDataFile in its header")
    fields = _fields(head[: end.start()], r"^\s*(\w+)\s*[=:]\s*(.*?)\s*$")
    axes, sizes = _whole(path, fields, "NDims")[0], _whole(path, fields, "DimSize")
    if not 1 <= axes <= MOST_AXES or len(sizes) != axes:
        raise _damaged(path, f"NDims = {axes} with {len(sizes)} sizes (1 to {MOST_AXES} axes are read)")
    name = re.sub(r"^MET_U?|_ARRAY$", "", fields.get("ElementType", ""))
    if name not in _META_BYTES:
        raise _damaged(path, f"ElementType = {fields.get('ElementType', 'nothing')}")
    channels = _whole(path, {"n": fields.get("ElementNumberOfChannels", "1")}, "n")[0]
    skipped = max(_whole(path, {"HeaderSize": fields.get("HeaderSize", "0")}, "HeaderSize")[0], 0)
    data, offset = _place(path, end.group(1).decode("latin-1"), end.end(), head)
    binary = fields.get("BinaryData", "True")[:1] in "Tt1"
    return StoredVolume(
        (channels, *sizes),
        _META_BYTES[name],
        fields.get("CompressedData", "False")[:1] in "Tt1",
        data if binary else None,
        offset + skipped,
    )


def _nrrd(path: Path, head: bytes) -> StoredVolume:
    end = re.search(rb"\r?\n\r?\n", head)
    header = head[: end.start()] if end else head
    fields = {name.lower(): value for name, value in _fields(header, r"^([\w ]+): \s*(.*?)\s*$").items()}
    detached = fields.get("data file", fields.get("datafile"))
    if not head.startswith(b"NRRD") or (end is None and detached is None):
        raise _damaged(path, "no complete NRRD header")
    axes, sizes = _whole(path, fields, "dimension")[0], _whole(path, fields, "sizes")
    if not 1 <= axes <= MOST_AXES or len(sizes) != axes:
        raise _damaged(path, f"dimension: {axes} with {len(sizes)} sizes (1 to {MOST_AXES} axes are read)")
    kind = re.sub(r"\b(un)?signed\b|^u(?=\w)|_t$| ", "", fields.get("type", ""))
    kind = kind.removesuffix("int") if kind in ("shortint", "longlongint") else kind
    if kind not in _NRRD_BYTES:
        raise _damaged(path, f"type: {fields.get('type', 'nothing')}")
    encoding = fields.get("encoding", "").lower()
    data, offset = _place(path, detached or "LOCAL", end.end() if end else 0, head)
    # A skip counts decompressed bytes or lines of text: such a file, of which no writer is known, has its size checked.
    plain = encoding in ("raw", "gz", "gzip") and not {"byte skip", "line skip", "byteskip", "lineskip"} & set(fields)
    return StoredVolume(sizes, _NRRD_BYTES[kind], encoding in ("gz", "gzip"), data if plain else None, offset)


def _fields(header: bytes, line: str) -> dict[str, str]:
    return dict(re.findall(line, header.decode("latin-1").replace("\r\n", "\n"), re.MULTILINE))


def _whole(path: Path, fields: dict[str, str], name: str) -> tuple[int, ...]:
    words = fields.get(name, "").split()
    if not words or not all(re.fullmatch(r"-?[0-9]{1,18}", word) for word in words):
        raise _damaged(path, f"{name} = {fields.get(name, 'nothing')[:80]}")
    return tuple(int(word) for word in words)


def _place(path: Path, name: str, header_bytes: int, head: bytes) -> tuple[Path | None, int]:
    """Return the file that holds the voxels and the byte where they begin; None for a list or a pattern of files."""
    if name.upper() == "LOCAL":
        return path, header_bytes
    is_list = name.upper().startswith("LIST")
    if is_list and path.stat().st_size > len(head):
        raise _damaged(path, f"a list of files of more than {_LARGEST_HEADER_BYTES // 1024} KiB")
    for file in (line.strip() for line in head.decode("latin-1").splitlines()) if is_list else [name]:
        if Path(file).is_absolute() or ".." in Path(file).parts:
            raise _damaged(path, f"voxels in {file[:80]}, outside of its folder")
    return None if is_list or "%" in name else path.parent / name, 0


def _damaged(path: Path, found: str) -> UnusableFileError:
    return UnusableFileError(f"{path}: expected the header of an image, found {found}; export the image again.")
