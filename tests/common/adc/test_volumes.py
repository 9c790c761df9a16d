import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.transforms import LoadImage

from common.adc import (
    LoadVolumed,
    VolumeReader,
    read_grid,
    read_volume,
    voxel_spacing_mm,
    write_on_grid,
)
from common.errors import UnusableFileError
from tests.full_disk import full_disk

SPACING = (0.7, 0.9, 2.2)


def direction(kind):
    if kind == "oblique":
        turn = sitk.Euler3DTransform()
        turn.SetRotation(0.3, -0.2, 0.5)
        return turn.GetMatrix()
    return {"identity": (1, 0, 0, 0, 1, 0, 0, 0, 1), "permuted": (0, 0, 1, 1, 0, 0, 0, 1, 0)}.get(
        kind, (-1, 0, 0, 0, -1, 0, 0, 0, 1)
    )


def write(path, array, kind="oblique", spacing=SPACING, origin=(5.0, -7.5, 11.25)):
    """Write (X, Y, Z) or vector (X, Y, Z, C) voxels."""
    vector = array.ndim == 4
    image = sitk.GetImageFromArray(np.ascontiguousarray(np.moveaxis(array, (0, 2), (2, 0))), isVector=vector)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction(kind))
    sitk.WriteImage(image, str(path))
    return str(path)


def voxels(shape=(4, 5, 6), seed=0, dtype=np.float32):
    return (1000 * np.random.RandomState(seed).random_sample(shape)).astype(dtype)


@pytest.mark.parametrize("kind", ["identity", "oblique", "permuted", "flipped"])
def test_place_of_each_voxel_is_that_of_simpleitk_in_ras(tmp_path, kind):
    path = write(tmp_path / "a.mha", voxels(), kind)
    loaded = LoadVolumed("image")({"image": path})["image"]
    image = sitk.ReadImage(path)
    np.testing.assert_array_equal(loaded[0].numpy(), voxels())
    for index in [(0, 0, 0), (3, 1, 5), (2, 4, 0)]:
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((loaded.affine @ torch.tensor([*index, 1.0], dtype=torch.float64))[:3], (-x, -y, z))


@pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning")  # one of MONAI's own readers, not asked
def test_serves_monais_loader_by_name(tmp_path):
    loaded = LoadImage(reader=VolumeReader, image_only=True)(write(tmp_path / "a.mha", voxels()))
    np.testing.assert_array_equal(loaded.numpy(), voxels())


def test_nifti_has_the_affine_that_nibabel_reads(tmp_path):
    path = write(tmp_path / "a.nii.gz", voxels())
    np.testing.assert_allclose(read_grid(path).affine, nibabel.load(path).affine, atol=1e-5)
    np.testing.assert_array_equal(read_volume(path)[0][0], nibabel.load(path).get_fdata().astype(np.float32))


def test_files_of_one_grid_become_channels(tmp_path):
    paths = [write(tmp_path / f"{n}.mha", voxels(seed=n)) for n in (1, 2)]
    loaded = LoadVolumed("image")({"image": paths})["image"]
    np.testing.assert_array_equal(loaded.numpy(), np.stack([voxels(seed=1), voxels(seed=2)]))
    assert loaded.meta["filename_or_obj"] == paths[0]


@pytest.mark.parametrize("form", ["4D NIfTI", "vector"])
def test_channels_of_one_file_are_the_same_as_two_files(tmp_path, form):
    pair = np.stack([voxels(seed=1), voxels(seed=2)], axis=-1)
    path = tmp_path / ("a.nii" if form == "4D NIfTI" else "a.mha")
    if form == "vector":
        write(path, pair)
    else:
        nibabel.save(nibabel.Nifti1Image(pair, np.diag([2.0, 2.0, 3.0, 1.0])), path)
    loaded = LoadVolumed("image")({"image": path})["image"]
    np.testing.assert_array_equal(loaded.numpy(), np.moveaxis(pair, -1, 0))
    assert read_grid(path).size == (4, 5, 6)


def test_integers_become_float32_unscaled(tmp_path):
    path = write(tmp_path / "a.mha", voxels(dtype=np.int16))
    array, _ = read_volume(path)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array[0], voxels(dtype=np.int16))


