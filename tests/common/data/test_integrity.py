import gzip
import struct
import zlib

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from common.data.integrity import check_claimed_size, check_compressed
from common.errors import UnusableFileError

VOXELS = np.random.default_rng(0).integers(0, 99, (6, 7, 8)).astype(np.int16)


def written(tmp_path, name, compressed=True, voxels=VOXELS):
    path = tmp_path / name
    if name.endswith(".nii.gz"):
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(voxels, isVector=voxels.ndim == 4), path, useCompression=compressed)
    return path


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.mhd", "a.nrrd", "a.nhdr"])
def test_accepts_what_the_libraries_write(tmp_path, name, compressed):
    for dtype in ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"):
        check_compressed(written(tmp_path, name, compressed, VOXELS.astype(dtype)))


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_accepts_vectors(tmp_path, name):
    check_compressed(written(tmp_path, name, True, np.stack([VOXELS, VOXELS], -1)))


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
@pytest.mark.parametrize("dtype", ["u8", "i8"])
def test_accepts_values_of_eight_bytes(tmp_path, name, dtype):
    check_compressed(written(tmp_path, name, True, VOXELS.astype(dtype)))


def test_leaves_other_files_alone(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    check_compressed(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.png"])
def test_refuses_a_file_that_is_not_there(tmp_path, name):
    with pytest.raises(UnusableFileError, match=f"{name}: expected a file, found none"):
        check_compressed(tmp_path / name)


def test_accepts_several_gzip_members_and_zeros_that_fill_the_last_block(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(b"first") + gzip.compress(b"second") + bytes(512))
    check_compressed(path)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.nrrd"])
def test_every_flipped_bit_of_the_compressed_voxels_is_found(tmp_path, name):
    path = written(tmp_path, name)
    data = path.read_bytes()
    end = len(data)
    for place in range(end - 200, end, 4):
        damaged = bytearray(data)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(UnusableFileError, match=rf"{name}: expected .*; copy or download the file again"):
            check_compressed(path)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.nrrd"])
@pytest.mark.parametrize("part", [0.6, 0.95])
def test_refuses_a_file_that_is_cut_off(tmp_path, name, part, compressed):
    path = written(tmp_path, name, compressed)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(UnusableFileError, match=rf"{name}: .*cut off.*; copy or download"):
        check_compressed(path)


@pytest.mark.parametrize(("name", "voxels"), [("a.mhd", "a.zraw"), ("a.nhdr", "a.raw.gz")])
def test_follows_the_header_to_the_file_of_the_voxels(tmp_path, name, voxels):
    path = written(tmp_path, name)
    data = (tmp_path / voxels).read_bytes()
    (tmp_path / voxels).write_bytes(data[:-20])
    with pytest.raises(UnusableFileError, match=rf"{voxels}: .*cut off"):
        check_compressed(path)
    (tmp_path / voxels).unlink()
    with pytest.raises(UnusableFileError, match=rf"{name}: expected its voxels in {voxels}, found no such file"):
        check_compressed(path)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.nrrd"])
def test_refuses_what_follows_the_compressed_data(tmp_path, name):
    path = written(tmp_path, name)
    path.write_bytes(path.read_bytes() + b"<html>")
    with pytest.raises(UnusableFileError, match=rf"{name}: expected whole compressed data"):
        check_compressed(path)


def test_refuses_a_page_with_the_name_of_a_volume(tmp_path):
    for name in ("a.nii.gz", "a.mha", "a.nrrd"):
        (tmp_path / name).write_text("<html>404</html>")
        with pytest.raises(UnusableFileError, match=name):
            check_compressed(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mha", "a.nrrd"])
def test_a_bomb_is_refused_at_its_limit(tmp_path, name):
    path = written(tmp_path, name, voxels=np.zeros((40, 100, 100), np.int16))
    with pytest.raises(UnusableFileError, match=rf"{name}: expected at most 0.0001 GB"):
        check_compressed(path, limit=100_000)


def header(sizes="8 7 6", axes=3, element="MET_SHORT", compressed="True", place="LOCAL", more=""):
    return (
        f"ObjectType = Image\nNDims = {axes}\nCompressedData = {compressed}\n{more}DimSize = {sizes}\n"
        f"ElementType = {element}\nElementDataFile = {place}\n"
    ).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (header(axes=900), "NDims = 900"),
        (header(sizes="8 7"), "NDims = 3 with 2 sizes"),
        (header(sizes="8 7 x"), "DimSize = 8 7 x"),
        (header(sizes="8 7 -6"), "size of at least 1 along each axis, found 1 x 8 x 7 x -6"),
        (header(sizes="40000 40000 4"), "claims 1 x 40000 x 40000 x 4 of 2 bytes .12.8 GB"),
        (header(element="MET_OTHER"), "ElementType = MET_OTHER"),
        (header(sizes="40000 40000 4", more="BinaryData = False\n"), "12.8 GB"),
        (header() + zlib.compress(bytes(671)), "expected 672 bytes of values as its header says, found 671"),
        (header() + zlib.compress(bytes(673)), "expected 672 bytes of values as its header says, found more"),
        (b"ObjectType = Image\nNDims = 3\n", "no ElementDataFile in its header"),
    ],
)
def test_refuses_a_metaimage_by_its_header(tmp_path, content, reason):
    path = tmp_path / "a.mha"
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match=rf"a\.mha: .*{reason}"):
        check_compressed(path)


def test_accepts_a_metaimage_whose_voxels_are_in_many_files(tmp_path):
    path = tmp_path / "a.mhd"
    path.write_bytes(header(place="slice%03d.raw 1 6 1"))
    check_compressed(path)
    path.write_bytes(header(place="LIST"))
    check_compressed(path)


def test_a_claimed_size_is_that_of_all_values(tmp_path):
    path = tmp_path / "a.nii"
    path.write_bytes(bytes(24))
    check_claimed_size(path, (2, 3), 4)
    with pytest.raises(UnusableFileError, match=r"a\.nii: expected 32 bytes of values as its header says, found 24"):
        check_claimed_size(path, (2, 4), 4)
    check_claimed_size(path, (2, 4), 4, compressed=True)
    with pytest.raises(UnusableFileError, match=r"claims 65535 x 65535 of 1 bytes \(4.29 GB\); export a smaller part"):
        check_claimed_size(path, (65535, 65535), 1, compressed=True)
    with pytest.raises(UnusableFileError, match="at most 3e-08 GB"):
        check_claimed_size(path, np.array([4, 2], np.int16), 4, limit=30, compressed=True)
    for shape in ((), (0, 3), (-1, 3)):
        with pytest.raises(UnusableFileError, match="at least 1 along each axis"):
            check_claimed_size(path, shape, 1)


def test_a_product_does_not_wrap_around(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(struct.pack("<I", 1))
    with pytest.raises(UnusableFileError, match="GB"):
        check_claimed_size(path, np.array([2**16] * 4, np.int32), 1)
    check_claimed_size(path, (1000, 1000), 1)  # compressed, as its name says
