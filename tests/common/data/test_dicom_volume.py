import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from common.data.dicom_volume import read_dicom_geometry, read_dicom_values
from common.errors import UnusableFileError
from tests.dicom_cases import write_enhanced_series, write_series
from tests.dicom_frames import textured, write_frame

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def oblique(flip=1.0):
    """Non-square pixels, no axis along the patient's; `flip` of -1 lets the slices go against the normal."""
    a, b = np.deg2rad(20), np.deg2rad(-35)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x * [0.9, 1.3, flip * 4.1]
    affine[:3, 3] = [-31.4, 27.1, -5.3]
    return affine


AFFINES = {
    "axial": np.diag([0.9, 1.3, 4.1, 1.0]),
    "oblique": oblique(),
    "flipped slices": oblique(-1.0),
    "coronal": np.array([[1.1, 0, 0, 3], [0, 0, 2.5, -7], [0, -1.4, 0, 9], [0, 0, 0, 1.0]]),
}
each_affine = pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
each_writer = pytest.mark.parametrize("write", [write_series, write_enhanced_series], ids=["single", "enhanced"])


def stored(size=(5, 7, 4)):
    return np.arange(np.prod(size), dtype=np.int16).reshape(size) - 20


def in_space(values, affine):
    """Value at each place, rounded to 1e-5 mm."""
    places = np.argwhere(np.ones(values.shape, bool))
    millimetres = np.c_[places, np.ones(len(places))] @ affine.T
    return dict(zip(map(tuple, np.round(millimetres[:, :3], 5) + 0.0), values[tuple(places.T)], strict=True))


@each_writer
@each_affine
def test_every_voxel_has_its_value_at_its_place(write, affine, tmp_path):
    write(tmp_path, stored(), affine, 0.25)
    volume = read_dicom_geometry(tmp_path)
    values, unit = read_dicom_values(volume)
    assert volume.size == (5, 7, 4) and values.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(volume.affine[:3, :3], axis=0), np.linalg.norm(affine[:3, :3], axis=0))
    found, wanted = in_space(values, volume.affine), in_space(0.25 * stored(), LPS_TO_RAS @ affine)
    assert found == wanted and unit == ("" if write is write_series else "1")


@each_affine
def test_simpleitk_reads_the_same_volume(affine, tmp_path):
    write_series(tmp_path, stored(), affine, 0.25)
    volume = read_dicom_geometry(tmp_path)
    image = sitk.ReadImage([str(frame.file) for frame in volume.frames])
    theirs = np.eye(4)
    theirs[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    theirs[:3, 3] = image.GetOrigin()
    np.testing.assert_allclose(volume.affine, LPS_TO_RAS @ theirs, atol=1e-6)
    np.testing.assert_allclose(read_dicom_values(volume)[0], sitk.GetArrayFromImage(image).T, atol=1e-5)


def test_a_file_names_its_series_among_others_in_its_folder(tmp_path):
    write_series(tmp_path, stored(), AFFINES["axial"], 1)
    write_frame(tmp_path / "other.dcm", textured(1), SeriesInstanceUID="1.2.9")
    assert len(read_dicom_geometry(tmp_path / "001.dcm").frames) == 4
    assert len(read_dicom_geometry(tmp_path / "other.dcm").frames) == 1
    with pytest.raises(UnusableFileError, match="expected one volume in a DICOM series, found 2 series"):
        read_dicom_geometry(tmp_path)


def test_slices_of_another_patient_are_refused(tmp_path):
    write_series(tmp_path, stored(), AFFINES["axial"], 1)
    for file, patient in (("000.dcm", "4711"), ("001.dcm", "4711"), ("002.dcm", "4711"), ("003.dcm", "4712")):
        change(tmp_path / file, PatientID=patient)
    with pytest.raises(UnusableFileError, match="of one patient, found different patient numbers"):
        read_dicom_geometry(tmp_path)
    change(tmp_path / "003.dcm", PatientID="4711")
    change(tmp_path / "002.dcm", PatientID="")
    assert len(read_dicom_geometry(tmp_path).frames) == 4


def test_the_only_slice_is_as_thick_as_its_header_says(tmp_path):
    write_series(tmp_path, stored((5, 7, 1)), oblique(), 1)
    np.testing.assert_allclose(np.linalg.norm(read_dicom_geometry(tmp_path).affine[:3, 2]), 1.0)
    change(tmp_path / "000.dcm", SliceThickness=None)
    with pytest.raises(UnusableFileError, match="a slice thickness"):
        read_dicom_geometry(tmp_path)


def change(path, **fields):
    dataset = pydicom.dcmread(path)
    for keyword, value in fields.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"PixelSpacing": None}, "PixelSpacing with 2 numbers, found none"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient with 3 numbers, found none"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "perpendicular unit vectors"),
        ({"PixelSpacing": [1, 2]}, "slices of one size"),
        ({"PixelSpacing": [0, 1]}, "a pixel spacing over 0"),
        ({"ImageOrientationPatient": [0, 1, 0, -1, 0, 0]}, "parallel slices"),
        ({"ImagePositionPatient": [0, 0, 5.0]}, "slices at even steps"),
        ({"ImagePositionPatient": [0, 0, 0]}, "slices at even steps"),
        ({"SamplesPerPixel": 3}, "grey images"),
    ],
)
def test_names_what_is_no_volume(fields, reason, tmp_path):
    write_series(tmp_path, stored(), AFFINES["axial"], 1)
    change(tmp_path / "003.dcm", **fields)
    with pytest.raises(UnusableFileError, match=reason):
        read_dicom_geometry(tmp_path)


def test_a_slope_of_each_slice_is_its_own(tmp_path):
    write_series(tmp_path, stored(), AFFINES["axial"], 1)
    volume = read_dicom_geometry(tmp_path)
    change(volume.frames[2].file, RescaleSlope=3, RescaleIntercept=5)
    values, _ = read_dicom_values(volume)
    np.testing.assert_array_equal(values[..., 1], stored()[..., 1])
    np.testing.assert_array_equal(values[..., 2], 3 * stored()[..., 2] + 5)


def test_slices_in_two_units_are_refused(tmp_path):
    write_series(tmp_path, stored(), AFFINES["axial"], 1, RescaleType="US")
    volume = read_dicom_geometry(tmp_path)
    change(volume.frames[2].file, RescaleType="mm2/s")
    with pytest.raises(UnusableFileError, match="values in one unit, found US, mm2/s"):
        read_dicom_values(volume)


@pytest.mark.parametrize(("content", "found"), [(b"", "an empty file"), (b"an error page of a server", "plain text")])
def test_a_series_in_which_one_file_is_none_is_refused(tmp_path, content, found):
    write_series(tmp_path, np.ones((12, 9, 5), np.int16), AFFINES["axial"], 1)
    last = max(read_dicom_geometry(tmp_path).frames, key=lambda frame: frame.position[2])
    last.file.write_bytes(content)
    with pytest.raises(UnusableFileError, match=f"{last.file.name}: expected a DICOM file, found {found}"):
        read_dicom_geometry(tmp_path)
