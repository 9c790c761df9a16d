"""Cine MR in 4D NIfTI: axes, geometry, time, and damaged files."""

import nibabel
import numpy as np
import pytest

from common.cine import read_cine
from common.cine.nifti import read_nifti_section
from common.errors import NoDataError, UnusableFileError

RNG = np.random.default_rng(0)
# x, y, section, frame.
VOXELS = RNG.integers(0, 500, (5, 7, 3, 4)).astype(np.int16)
AFFINE = np.array([[1.5, 0, 0, -10], [0, 1.25, 0, 20], [0, 0, 8, 30], [0, 0, 0, 1.0]])


def save(path, voxels=VOXELS, step=0.03, unit="sec", affine=AFFINE):
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm", unit)
    if voxels.ndim == 4:
        image.header.set_zooms((*image.header.get_zooms()[:3], step))
    nibabel.save(image, path)
    return path


def test_rows_are_y_and_columns_are_x(tmp_path):
    cine = read_cine(save(tmp_path / "a_4d.nii.gz"))
    assert cine.frames.shape == (3, 4, 7, 5) and cine.frames.dtype == np.float32
    assert cine.frames[1, 2, 6, 3] == VOXELS[3, 6, 1, 2]
    assert cine.spacing_mm == pytest.approx((1.25, 1.5, 8.0))
    # Index (row 6, column 3, section 1) is voxel x 3, y 6, z 1: -10 + 4.5, 20 + 7.5, 30 + 8.
    assert (cine.affine @ [6, 3, 1, 1])[:3] == pytest.approx([-5.5, 27.5, 38.0])


@pytest.mark.parametrize("step,unit,expected", [(0.03, "sec", 30.0), (25.0, "msec", 25.0)])
def test_frame_times_come_from_the_time_step_and_its_unit(tmp_path, step, unit, expected):
    cine = read_cine(save(tmp_path / "a.nii", step=step, unit=unit))
    assert cine.trigger_times_ms[2] == pytest.approx(expected * np.arange(4))


@pytest.mark.parametrize("step,unit", [(1.0, "sec"), (0.0, "sec"), (30.0, "unknown")])
def test_impossible_time_step_leaves_times_unknown(tmp_path, step, unit):
    assert read_cine(save(tmp_path / "a.nii", step=step, unit=unit)).trigger_times_ms is None


def test_scale_factor_of_the_header_is_applied(tmp_path):
    image = nibabel.Nifti1Image(VOXELS, AFFINE)
    image.header.set_slope_inter(0.5, 10)
    nibabel.save(image, tmp_path / "a.nii.gz")
    stored = np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj)
    assert np.allclose(read_cine(tmp_path / "a.nii.gz").frames[0, 0], stored[:, :, 0, 0].T)


def test_section_read_alone_equals_the_one_in_the_stack(tmp_path):
    path = save(tmp_path / "a.nii.gz")
    alone, whole = read_nifti_section(path, 2), read_cine(path)
    assert np.array_equal(alone.frames[0], whole.frames[2])
    assert np.allclose(alone.affine[:3, 3], [-10, 20, 46])
    with pytest.raises(UnusableFileError, match="expected section 3, found sections 0 to 2"):
        read_nifti_section(path, 3)


def test_nan_and_constant_sections_are_skipped(tmp_path):
    voxels = VOXELS.astype(np.float32)
    voxels[2, 3, 0, 1] = np.nan
    voxels[:, :, 1] = 4.0
    path = save(tmp_path / "a.nii.gz", voxels)
    cine = read_cine(path)
    assert cine.sections_skipped == [
        (0, "1 pixels are NaN or infinite"),
        (1, "the image is constant (standard deviation 0)"),
    ]
    assert cine.affine[2, 3] == pytest.approx(46.0)
    with pytest.raises(UnusableFileError, match="section 0: 1 pixels are NaN"):
        read_nifti_section(path, 0)


def test_no_usable_section_is_an_error_that_lists_the_reasons(tmp_path):
    with pytest.raises(UnusableFileError, match=r"at least one whole .*\(section 0: .*constant.*; section 1"):
        read_cine(save(tmp_path / "a.nii.gz", np.zeros((5, 7, 2, 4), np.int16)))


@pytest.mark.parametrize("voxels", [VOXELS[..., 0], VOXELS[..., :1]], ids=["3D", "one frame"])
def test_still_image_is_no_cine(tmp_path, voxels):
    with pytest.raises(UnusableFileError, match=r"at least 2 frames \(a cine\), found shape \(5, 7, 3"):
        read_cine(save(tmp_path / "a.nii.gz", voxels))


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_truncated_file_is_named(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", RNG.integers(0, 500, (32, 32, 3, 4)).astype(np.int16))
    path.write_bytes(path.read_bytes()[:4000])
    for read in (read_cine, lambda name: read_nifti_section(name, 2)):
        with pytest.raises(UnusableFileError, match=r"a\.nii.*truncated or damaged"):
            read(path)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"not gzip")
    with pytest.raises(UnusableFileError, match=r"expected a NIfTI file, found one that cannot be read"):
        read_cine(tmp_path / "a.nii.gz")
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
    with pytest.raises(UnusableFileError, match="expected positive voxel sizes"):
        read_cine(tmp_path / "a.nii")
