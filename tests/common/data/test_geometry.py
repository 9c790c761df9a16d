import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from common.data.geometry import nifti_affine
from common.errors import UnusableFileError


def affine(degrees=0.0, shift=(0.0, 0.0, 0.0), sizes=(1.0, 2.0, 3.0), axis=(0, 0, 1)):
    result = np.eye(4)
    turn = Rotation.from_rotvec(np.radians(degrees) * np.asarray(axis) / np.linalg.norm(axis))
    result[:3, :3] = turn.as_matrix() * np.asarray(sizes)
    result[:3, 3] = shift
    return result


def stored(tmp_path, sform, qform, sform_code=1, qform_code=1, shape=(11, 21, 31)):
    image = nibabel.Nifti1Image(np.zeros(shape, np.uint8), None)
    image.header.set_sform(sform, sform_code)
    image.header.set_qform(qform, qform_code)
    path = tmp_path / "a.nii"
    nibabel.save(image, path)
    return nibabel.load(path), path


FIRST, SECOND = affine(30, (4, 5, 6)), affine(70, (1, 2, 3))


def test_the_only_valid_statement_is_taken(tmp_path):
    assert nifti_affine(*stored(tmp_path, FIRST, SECOND, 2, 0)) == pytest.approx(FIRST, abs=1e-5)
    assert nifti_affine(*stored(tmp_path, FIRST, SECOND, 0, 3)) == pytest.approx(SECOND, abs=1e-5)


def test_two_statements_that_agree_are_one(tmp_path):
    assert nifti_affine(*stored(tmp_path, FIRST, FIRST)) == pytest.approx(FIRST, abs=1e-5)


@pytest.mark.parametrize(
    ("other", "apart"),
    [
        (affine(30, (4, 5, 17.6)), "11.6 mm"),
        (affine(30, (4, 5.5, 6)), "0.5 mm"),
        (affine(30, (4, 5, 6), (1.1, 2, 3)), "1 mm"),
        (affine(30.5, (4, 5, 6)), "0.36 mm"),  # corner 10 and 40 mm from the axis: 2 sin(0.25 degrees) 41.23 mm
    ],
)
def test_refuses_two_statements_that_disagree_and_names_both(tmp_path, other, apart):
    with pytest.raises(
        UnusableFileError, match=rf"a\.nii: its sform and qform disagree by up to {apart} \(sform .*qform"
    ):
        nifti_affine(*stored(tmp_path, FIRST, other))


def test_a_mirrored_statement_disagrees(tmp_path):
    with pytest.raises(UnusableFileError, match="disagree"):
        nifti_affine(*stored(tmp_path, FIRST, affine(30, (4, 5, 6), (1, 2, -3))))


@pytest.mark.parametrize("degrees", [180.0, 179.99, 179.9, 179.0, 120.0])
def test_rounding_of_the_quaternion_is_no_disagreement(tmp_path, degrees):
    random = np.random.default_rng(0)
    for _ in range(40):
        same = affine(degrees, random.uniform(-300, 300, 3), (0.5, 0.5, 1), random.normal(size=3))
        nifti_affine(*stored(tmp_path, same, same, shape=(512, 512, 2)))


def test_a_turn_near_180_degrees_still_disagrees_beyond_rounding(tmp_path):
    with pytest.raises(UnusableFileError, match="disagree"):
        nifti_affine(*stored(tmp_path, affine(180), affine(179), shape=(256, 256, 2)))


def test_without_a_statement_the_sizes_alone_are_taken_and_warned_of(tmp_path, caplog):
    found = nifti_affine(*stored(tmp_path, FIRST, affine(0, (7, 8, 9)), 0, 0))
    assert found == pytest.approx(np.diag([1, 2, 3, 1]))
    assert "a.nii: neither sform nor qform is valid, so its orientation is unknown" in caplog.text


def test_refuses_an_affine_without_extent_or_with_nan(tmp_path):
    flat = FIRST.copy()
    flat[:3, 2] = 0
    with pytest.raises(UnusableFileError, match=r"a\.nii: expected voxels of some size"):
        nifti_affine(*stored(tmp_path, flat, FIRST, 1, 0))
    flat[0, 0] = np.nan
    with pytest.raises(UnusableFileError, match="expected voxels of some size"):
        nifti_affine(*stored(tmp_path, flat, FIRST, 1, 0))


def test_refuses_a_quaternion_that_is_none(tmp_path):
    image, path = stored(tmp_path, FIRST, FIRST, 0, 1)
    image.header["quatern_b"] = 3.0
    with pytest.raises(UnusableFileError, match=r"a\.nii: expected a valid qform"):
        nifti_affine(image, path)


def test_takes_what_other_formats_say_once(tmp_path):
    image = nibabel.MGHImage(np.zeros((3, 4, 5), np.uint8), FIRST)
    assert nifti_affine(image, "a.mgz") == pytest.approx(FIRST, abs=1e-5)
