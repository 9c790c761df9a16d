"""Cine MR in 4D NIfTI: axes, geometry, time, and damaged files."""

import nibabel
import numpy as np
import pytest

from common.cine import read_cine
from common.cine.nifti import read_nifti_slice
from common.cine.volume import no_usable_slice
from common.errors import NoDataError, UnusableFileError

RNG = np.random.default_rng(0)
# x, y, slice, frame.
VOXELS = RNG.integers(0, 500, (5, 7, 3, 4)).astype(np.int16)
AFFINE = np.array([[1.5, 0, 0, -10], [0, 1.25, 0, 20], [0, 0, 8, 30], [0, 0, 0, 1.0]])


def save(path, voxels=VOXELS, affine=AFFINE):
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, path)
    return path


def test_rows_are_y_and_columns_are_x(tmp_path):
    found = read_cine(save(tmp_path / "a_4d.nii.gz")).slices[1]
    assert found.number == 1 and found.frames.shape == (4, 7, 5) and found.frames.dtype == np.float32
    assert found.frames[2, 6, 3] == VOXELS[3, 6, 1, 2]
    # Index (row 6, column 3) of slice 1 is voxel x 3, y 6, z 1: -10 + 4.5, 20 + 7.5, 30 + 8.
    assert (found.affine @ [6, 3, 0, 1])[:3] == pytest.approx([-5.5, 27.5, 38.0])
    assert found.affine[:3, 2] == pytest.approx([0, 0, 1])


def test_affines_that_disagree_are_refused_with_both_named(tmp_path):
    image = nibabel.Nifti1Image(VOXELS, AFFINE)
    moved = AFFINE.copy()
    moved[0, 3] += 11.6
    image.set_sform(moved, code=1)
    image.set_qform(AFFINE, code=1)
    nibabel.save(image, tmp_path / "a.nii.gz")
    with pytest.raises(
        UnusableFileError, match=r"^\S*a\.nii\.gz: its sform and qform disagree by up to 11\.6 mm"
    ) as one:
        read_cine(tmp_path / "a.nii.gz")
    assert str(one.value).count("qform disagree") == 1


def test_one_flipped_bit_in_a_compressed_file_is_noticed(tmp_path):
    path = save(tmp_path / "a.nii.gz", RNG.integers(0, 500, (32, 32, 3, 4)).astype(np.int16))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(UnusableFileError, match=r"a\.nii\.gz: expected whole compressed data"):
        read_cine(path)


def test_size_that_the_header_only_claims_is_refused(tmp_path):
    path = save(tmp_path / "a.nii")
    raw = bytearray(path.read_bytes())
    raw[42:50] = np.array([30000, 30000, 3, 4], "<i2").tobytes()  # dim[1] to dim[4]
    path.write_bytes(bytes(raw))
    with pytest.raises(UnusableFileError, match=r"a\.nii: expected at most .* GB of values"):
        read_cine(path)


@pytest.mark.parametrize("scale", [0.001, 1000], ids=["metres", "micrometres"])
def test_voxels_of_no_size_that_mr_has_are_refused(tmp_path, scale):
    with pytest.raises(UnusableFileError, match=r"expected voxels of 0\.1 to 200 mm, found"):
        read_cine(save(tmp_path / "a.nii", affine=AFFINE @ np.diag([scale, scale, scale, 1])))


def test_a_position_of_other_voxel_sizes_than_the_header_is_refused(tmp_path):
    path = save(tmp_path / "a.nii")
    image = nibabel.load(path)
    image.header["pixdim"][1] *= 1.2
    image.set_qform(None, code=0, update_affine=False)
    voxels = np.asarray(image.dataobj)
    changed = nibabel.Nifti1Image(voxels, image.affine, image.header)
    changed.header["pixdim"][1:4] = [2.4, 2.0, 8.0]
    raw = bytearray(changed.to_bytes())
    raw[80:84] = np.float32(2.4).tobytes()
    path.write_bytes(bytes(raw))
    with pytest.raises(UnusableFileError, match=r"expected one voxel size, found \[2\.4"):
        read_cine(path)


def test_complex_voxels_are_refused(tmp_path):
    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(VOXELS.astype(np.complex64), AFFINE), path)
    with pytest.raises(UnusableFileError, match="found complex voxels"):
        read_cine(path)


def test_scale_factor_of_the_header_is_applied(tmp_path):
    image = nibabel.Nifti1Image(VOXELS, AFFINE)
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / "a.nii.gz")
    stored = np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj)
    assert np.allclose(read_cine(tmp_path / "a.nii.gz").slices[0].frames[0], stored[:, :, 0, 0].T)


def test_slice_read_alone_equals_the_one_in_the_stack(tmp_path):
    path = save(tmp_path / "a.nii.gz")
    alone, whole = read_nifti_slice(path, 2), read_cine(path)
    assert np.array_equal(alone.frames, whole.slices[2].frames)
    assert np.allclose(alone.affine, whole.slices[2].affine) and np.allclose(alone.affine[:3, 3], [-10, 20, 46])
    with pytest.raises(UnusableFileError, match="expected slice 3, found slices 0 to 2"):
        read_nifti_slice(path, 3)


