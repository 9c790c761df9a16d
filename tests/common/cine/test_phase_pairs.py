"""End-diastole and end-systole of a patient: pairs of files, ACDC, M&Ms; slices that only one phase has."""

import re

import nibabel
import numpy as np
import pytest

from common.cine import phase_pairs, simulate_cine_mr
from common.cine.phantoms.phase_pairs import matching_slices
from common.errors import NoDataError, UnusableFileError
from tests.common.cine.pair_files import write_pair

SMALL = {"size": 64, "frames": 6, "slices": 4, "field_of_view_mm": 240.0}


def stack(count, radius, seed=0):
    """Return images and masks (S, 48, 40) of a disc on a background that differs from slice to slice."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :40]
    mask = np.broadcast_to(np.hypot(y - 24, x - 20) < radius, (count, 48, 40))
    background = rng.uniform(0, 100, (count, 48, 40))
    return np.where(mask, 200.0, background).astype(np.float32), mask


def test_pairs_of_files_are_read_in_the_slices_that_both_phases_have(tmp_path):
    images, masks = stack(6, 12)
    smaller = masks & (np.hypot(*(np.mgrid[:48, :40] - np.array([24, 20])[:, None, None])) < 8)
    write_pair(tmp_path, "anna", (images, masks), (images[2:5], smaller[2:5]))
    (pair,) = phase_pairs(tmp_path)
    assert pair.case == "anna" and pair.spacing_mm == (2.0, 1.5, 8.0), "rows are the second axis of NIfTI"
    np.testing.assert_array_equal(pair.images[0], images[2:5])
    np.testing.assert_array_equal(pair.masks[1], smaller[2:5])
    assert pair.ef == pytest.approx(100 * (1 - smaller[2:5].sum() / masks[2:5].sum()))


@pytest.mark.parametrize(("missing", "kept"), [(0, slice(0, 4)), (2, slice(2, 6))])
def test_slices_are_matched_at_either_end_and_from_either_phase(missing, kept):
    images, _ = stack(6, 10)
    shorter = images[missing : missing + 4] + np.random.default_rng(1).normal(0, 20, (4, 48, 40))
    assert matching_slices(images, shorter) == (kept, slice(0, 4))
    assert matching_slices(shorter, images) == (slice(0, 4), kept)


def test_patients_of_acdc_have_the_ef_of_their_masks(tmp_path):
    reference = {row["case"]: row["ef"] for row in simulate_cine_mr(tmp_path, cases=3, seed=1, **SMALL)}
    pairs = phase_pairs(tmp_path)
    assert [pair.case for pair in pairs] == sorted(reference)
    for pair in pairs:
        assert 0 < pair.ef <= reference[pair.case] + 0.5, "slices without cavity at end-systole are left out"
        assert pair.images.shape == pair.masks.shape and pair.spacing_mm[:2] == (3.75, 3.75)
        assert pair.images[0][pair.masks[0]].mean() > pair.images[0][~pair.masks[0]].mean(), "blood is bright"


def test_the_parts_of_several_folders_are_disjoint_and_cover_everyone(tmp_path):
    for folder in ("a", "b"):
        for number in range(6):
            images, masks = stack(3, 12, number)
            _, smaller = stack(3, 6 if number % 2 else 11)
            write_pair(tmp_path / folder, f"{folder}{number}", (images, masks), (images, smaller))
    folders = [tmp_path / "a", tmp_path / "b"]
    parts = [{p.case for p in phase_pairs(folders, part)} for part in ("training", "validation", "test")]
    assert sorted(case for part in parts for case in part) == sorted(p.case for p in phase_pairs(folders))
    assert {case for part in parts[:2] for case in part} == {p.case for p in phase_pairs(folders, "development")}
    assert min(map(len, parts)) >= 2


def test_exchanged_phases_other_sizes_and_empty_folders_are_refused_by_name(tmp_path):
    images, masks = stack(3, 12)
    smaller = stack(3, 8)
    write_pair(tmp_path / "exchanged", "p", smaller, (images, masks))
    with pytest.raises(UnusableFileError, match=r"p_ED_image.nii.gz: .*exchanged"):
        phase_pairs(tmp_path / "exchanged")
    write_pair(tmp_path / "sizes", "p", (images, masks), (smaller[0][:, :30], smaller[1][:, :30]))
    with pytest.raises(UnusableFileError, match="expected images and masks of one size"):
        phase_pairs(tmp_path / "sizes")
    write_pair(tmp_path / "half", "p", (images, masks), smaller)
    (tmp_path / "half" / "p_ES_lv.nii.gz").unlink()
    with pytest.raises(UnusableFileError, match=r"p_ES_lv.nii.gz: expected a NIfTI file, found no file"):
        phase_pairs(tmp_path / "half")
    simulate_cine_mr(tmp_path / "dicom", cases=1, layout="dicom", **SMALL)
    with pytest.raises(NoDataError, match="found none among 1 patients"):
        phase_pairs(tmp_path / "dicom")


def test_two_patients_of_one_name_are_refused(tmp_path):
    for folder in ("a", "b"):
        write_pair(tmp_path / folder, "p", stack(3, 12), stack(3, 8))
    with pytest.raises(UnusableFileError, match="a name of its own for each patient, found two p"):
        phase_pairs([tmp_path / "a", tmp_path / "b"])


def changed(tmp_path, part, change):
    """Write a good pair and change one of its files: `change` gets voxels (x, y, z) and affine and returns both."""
    images, masks = stack(4, 12)
    _, smaller = stack(4, 9)
    write_pair(tmp_path, "anna", (images, masks), (images, smaller))
    path = tmp_path / f"anna_{part}.nii.gz"
    read = nibabel.load(path)
    voxels, affine = change(np.asarray(read.dataobj).copy(), read.affine.copy())
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return path


def set_nan(voxels, affine):
    voxels[3, 3, 1] = np.nan
    return voxels, affine


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("ES_image", lambda v, a: (v, a @ np.diag([2, 2, 1, 1])), "one pixel size and orientation"),
        ("ES_lv", lambda v, a: (v, a @ np.diag([-1, 1, 1, 1])), "one pixel size and orientation"),
        ("ES_image", set_nan, "ES_image.nii.gz: expected numbers that differ, found NaN"),
        ("ED_image", lambda v, a: (v * 0 + 7, a), "ED_image.nii.gz: expected numbers that differ"),
        ("ES_lv", lambda v, a: (v * 0, a), "ES_lv.nii.gz: expected numbers that differ"),
        ("ED_lv", lambda v, a: (v + (np.arange(4) > 1).astype(np.uint8), a), "a mask of the cavity alone, found 3"),
    ],
)
def test_pairs_that_would_give_a_wrong_ef_are_refused_by_file(tmp_path, part, change, message):
    changed(tmp_path, part, change)
    with pytest.raises(UnusableFileError, match=message):
        phase_pairs(tmp_path)


def test_a_source_that_is_not_there_is_not_offered_as_a_place_to_simulate_to(tmp_path):
    with pytest.raises(NoDataError, match=r"NAME_ED_image.*found no such folder\.$"):
        phase_pairs(tmp_path / "nowhere")
    with pytest.raises(NoDataError, match=r"NAME_ED_image.*found none among 0 patients\.$"):
        phase_pairs(tmp_path)


def test_a_frame_of_end_systole_beyond_the_cine_is_named(tmp_path):
    simulate_cine_mr(tmp_path, cases=1, seed=1, **SMALL)
    (info,) = tmp_path.rglob("Info.cfg")
    text = re.sub(r"ES: \d+", "ES: 99", info.read_text())
    info.write_text(text)
    for mask in info.parent.glob("*_gt.nii.gz"):
        if mask.name != "patient001_frame01_gt.nii.gz":
            mask.rename(info.parent / "patient001_frame99_gt.nii.gz")
    with pytest.raises(UnusableFileError, match=r"patient001_4d.*expected frames .*98"):
        phase_pairs(tmp_path)
