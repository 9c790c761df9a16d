import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from common.adc import read_grid, read_volume, write_on_grid
from common.errors import UnusableFileError

SFORM = np.array([[-0.7, 0.0, 0.1, 20.0], [0.0, 0.9, 0.0, -31.5], [0.05, 0.0, 2.1, 7.25], [0, 0, 0, 1.0]])
SFORM[:3, :3] = np.linalg.qr(SFORM[:3, :3])[0] * (0.7, 0.9, 2.1) * (-1, -1, 1)


def voxels(shape=(4, 5, 6), seed=0):
    return (1000 * np.random.RandomState(seed).random_sample(shape)).astype(np.float32)


def nifti(path, sform=SFORM, qform=SFORM, codes=(1, 1), array=None, units="mm"):
    """Write with both statements of the place in space, each with its code."""
    image = nibabel.Nifti1Image(voxels() if array is None else array, None)
    image.set_sform(sform, codes[0])
    image.set_qform(qform, codes[1])
    image.header.set_xyzt_units(units)
    nibabel.save(image, path)
    return path


def moved(mm):
    affine = SFORM.copy()
    affine[2, 3] += mm
    return affine


def test_nifti_whose_sform_and_qform_disagree_is_refused_with_both(tmp_path):
    path = nifti(tmp_path / "a.nii.gz", moved(11.6))
    for read in (read_volume, read_grid):
        with pytest.raises(UnusableFileError, match=r"a.nii.gz: its sform and qform disagree by up to 11.6 mm"):
            read(path)


@pytest.mark.parametrize(("codes", "valid"), [((1, 0), "sform"), ((0, 1), "qform"), ((2, 0), "sform")])
def test_statement_with_a_code_above_0_is_taken(tmp_path, codes, valid):
    path = nifti(tmp_path / "a.nii", SFORM, moved(11.6), codes)
    np.testing.assert_allclose(read_grid(path).affine, SFORM if valid == "sform" else moved(11.6), atol=1e-5)


@pytest.mark.parametrize("codes", [(1, 1), (4, 2), (0, 1), (1, 0)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_written_nifti_keeps_sform_and_qform_for_every_reader(tmp_path, codes, suffix):
    path = nifti(tmp_path / f"a{suffix}", codes=codes)
    write_on_grid(voxels() > 500, tmp_path / f"m{suffix}", path)
    source, mask = nibabel.load(path), nibabel.load(tmp_path / f"m{suffix}")
    assert np.array_equal(mask.affine, source.affine)
    for statement in ("sform", "qform"):
        (first, code), (second, other) = (getattr(i.header, f"get_{statement}")(coded=True) for i in (source, mask))
        assert code == other and (first is None or np.array_equal(first, second))
    images = [sitk.ReadImage(str(p)) for p in (path, tmp_path / f"m{suffix}")]
    for ask in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(images[0], ask)() == getattr(images[1], ask)()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(images[1]).T, voxels() > 500)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), voxels() > 500)


def test_written_nifti_holds_nothing_else_of_the_source(tmp_path):
    image = nibabel.Nifti1Image(voxels(), SFORM)
    image.header["descrip"], image.header["db_name"], image.header["aux_file"] = b"DOE^JANE", b"19700101", b"x"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"DOE^JANE"))
    nibabel.save(image, tmp_path / "a.nii")
    write_on_grid(voxels() > 500, tmp_path / "m.nii", tmp_path / "a.nii")
    written = (tmp_path / "m.nii").read_bytes()
    assert b"DOE" not in written and b"1970" not in written


def test_slight_shear_is_kept_and_more_is_refused(tmp_path):
    slight, much = SFORM.copy(), SFORM.copy()
    slight[0, 1] += 0.002
    much[0, 1] += 0.2
    path = nifti(tmp_path / "a.nii", slight, codes=(1, 0))
    write_on_grid(voxels() > 500, tmp_path / "m.nii", path)
    np.testing.assert_array_equal(nibabel.load(tmp_path / "m.nii").affine, slight.astype(np.float32))
    with pytest.raises(UnusableFileError, match=r"much.nii: expected perpendicular axes, found an angle of \d\d"):
        read_volume(nifti(tmp_path / "much.nii", much, codes=(1, 0)))


def test_units_of_a_header_are_applied(tmp_path):
    in_metres = np.diag([1e-3, 1e-3, 1e-3, 1]) @ SFORM
    path = nifti(tmp_path / "a.nii", in_metres, codes=(1, 0), units="meter")
    np.testing.assert_allclose(read_grid(path).affine, SFORM, atol=1e-4)
    with pytest.raises(UnusableFileError, match=r"expected voxels of 0.05 to 30 mm, found 0.0007 x 0.0009 x 0.0021 mm"):
        read_grid(nifti(tmp_path / "b.nii", in_metres, codes=(1, 0)))


def test_simpleitks_nifti_with_channels_is_read_as_it_was_written(tmp_path):
    pair = np.stack([voxels(seed=1), voxels(seed=2)], axis=-1)
    path = tmp_path / "a.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(pair.transpose(2, 1, 0, 3), isVector=True), str(path))
    np.testing.assert_array_equal(read_volume(path)[0], np.moveaxis(pair, -1, 0))


@pytest.mark.parametrize("dtype", ["complex64", [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_nifti_of_other_voxels_is_refused(tmp_path, dtype):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), dtype), SFORM), tmp_path / "a.nii")
    with pytest.raises(UnusableFileError, match=r"a.nii: expected integers or floating-point numbers"):
        read_volume(tmp_path / "a.nii")


def test_nifti_that_claims_too_much_is_refused_before_memory_is_asked_for(tmp_path):
    path = nifti(tmp_path / "a.nii")
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([32000, 32000, 32000], "<i2").tobytes()  # dim[1:4]
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match=r"a.nii: expected at most .* claims 32000 x 32000 x 32000"):
        read_volume(path)
