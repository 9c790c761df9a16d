import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.transforms import LoadImage

from common.adc import (
    Grid,
    LoadVolumed,
    VolumeReader,
    grid_difference,
    read_grid,
    read_volume,
    voxel_spacing_mm,
    write_on_grid,
)
from common.errors import UnusableFileError

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


def test_difference_of_grids_says_by_how_much():
    grid = Grid((10, 10, 5), np.diag([2.0, 2.0, 3.0, 1.0]))
    moved = grid.affine.copy()
    moved[:3, 3] += (0.0, 3.0, 4.0)
    wider = np.diag([2.0, 2.5, 3.0, 1.0])
    angle = np.radians(2)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert grid_difference(grid, grid) == ""
    assert "size (10, 10, 6) instead of (10, 10, 5)" in grid_difference(grid, Grid((10, 10, 6), grid.affine))
    assert "5 mm away (spacing off by 0 mm, origin by 5 mm" in grid_difference(grid, Grid(grid.size, moved))
    assert "4.5 mm away (spacing off by 0.5 mm" in grid_difference(grid, Grid(grid.size, wider))
    assert "direction by 2 degrees" in grid_difference(grid, Grid(grid.size, turn @ grid.affine))


def test_rounding_of_a_header_is_no_difference():
    affine = np.diag([0.703125, 0.703125, 2.2, 1.0])
    assert grid_difference(Grid((256, 256, 60), affine), Grid((256, 256, 60), affine.astype(np.float16) * 1.0)) != ""
    assert grid_difference(Grid((256, 256, 60), affine), Grid((256, 256, 60), affine.astype(np.float32) * 1.0)) == ""


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
    with pytest.raises(UnusableFileError, match=r"cut.mha: expected a whole image file"):
        read_volume(tmp_path / "cut.mha")
    with pytest.raises(UnusableFileError, match=r"text.nii.gz: expected a whole image file"):
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
