"""Masks from a viewer as DICOM segmentations of their series, and back."""

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from common.data.dicom_volume import read_dicom_geometry
from common.errors import UnusableFileError
from common.label.label_objects import label_from_dicom, label_series_uid, label_to_dicom
from tests.common.data.test_dicom_volume import AFFINES, LPS_TO_RAS, oblique
from tests.dicom_cases import NUMBER, PATIENT, assert_valid, write_maps

highdicom = pytest.importorskip("highdicom", reason="highdicom is not installed (the extra dicom)")

SIZE = (12, 9, 5)
LESION = {"label_info": [{"name": "lesion", "idx": 1}]}


def labels(highest=1):
    return np.random.default_rng(0).integers(0, highest + 1, SIZE).astype(np.uint8)


def write_label(path, values, affine_ras):
    nibabel.save(nibabel.Nifti1Image(values, affine_ras), path)
    return path


@pytest.fixture
def adc(tmp_path):
    return write_maps(tmp_path, np.full(SIZE, 1000.0), np.zeros(SIZE), oblique()) / "ADC"


def saved(label, series, info=LESION, before=()):
    target = label.parent / f"{len(before)}.dcm"
    assert label_to_dicom(label, series, target, "final", info, before)
    return pydicom.dcmread(target)


@pytest.mark.parametrize("enhanced", [False, True], ids=["single", "enhanced"])
@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_a_label_becomes_a_segmentation_of_its_series_and_comes_back(affine, enhanced, tmp_path):
    series = write_maps(tmp_path, np.full(SIZE, 1000.0), np.zeros(SIZE), affine, enhanced) / "ADC"
    volume = read_dicom_geometry(series)
    label = write_label(tmp_path / "label.nii.gz", labels(2), volume.affine)
    made = saved(label, series, {"label_info": [{"name": "lesion", "idx": 1}, {"name": "old bleeding", "idx": 2}]})
    assert [one.SegmentLabel for one in made.SegmentSequence] == ["lesion", "old bleeding"]
    kinds = [one.SegmentedPropertyTypeCodeSequence[0].CodeValue for one in made.SegmentSequence]
    assert kinds == ["52988006", "label_2"] and made.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"
    assert (made.Modality, made.PatientID, made.StudyInstanceUID) == ("SEG", NUMBER, PATIENT["StudyInstanceUID"])
    assert made.SeriesInstanceUID == label_series_uid("1.2.840.99.5", "final")
    assert_valid(tmp_path / "0.dcm")
    label_from_dicom(tmp_path / "0.dcm", series, tmp_path / "back.nii.gz")
    back = nibabel.load(tmp_path / "back.nii.gz")
    np.testing.assert_array_equal(np.asarray(back.dataobj), labels(2))
    np.testing.assert_allclose(back.affine, LPS_TO_RAS @ in_space(affine, SIZE[2]), atol=1e-4)
    shown = highdicom.seg.segread(tmp_path / "0.dcm").get_volume(combine_segments=True).flip_spatial(0)
    np.testing.assert_allclose(LPS_TO_RAS @ shown.affine[:, [2, 1, 0, 3]], volume.affine, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(shown.array.T, labels(2))


def in_space(affine, slices):
    """The affine with slices in the order of their normal."""
    if np.linalg.det(affine[:3, :3]) > 0:
        return affine
    turned = affine.copy()
    turned[:3, 3] += (slices - 1) * affine[:3, 2]
    turned[:3, 2] *= -1
    return turned


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_the_axes_of_a_label_may_stand_in_any_order(axes, flips, adc, tmp_path):
    affine = read_dicom_geometry(adc).affine
    turn = np.eye(4)[:, [*axes, 3]]
    values = labels().transpose(axes)[:: flips[0], :: flips[1], :: flips[2]]
    for axis, flip in enumerate(flips):
        if flip < 0:
            turn[:3, 3] += turn[:3, axis] * (values.shape[axis] - 1)
            turn[:3, axis] *= -1
    label = write_label(tmp_path / "turned.nii.gz", values, affine @ turn)
    plain = write_label(tmp_path / "plain.nii.gz", labels(), affine)
    assert saved(label, adc).PixelData == saved(plain, adc).PixelData


def test_a_label_saved_as_nrrd_is_the_same(adc, tmp_path):
    label = write_label(tmp_path / "label.nii.gz", labels(), read_dicom_geometry(adc).affine)
    sitk.WriteImage(sitk.ReadImage(str(label)), str(tmp_path / "label.nrrd"))
    assert saved(tmp_path / "label.nrrd", adc).SOPInstanceUID == saved(label, adc).SOPInstanceUID


def test_the_same_label_is_not_stored_twice_and_an_earlier_one_may_come_again(adc, tmp_path):
    affine = read_dicom_geometry(adc).affine
    first, second = (write_label(tmp_path / f"{k}.nii.gz", labels() * k, affine) for k in (1, 0))
    uids = [saved(first, adc).SOPInstanceUID]
    assert not label_to_dicom(first, adc, tmp_path / "again.dcm", "final", LESION, uids)
    assert not (tmp_path / "again.dcm").exists()
    for label in (second, first):
        made = saved(label, adc, before=uids)
        uids.append(made.SOPInstanceUID)
    assert len(set(uids)) == 3 and made.InstanceNumber == 3
    assert made.SeriesInstanceUID != label_series_uid("1.2.840.99.5", "draft")


def test_an_empty_mask_says_that_there_is_no_lesion(adc, tmp_path):
    label = write_label(tmp_path / "label.nii.gz", labels() * 0, read_dicom_geometry(adc).affine)
    made = saved(label, adc)
    assert made.pixel_array.shape == (5, 9, 12) and not made.pixel_array.any()
    with pytest.raises(UnusableFileError, match="found none; an empty mask needs its labels' names"):
        label_to_dicom(label, adc, tmp_path / "x.dcm", "final", {}, [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda values, affine: (values[:-1], affine), "expected the grid of the series"),
        (lambda values, affine: (values, affine @ np.diag([1, 1, 1.1, 1])), "expected the grid of the series"),
        (lambda values, affine: (values, np.eye(4)), "expected the grid of the series"),
        (lambda values, affine: (values.astype(np.float32) / 2, affine), "expected whole numbers from 0 to 255"),
        (lambda values, affine: (values * 2, affine), "count from 1 without a gap, found .2, 3."),
        (lambda values, affine: (np.stack([values] * 2, -1), affine), "three axes"),
    ],
)
def test_what_is_no_label_of_the_series_is_refused(change, reason, adc, tmp_path):
    values, affine = change(labels(), read_dicom_geometry(adc).affine)
    label = write_label(tmp_path / "label.nii.gz", values, affine)
    gap = {"label_info": [{"name": "lesion", "idx": 3}]} if "gap" in reason else LESION
    with pytest.raises(UnusableFileError, match=reason):
        label_to_dicom(label, adc, tmp_path / "x.dcm", "final", gap, [])
    assert not (tmp_path / "x.dcm").exists()


