import os

import numpy as np
import pytest
import SimpleITK as sitk

from common.data.integrity import check_compressed
from common.data.stored_volume import stored_volume
from common.errors import UnusableFileError

# Names of the types, from the definition of the NRRD format.
NRRD_TYPES = {
    1: "signed char,int8,int8_t,uchar,unsigned char,uint8,uint8_t",
    2: "short,short int,signed short,signed short int,int16,int16_t,ushort,unsigned short,unsigned short int,uint16,"
    "uint16_t",
    4: "int,signed int,int32,int32_t,uint,unsigned int,uint32,uint32_t,float",
    8: "longlong,long long,long long int,signed long long,signed long long int,int64,int64_t,ulonglong,"
    "unsigned long long,unsigned long long int,uint64,uint64_t,double",
}


def nrrd(tmp_path, kind="short", dimension="3", sizes="8 7 6", encoding="gzip", more="", end="\n"):
    path = tmp_path / "a.nrrd"
    path.write_text(
        f"NRRD0004\n# a comment\ntype: {kind}\ndimension: {dimension}\nsizes: {sizes}\n"
        f"encoding: {encoding}\n{more}{end}"
    )
    return path


@pytest.mark.parametrize(
    ("size", "name"), [(size, name) for size, names in NRRD_TYPES.items() for name in names.split(",")]
)
def test_knows_every_type_of_nrrd(tmp_path, size, name):
    assert stored_volume(nrrd(tmp_path, name)).bytes_per_value == size


def test_reads_shape_place_and_compression(tmp_path):
    path = nrrd(tmp_path)
    assert stored_volume(path) == ((8, 7, 6), 2, True, path, path.stat().st_size)
    windows = tmp_path / "w.nrrd"
    windows.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"voxels")
    assert stored_volume(windows) == ((8, 7, 6), 2, True, windows, windows.stat().st_size - 6)
    detached = nrrd(tmp_path, encoding="raw", more="data file: b.raw\n", end="")
    assert stored_volume(detached) == ((8, 7, 6), 2, False, tmp_path / "b.raw", 0)


@pytest.mark.parametrize(
    "settings",
    [{"encoding": "ascii"}, {"encoding": "bzip2"}, {"more": "byte skip: 3\n"}, {"more": "data file: LIST\n"}],
    ids=str,
)
def test_voxels_that_are_not_one_plain_stream_have_their_size_checked_alone(tmp_path, settings):
    assert stored_volume(nrrd(tmp_path, **settings)).data is None
    check_compressed(nrrd(tmp_path, **settings))
    with pytest.raises(UnusableFileError, match=r"12\.8 GB"):
        check_compressed(nrrd(tmp_path, sizes="40000 40000 4", **settings))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"dimension": "900"}, "dimension: 900 with 3 sizes"),
        ({"sizes": "8 7"}, "dimension: 3 with 2 sizes"),
        ({"sizes": "8 7 6e9"}, "sizes = 8 7 6e9"),
        ({"sizes": "9" * 400}, "sizes = 9"),
        ({"kind": "block"}, "type: block"),
        ({"end": ""}, "no complete NRRD header"),
    ],
)
def test_refuses_a_header_that_cannot_be(tmp_path, settings, reason):
    with pytest.raises(UnusableFileError, match=rf"a\.nrrd: expected the header of an image, found {reason}"):
        stored_volume(nrrd(tmp_path, **settings))


def test_other_names_have_no_such_header(tmp_path):
    assert stored_volume(tmp_path / "a.nii.gz") is None


@pytest.mark.parametrize("place", ["/dev/zero", "../a.raw", "deeper/../../a.raw"])
def test_refuses_voxels_outside_of_the_folder_of_the_header(tmp_path, place):
    path = nrrd(tmp_path, encoding="raw", more=f"data file: {place}\n")
    with pytest.raises(UnusableFileError, match=r"a\.nrrd: expected .* outside of its folder"):
        stored_volume(path)


LISTS = {
    ".mhd": "ObjectType = Image\nNDims = 3\nDimSize = 4 4 2\nElementType = MET_UCHAR\nElementDataFile = LIST\n",
    ".nrrd": "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4 4 2\nencoding: raw\ndata file: LIST\n",
}


@pytest.mark.parametrize("suffix", LISTS)
@pytest.mark.parametrize("place", ["{}/secret", "../secret", "b/../../secret"])
def test_refuses_a_list_of_files_of_which_one_is_outside_of_the_folder(tmp_path, suffix, place):
    (tmp_path / "data" / "b").mkdir(parents=True)
    for name in ("secret", "data/a.raw"):
        (tmp_path / name).write_bytes(bytes([7]) * 16)
    path = tmp_path / "data" / f"a{suffix}"
    path.write_text(f"{LISTS[suffix]}a.raw\na.raw\n")
    assert check_compressed(path) is None and (sitk.GetArrayFromImage(sitk.ReadImage(str(path))) == 7).all()
    path.write_text(f"{LISTS[suffix]}a.raw\n{place.format(tmp_path)}\n")
    assert (sitk.GetArrayFromImage(sitk.ReadImage(str(path))) == 7).all()  # the library follows it
    with pytest.raises(UnusableFileError, match=rf"a{suffix}: expected .* outside of its folder"):
        stored_volume(path)


def test_refuses_a_list_of_files_that_is_too_long_to_be_checked(tmp_path):
    path = tmp_path / "a.mhd"
    path.write_text(LISTS[".mhd"] + "a.raw\n" * 20_000 + "/etc/passwd\n")
    with pytest.raises(UnusableFileError, match=r"a\.mhd: expected .* found a list of files of more than 64 KiB"):
        stored_volume(path)


def test_a_remark_does_not_hide_the_field_that_names_the_voxels(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("secret", "data/a.raw"):
        (tmp_path / name).write_bytes(bytes([7]) * 32)
    header = LISTS[".nrrd"].replace("LIST", str(tmp_path / "secret"))
    (tmp_path / "data" / "a.nrrd").write_text(f"{header}data file:=a.raw\n")  # := is a key of the user
    assert (sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "data" / "a.nrrd"))) == 7).all()
    with pytest.raises(UnusableFileError, match=r"a\.nrrd: expected .* outside of its folder"):
        stored_volume(tmp_path / "data" / "a.nrrd")


def test_refuses_a_path_on_which_the_reading_library_ends_the_process(tmp_path):
    path = nrrd(tmp_path).rename(tmp_path / os.fsdecode(b"\xff.nrrd"))
    with pytest.raises(UnusableFileError, match=r"expected a path in UTF-8.*rename it"):
        stored_volume(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_values_that_begin_with_any_byte_are_whole(tmp_path, compressed):
    path = tmp_path / "a.mha"
    for byte in range(256):
        for second in (byte, ord("\n")):
            image = sitk.GetImageFromArray(np.full((1, 4, 4), byte, dtype=np.uint8))
            image[1, 0, 0] = second
            sitk.WriteImage(image, str(path), compressed)
            check_compressed(path)
