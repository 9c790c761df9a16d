import av
import h5py
import nibabel
import numpy as np
import pytest
import scipy.io
import SimpleITK as sitk
from PIL import Image

from common.errors import UnusableFileError
from common.label.checks import SUFFIXES
from common.label.contents import check_contents

PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


def write(path):
    """Write a small file by the library of its suffix."""
    suffix = path.name[path.name.index(".") :]
    if suffix in (".nii", ".nii.gz"):
        nibabel.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)).to_filename(path)
    elif suffix in (".mha", ".mhd", ".nrrd", ".dcm"):
        sitk.WriteImage(sitk.GetImageFromArray(PIXELS[None]), str(path))
    elif suffix in (".avi", ".mp4", ".mov", ".mkv"):
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width = stream.height = 32
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux([*stream.encode(frame), *stream.encode()])
    elif suffix == ".mat":
        scipy.io.savemat(path, {"rf": PIXELS})
    elif suffix == ".npz":
        np.savez(path, rf=PIXELS)
    elif suffix == ".npy":
        np.save(path, PIXELS)
    else:
        Image.fromarray(PIXELS).save(path)
    return path


OWN = sorted(set(SUFFIXES) - {".mhd", ".dicom"})


@pytest.mark.parametrize("suffix", OWN)
def test_what_libraries_write_is_taken(tmp_path, suffix):
    check_contents(write(tmp_path / f"a{suffix}"))


@pytest.mark.parametrize("suffix", sorted(set(OWN) - {".dcm"}))
@pytest.mark.parametrize(
    "content",
    [b"", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n",
     b"%!PS-Adobe-3.0 EPSF-3.0\n",
     b"import os\n", b"v=0\no=- 0 0 IN IP4 127.0.0.1\n", b"#!/bin/sh\n", b"<MPD/>"],
    ids=range(8),
)  # fmt: skip
def test_another_kind_under_that_suffix_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match="a"):
        check_contents(path)


HEADER = b"ObjectType = Image\nNDims = 3\nDimSize = 8 8 8\nElementType = MET_UCHAR\n"


@pytest.mark.parametrize(
    "line",
    [b"ElementDataFile = /etc/passwd\n", b"ElementDataFile = other.raw\n", b"elementdatafile : /etc/passwd\n",
     b"ElementDataFile = LIST\n/etc/passwd\n", b"  ElementDataFile=LOCAL.raw\n", b"ElementDataFile = \n", b"",
     b"Comment = ElementDataFile = LOCAL\nElementDataFile = /etc/passwd\n",
     b"ElementDataFile = LOCAL\nElementDataFile = /etc/passwd\n"],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
def test_an_image_whose_values_are_in_another_file_is_refused(tmp_path, suffix, line):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(HEADER + line)
    with pytest.raises(UnusableFileError, match="ElementDataFile"):
        check_contents(path)


def test_a_header_apart_from_its_values_is_refused_though_the_library_reads_it(tmp_path):
    write(tmp_path / "a.mhd")
    assert sitk.ReadImage(str(tmp_path / "a.mhd")).GetSize() == (8, 8, 1)
    with pytest.raises(UnusableFileError, match="ElementDataFile = LOCAL"):
        check_contents(tmp_path / "a.mhd")


@pytest.mark.parametrize("field", [b"data file: /etc/passwd", b"datafile: other.raw", b"Data File: LIST"])
def test_a_detached_nrrd_is_refused(tmp_path, field):
    path = tmp_path / "a.nrrd"
    path.write_bytes(b"NRRD0004\ntype: uchar\ndimension: 1\nsizes: 8\nencoding: raw\n" + field + b"\n\n")
    with pytest.raises(UnusableFileError, match="another file"):
        check_contents(path)


def test_hdf5_that_takes_values_from_another_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "whole.mat", "w") as file:
        file["rf"] = PIXELS
    check_contents(tmp_path / "whole.mat")
    with h5py.File(tmp_path / "link.mat", "w") as file:
        file["rf"] = h5py.ExternalLink(str(tmp_path / "whole.mat"), "/rf")
    with pytest.raises(UnusableFileError, match="another file"):
        check_contents(tmp_path / "link.mat")