def test_nan_and_constant_slices_are_skipped(tmp_path):
    voxels = VOXELS.astype(np.float32)
    voxels[2, 3, 0, 1] = np.nan
    voxels[:, :, 1] = 4.0
    path = save(tmp_path / "a.nii.gz", voxels)
    cine = read_cine(path)
    assert cine.skipped == [
        (0, "1 pixels are NaN or infinite"),
        (1, "the image is constant (standard deviation 0)"),
    ]
    assert [found.number for found in cine.slices] == [2]
    assert cine.slices[0].affine[2, 3] == pytest.approx(46.0)
    with pytest.raises(UnusableFileError, match="slice 0: 1 pixels are NaN"):
        read_nifti_slice(path, 0)


def test_no_usable_slice_is_an_error_that_lists_the_reasons(tmp_path):
    with pytest.raises(
        UnusableFileError, match=r"at least one whole .*\(slice 0, 1: the image is constant .*; slice 2: all 4"
    ):
        voxels = np.zeros((5, 7, 3, 4), np.int16)
        voxels[2, 3, 2] = 1
        read_cine(save(tmp_path / "a.nii.gz", voxels))


@pytest.mark.parametrize(("reasons", "more"), [(5, ""), (6, "; and 1 more reason"), (7, "; and 2 more reasons")])
def test_of_many_reasons_five_are_listed_and_the_others_counted(reasons, more):
    message = str(no_usable_slice("a.nii", [(number, f"reason {number}") for number in range(reasons)]))
    assert f"slice 4: reason 4{more}); export" in message


def test_cine_that_freezes_says_so_and_one_whose_frames_are_doubled_does_not(tmp_path):
    rows, columns = np.mgrid[:40, :40]
    radius = 8 + 4 * np.cos(2 * np.pi * np.arange(12) / 12)
    beat = 300 / (1 + np.exp(np.hypot(rows - 20, columns - 20)[..., None, None] - radius)) + np.ones((1, 1, 4, 1))
    frozen = np.concatenate([beat[..., :4], np.repeat(beat[..., 4:5], 8, axis=3)], axis=3).astype(np.int16)
    (doubt,) = read_cine(save(tmp_path / "a.nii.gz", frozen)).doubts
    assert doubt == "the picture stands still for 8 frames in a row of every slice, as if frozen"
    doubled = np.repeat(beat, 2, axis=3).astype(np.int16)
    assert not read_cine(save(tmp_path / "b.nii.gz", doubled)).doubts


def test_cine_that_only_noise_moves_says_so(tmp_path):
    generator = np.random.default_rng(3)
    still = generator.integers(0, 500, (40, 40, 4, 1)) + generator.integers(-20, 21, (40, 40, 4, 12))
    (doubt,) = read_cine(save(tmp_path / "a.nii.gz", still.astype(np.int16))).doubts
    assert doubt == "the frames of every slice change from one to the next as noise does, not as a heart"
    still[:, :, 1] += (100 * (1 + np.sin(2 * np.pi * np.arange(12) / 12))).astype(int)
    assert read_cine(save(tmp_path / "b.nii.gz", still.astype(np.int16))).doubts == []


@pytest.mark.parametrize("voxels", [VOXELS[..., 0], VOXELS[..., :1]], ids=["3D", "one frame"])
def test_still_image_is_no_cine(tmp_path, voxels):
    with pytest.raises(UnusableFileError, match=r"at least 2 frames \(a cine\), found shape \(5, 7, 3"):
        read_cine(save(tmp_path / "a.nii.gz", voxels))


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_truncated_file_is_named(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", RNG.integers(0, 500, (32, 32, 3, 4)).astype(np.int16))
    path.write_bytes(path.read_bytes()[:4000])
    for read in (read_cine, lambda name: read_nifti_slice(name, 2)):
        with pytest.raises(UnusableFileError, match=r"a\.nii.*(cut off|damaged)"):
            read(path)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"not gzip")
    with pytest.raises(UnusableFileError, match=r"expected a NIfTI file, found plain text"):
        read_cine(tmp_path / "a.nii.gz")
    (tmp_path / "a.nii").write_bytes(b"no NIfTI file" * 50)
    with pytest.raises(UnusableFileError, match=r"a\.nii: expected a NIfTI file, found plain text"):
        read_cine(tmp_path / "a.nii")
    (tmp_path / "a.mp4").write_bytes(b"video")
    with pytest.raises(UnusableFileError, match=r"a\.mp4: expected a folder of DICOM files or a file \.nii"):
        read_cine(tmp_path / "a.mp4")
    with pytest.raises(NoDataError, match="found nothing there"):
        read_cine(tmp_path / "nowhere")


def test_header_without_voxel_size_is_refused(tmp_path):
    image = nibabel.Nifti1Image(VOXELS, AFFINE)
    nibabel.save(image, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[88:92] = np.float32(0).tobytes()  # pixdim[3]
    (tmp_path / "a.nii").write_bytes(bytes(raw))
    with pytest.raises(UnusableFileError, match="expected voxels of 0"):
        read_cine(tmp_path / "a.nii")


@pytest.mark.parametrize("window_top", [250, 3000])
def test_cine_whose_blood_is_cut_to_white_says_so(tmp_path, window_top):
    rows, columns = np.mgrid[:40, :40]
    radius = 11 + 3 * np.cos(2 * np.pi * np.arange(12) / 12)
    beat = 300 / (1 + np.exp(np.hypot(rows - 20, columns - 20)[..., None, None] - radius)) + rows[..., None, None]
    beat = np.repeat(beat, 4, axis=2)
    doubts = read_cine(save(tmp_path / "a.nii.gz", np.minimum(beat, window_top).astype(np.int16))).doubts
    assert [("cut to it" in doubt) for doubt in doubts] == ([True] if window_top == 250 else [])
