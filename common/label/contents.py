"""What a file from a client must be: of the kind that its suffix says, and complete without any other file.

Several formats may name the file that holds their values, and readers follow: an image of `/etc/passwd` would be
answered for like any other.
"""

import re
from pathlib import Path

import h5py

from ..errors import UnusableFileError
from ..hdf5 import check_self_contained

HEADER_BYTES = 2**20
META_IMAGE = re.compile(rb"^\s*ElementDataFile\s*[=:][ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
DETACHED_NRRD = re.compile(rb"^\s*data ?file\s*:", re.MULTILINE | re.IGNORECASE)
HDF5 = rb"\x89HDF\r\n\x1a\n"
# How files of a kind begin; DICOM files need not begin in any way and name no others.
BEGINNINGS = {
    (".nii.gz",): rb"\x1f\x8b",
    (".nii",): rb"(\x5c\x01\x00\x00|\x00\x00\x01\x5c|\x1c\x02\x00\x00|\x00\x00\x02\x1c)",
    (".nrrd",): rb"NRRD000",
    (".mha", ".mhd"): rb"\s*\w+\s*[=:]",
    (".png",): rb"\x89PNG\r\n\x1a\n",
    (".jpg", ".jpeg"): rb"\xff\xd8\xff",
    (".bmp",): rb"BM",
    (".tif", ".tiff"): rb"(II|MM)",
    (".avi",): rb"RIFF",
    (".mp4", ".mov"): rb"(?s:....)(ftyp|moov|mdat|free|wide|skip)",
    (".mkv",): rb"\x1aE\xdf\xa3",
    (".mat",): rb"(MATLAB|" + HDF5 + rb"|\x00|(?s:.)\x00)",
    (".npz",): rb"PK\x03\x04",
    (".npy",): rb"\x93NUMPY",
}


def check_contents(path: Path) -> None:
    """Check a file that a client has sent; its suffix is one of those that are served.

    Raises:
        UnusableFileError: if it is of another kind, or names another file.
    """
    with path.open("rb") as stream:
        head = stream.read(HEADER_BYTES)
    name = path.name.lower()
    beginning = next((start for suffixes, start in BEGINNINGS.items() if name.endswith(suffixes)), b"")
    if not head or not re.match(beginning, head):
        raise UnusableFileError(f"{path.name}: expected a file of the kind that its suffix says, found another")
    data_files = META_IMAGE.findall(head)
    if name.endswith((".mha", ".mhd")) and not data_files:
        raise UnusableFileError(f"{path.name}: expected ElementDataFile in the header, found none")
    if any(found.strip().upper() != b"LOCAL" for found in data_files):
        raise UnusableFileError(f"{path.name}: expected ElementDataFile = LOCAL, found another file; send a .mha")
    if head.startswith(b"NRRD") and DETACHED_NRRD.search(head):
        raise UnusableFileError(f"{path.name}: expected the values in the file itself, found a header of another file")
    if h5py.is_hdf5(path):
        check_self_contained(path)