@pytest.mark.parametrize("kind", ["identity", "oblique", "permuted", "flipped"])
@pytest.mark.parametrize("suffix", [".mha", ".nii.gz"])
def test_written_mask_lies_exactly_on_the_input(tmp_path, kind, suffix):
    source = write(tmp_path / f"a{suffix}", voxels(), kind)
    mask = voxels() > 500
    write_on_grid(mask, tmp_path / "out" / f"mask{suffix}", source)
    written, image = sitk.ReadImage(str(tmp_path / "out" / f"mask{suffix}")), sitk.ReadImage(source)
    assert written.GetSize() == image.GetSize()
    for ask in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(written, ask)(), getattr(image, ask)(), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(read_volume(tmp_path / "out" / f"mask{suffix}")[0][0], mask)


def test_mask_of_a_4d_input_is_3d_on_its_grid(tmp_path):
    nibabel.save(nibabel.Nifti1Image(voxels((4, 5, 6, 2)), np.diag([2.0, 2.0, 3.0, 1.0])), tmp_path / "a.nii")
    write_on_grid(voxels() > 500, tmp_path / "mask.nii", tmp_path / "a.nii")
    written = nibabel.load(tmp_path / "mask.nii")
    assert written.shape == (4, 5, 6)
    np.testing.assert_allclose(written.affine, np.diag([2.0, 2.0, 3.0, 1.0]), atol=1e-6)


def test_failed_writing_leaves_the_old_file(tmp_path):
    source = write(tmp_path / "a.mha", voxels())
    write_on_grid(voxels() > 500, tmp_path / "mask.mha", source)
    before = (tmp_path / "mask.mha").read_bytes()
    with pytest.raises(ValueError, match=r"expected the size \(4, 5, 6\) of .*a.mha, found \(4, 5, 5\)"):
        write_on_grid(np.zeros((4, 5, 5)), tmp_path / "mask.mha", source)
    assert (tmp_path / "mask.mha").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mha", "mask.mha"]


def test_spacing_is_read_from_the_header(tmp_path):
    assert voxel_spacing_mm(write(tmp_path / "a.mha", voxels())) == pytest.approx(SPACING)


def test_files_of_different_grids_are_refused(tmp_path):
    paths = [write(tmp_path / "adc.mha", voxels()), write(tmp_path / "z.mha", voxels(), origin=(5.0, -7.5, 12.25))]
    with pytest.raises(UnusableFileError, match=r"z.mha: expected the grid of .*adc.mha, found voxels up to 1 mm away"):
        VolumeReader().get_data(paths)


def test_damaged_missing_and_flat_files_are_named(tmp_path):
    whole = write(tmp_path / "a.mha", voxels((30, 30, 30)))
    content = (tmp_path / "a.mha").read_bytes()
    (tmp_path / "cut.mha").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.nii.gz").write_text("not an image")
    with pytest.raises(UnusableFileError, match=r"cut.mha: expected 108000 bytes of .* found 5\d+"):
        read_volume(tmp_path / "cut.mha")
    with pytest.raises(UnusableFileError, match=r"text.nii.gz: expected an image file, found plain text"):
        read_volume(tmp_path / "text.nii.gz")
    with pytest.raises(UnusableFileError, match=r"none.mha: expected an image file"):
        read_grid(tmp_path / "none.mha")
    flat = sitk.GetImageFromArray(np.zeros((5, 6), np.float32))
    sitk.WriteImage(flat, str(tmp_path / "flat.mha"))
    for read in (read_volume, read_grid):
        with pytest.raises(UnusableFileError, match=r"flat.mha: expected a 3D volume.*found 2D"):
            read(tmp_path / "flat.mha")
    assert read_volume(whole)[0].shape == (1, 30, 30, 30)


def test_volume_of_one_slice_is_a_volume(tmp_path):
    array, grid = read_volume(write(tmp_path / "a.mha", voxels((7, 6, 1))))
    assert array.shape == (1, 7, 6, 1) and grid.size == (7, 6, 1)