@pytest.mark.parametrize(
    "entry", ["lesion", {"idx": 1}, {"name": "a", "idx": "1"}, {"name": "a", "idx": 0}, {"name": "a\nb", "idx": 1}]
)
def test_names_that_are_none_are_refused(entry, adc, tmp_path):
    label = write_label(tmp_path / "label.nii.gz", labels(), read_dicom_geometry(adc).affine)
    with pytest.raises(UnusableFileError, match="label_info: expected entries with idx from 1 to 255 and a name"):
        label_to_dicom(label, adc, tmp_path / "x.dcm", "final", {"label_info": [entry]}, [])


@pytest.mark.parametrize(
    ("missing", "reason"),
    [("PatientID", r"patient's number \(0010,0020\)"), ("FrameOfReferenceUID", r"frame of reference \(0020,0052\)")],
)
def test_a_source_to_which_no_segmentation_can_belong_is_refused(missing, reason, tmp_path):
    series = write_maps(tmp_path, np.full(SIZE, 1000.0), np.zeros(SIZE), oblique(), **{missing: None}) / "ADC"
    label = write_label(tmp_path / "label.nii.gz", labels(), read_dicom_geometry(series).affine)
    with pytest.raises(UnusableFileError, match=reason):
        label_to_dicom(label, series, tmp_path / "x.dcm", "final", LESION, [])


def test_a_segmentation_of_other_instances_is_not_taken_for_one_of_the_series(adc, tmp_path):
    saved(write_label(tmp_path / "label.nii.gz", labels(), read_dicom_geometry(adc).affine), adc)
    other = write_maps(tmp_path / "other", np.full(SIZE, 1000.0), np.zeros(SIZE), oblique()) / "ADC"
    with pytest.raises(UnusableFileError, match="expected a segmentation of the series in the archive"):
        label_from_dicom(tmp_path / "0.dcm", other, tmp_path / "back.nii.gz")