def changed(path, *replacements):
    """Return a MetaImage beside `path` with other words in its header."""
    content = path.read_bytes()
    for old, new in replacements:
        assert old in content
        content = content.replace(old, new, 1)
    path.with_name("changed.mha").write_bytes(content)
    return path.with_name("changed.mha")


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (b"NDims = 3", b"NDims = 900", "NDims = 900"),
        (b"DimSize = 4 5 6", b"DimSize = 40000 40000 4", "40000 x 40000 x 4"),
        (b"DimSize = 4 5 6", b"DimSize = 4 5 -6", "-6"),
        (b"ElementSpacing = 2", b"ElementSpacing = 0", "found 0 x 3 x 4 mm"),
        (b"ElementSpacing = 2", b"ElementSpacing = nan", "expected voxels of 0.05 to 30 mm"),
        (b"ElementSpacing", b"ElementSpacinh", "expected ElementSpacing in its header"),
        (b"TransformMatrix", b"TransformMatrjx", "expected TransformMatrix in its header"),
        (b"Offset", b"Offsat", "expected Offset in its header"),
        (b"ByteOrderMSB = False", b"ByteOrderMSB = Galse", "expected BinaryDataByteOrderMSB in its header"),
        (b"CompressedDataSize = ", b"CompressedDataSize = 1", "expected CompressedDataSize = "),
        (b"MET_FLOAT", b"MET_OTHER", "MET_OTHER"),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = gone.raw", "gone.raw"),
    ],
)
def test_header_that_cannot_be_true_is_refused_before_simpleitk_reads(tmp_path, old, new, found):
    image = sitk.ReadImage(write(tmp_path / "a.mha", voxels(), "identity", spacing=(2, 3, 4)))
    sitk.WriteImage(image, str(tmp_path / "a.mha"), useCompression=True)
    path = changed(tmp_path / "a.mha", (old, new))
    with pytest.raises(UnusableFileError) as caught:
        read_volume(path)
    assert str(path) in str(caught.value) and found in str(caught.value)
    assert "\n" not in str(caught.value) and "ITK" not in str(caught.value).replace("SimpleITK", "")


def test_metaimage_that_holds_more_than_it_claims_is_refused(tmp_path):
    write(tmp_path / "a.mha", voxels(), "identity")
    with pytest.raises(UnusableFileError, match="expected 400 bytes of voxels as its header says, found 480"):
        read_volume(changed(tmp_path / "a.mha", (b"DimSize = 4 5 6", b"DimSize = 4 5 5")))


@pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nrrd", ".nii.gz"])
def test_no_flipped_bit_in_compressed_voxels_passes(tmp_path, suffix):
    image = sitk.GetImageFromArray(voxels((12, 12, 12), dtype=np.int16))
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"), useCompression=True)
    data = next((p for p in tmp_path.iterdir() if p.suffix == ".zraw"), tmp_path / f"a{suffix}")
    whole, random = data.read_bytes(), np.random.RandomState(0)
    for bit in random.randint(8 * (len(whole) - 2000), 8 * len(whole), 40):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        data.write_bytes(damaged)
        with pytest.raises(UnusableFileError, match=rf"a\{suffix[:4]}|a.zraw"):
            read_volume(tmp_path / f"a{suffix}")
    data.write_bytes(whole)
    np.testing.assert_array_equal(read_volume(tmp_path / f"a{suffix}")[0][0].T, voxels((12, 12, 12), dtype=np.int16))


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii.gz"])
@pytest.mark.parametrize("kept", [0.6, 0.95, 0.999])
def test_cut_file_is_refused(tmp_path, suffix, kept):
    sitk.WriteImage(sitk.GetImageFromArray(voxels((12, 12, 12))), str(tmp_path / f"a{suffix}"), useCompression=True)
    whole = (tmp_path / f"a{suffix}").read_bytes()
    (tmp_path / f"a{suffix}").write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(UnusableFileError, match=rf"a\{suffix[:4]}"):
        read_volume(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nrrd", ".nii", ".nii.gz"])
def test_full_disk_is_reported_and_leaves_no_file(tmp_path, suffix):
    image = sitk.GetImageFromArray(np.zeros((16, 16, 16), np.uint8))
    source = tmp_path / f"a{'.nii.gz' if suffix == '.nii' else suffix}"
    sitk.WriteImage(image, str(source), useCompression=True)
    before = set(tmp_path.iterdir())
    with full_disk(), pytest.raises(OSError, match=r"m\..*: expected to write a whole file, found less on disk"):
        write_on_grid(voxels((16, 16, 16)), tmp_path / f"m{suffix}", source)
    assert set(tmp_path.iterdir()) == before


def test_results_for_a_header_with_voxels_beside_it_are_one_file(tmp_path):
    source = write(tmp_path / "a.mhd", voxels())
    write_on_grid(voxels() > 500, tmp_path / "out" / "m.mhd", source)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m.mhd"]
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "m.mhd"))).T, voxels() > 500
    )


def test_other_formats_are_refused_by_their_suffix(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(voxels()), str(tmp_path / "a.vtk"))
    with pytest.raises(UnusableFileError, match=r"a.vtk: expected a volume in .mha, .mhd, .nrrd, .nii, .nii.gz"):
        read_volume(tmp_path / "a.vtk")
