import nibabel
import numpy as np
import pytest
import SimpleITK
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from common.doppler.phantoms.writers import save_dicom
from common.echo import open_ultrasound_cine
from common.echo.phantoms.writers import write_video
from common.echo.reader import is_ultrasound_cine
from common.errors import UnusableFileError
from tests.common.data.test_ultrasound_dicom import region
from tests.common.echo.test_video import write_encoded

ULTRASOUND_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"


def write_dicom(path, frames, interval_ms=40.0, **elements):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = ULTRASOUND_MULTI_FRAME
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.Modality, dataset.PatientName = "US", "Doe^Jane"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    if interval_ms:
        dataset.FrameTime = interval_ms
    dataset.PixelData = frames.tobytes()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    save_dicom(dataset, path)


def speckle(count=6, size=48):
    return np.random.default_rng(0).integers(0, 200, (count, size, size)).astype(np.uint8)


def test_finds_the_sector_of_a_real_cine_whose_regions_do_not_fit_its_pixels():
    cine = open_ultrasound_cine(get_testdata_file("examples_ybr_color.dcm", download=False))
    assert cine.frame_count == 30
    assert cine.frame_interval_ms == pytest.approx(33.3, abs=0.1)
    frames = cine.read([0, 29])
    assert 150 < frames.shape[1] < 200 and 200 < frames.shape[2] < 290  # the fan of a 240 x 320 screen
    assert not frames[:, :20, :40].any()


def test_reads_a_grey_dicom_without_regions(tmp_path):
    write_dicom(tmp_path / "IM0001", speckle())
    cine = open_ultrasound_cine(tmp_path / "IM0001")
    assert cine.frame_count == 6 and cine.frame_interval_ms == 40
    assert cine.read([5, 0]).shape == (2, 48, 48, 3)


def test_names_a_dicom_with_one_frame(tmp_path):
    write_dicom(tmp_path / "still.dcm", speckle(1))
    with pytest.raises(UnusableFileError, match=r"still.dcm: expected a cine of several frames, found 1"):
        open_ultrasound_cine(tmp_path / "still.dcm")


def screen(count=8, shape=(128, 128), seed=0):
    """A fan of moving speckle, a name, and an ECG that moves too, in grey; and where the fan is."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    fan = (np.abs(np.arctan2(columns - 64, rows - 12)) < 0.7) & (np.hypot(columns - 64, rows - 12) < 70)
    frames = np.random.default_rng(seed).integers(0, 200, (count, *shape)) * fan
    frames[:, 2:8, 3:40] = 255
    for number in range(count):
        frames[number, 112 + (np.arange(128) + 5 * number) % 16 // 4, np.arange(128)] = 250
    return frames.astype(np.uint8), fan


@pytest.mark.parametrize("name", ["a.dcm", "a.avi", "a.mp4", "a.nii.gz", "a.mha"])
def test_cuts_every_format_to_the_sector(tmp_path, name):
    frames, fan = screen()
    if name == "a.dcm":
        write_dicom(tmp_path / name, frames)
    elif name == "a.avi":
        write_video(tmp_path / name, frames, 25)
    elif name == "a.mp4":
        write_encoded(tmp_path / name, frames, "libx264")
    elif name == "a.nii.gz":
        nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(frames.T), np.eye(4)), tmp_path / name)
    else:
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(frames), str(tmp_path / name))
    cine = open_ultrasound_cine(tmp_path / name)
    found = cine.read(range(8))
    rows, columns = (np.flatnonzero(fan.any(axis)) for axis in (1, 0))
    assert found.shape[1:3] == pytest.approx((np.ptp(rows) + 1, np.ptp(columns) + 1), abs=12)  # a block of the coding
    assert found[:, :4, :20].max() < 60, "no name"
    assert cine.notes[-1].startswith("cut to the sector: rows ")
    assert open_ultrasound_cine(tmp_path / name, as_stored=True).read([0]).shape == (1, 128, 128, 3)


@pytest.mark.parametrize(("turns", "side"), [(1, "left"), (2, "bottom"), (3, "right")])
def test_turns_a_sector_upright_and_says_so(tmp_path, turns, side):
    frames, _ = screen()
    upright = open_as_dicom(tmp_path / "a.dcm", frames)
    inverted = frames[:, ::-1] if turns == 2 else np.rot90(frames, turns, (1, 2))
    turned = open_as_dicom(tmp_path / "b.dcm", np.ascontiguousarray(inverted))
    np.testing.assert_array_equal(turned.read(range(8)), upright.read(range(8)))
    assert turned.doubts == (f"turned upright: the sector's apex was at the {side}",)
    assert not upright.doubts


def open_as_dicom(path, frames):
    write_dicom(path, frames)
    return open_ultrasound_cine(path)


def test_cuts_to_the_tissue_region(tmp_path):
    frames, _ = screen()
    tissue = region(RegionSpatialFormat=1, RegionDataType=1, PhysicalUnitsXDirection=3, PhysicalUnitsYDirection=3)
    tissue.RegionLocationMinX0, tissue.RegionLocationMinY0 = 30, 20
    tissue.RegionLocationMaxX1, tissue.RegionLocationMaxY1 = 99, 69
    tissue.PhysicalDeltaX = tissue.PhysicalDeltaY = 0.1
    ecg = region(RegionSpatialFormat=4, RegionDataType=10, PhysicalUnitsYDirection=None)
    write_dicom(tmp_path / "a.dcm", frames, SequenceOfUltrasoundRegions=[ecg, tissue])
    cine = open_ultrasound_cine(tmp_path / "a.dcm")
    assert cine.read([0]).shape[1:3] == (50, 70)
    tissue.RegionDataType = 2
    write_dicom(tmp_path / "b.dcm", frames, SequenceOfUltrasoundRegions=[tissue])
    assert open_ultrasound_cine(tmp_path / "b.dcm").doubts == ("the file calls its region data type 2, not tissue (1)",)


def test_makes_pixels_square(tmp_path):
    write_dicom(tmp_path / "a.dcm", speckle(8, 48), PixelAspectRatio=["1", "2"])  # twice as wide as high
    cine = open_ultrasound_cine(tmp_path / "a.dcm")
    assert cine.read([0]).shape == (1, 48, 96, 3) and "2 times as wide as high" in cine.notes[-1]
    write_encoded(tmp_path / "a.mp4", speckle(8, 48), aspect=2)
    assert open_ultrasound_cine(tmp_path / "a.mp4").read([0]).shape == (1, 48, 96, 3)
    write_dicom(tmp_path / "b.dcm", speckle(8, 48), PixelAspectRatio=["1", "900"])
    with pytest.raises(UnusableFileError, match=r"b.dcm: expected pixels about as wide as high, found a width of 900"):
        open_ultrasound_cine(tmp_path / "b.dcm")


def test_reads_dicom_without_preamble_or_suffix(tmp_path):
    path = tmp_path / "1.2.840.1.7"
    write_dicom(path, speckle())
    path.write_bytes(path.read_bytes()[132:])
    assert is_ultrasound_cine(path) and open_ultrasound_cine(path).frame_count == 6


def test_names_what_is_no_cine(tmp_path):
    (tmp_path / "notes.txt").write_text("EF about 50")
    with pytest.raises(UnusableFileError, match=r"notes.txt: expected a video .* found '.txt'"):
        open_ultrasound_cine(tmp_path / "notes.txt")
    (tmp_path / "a.nii.gz").write_bytes(b"no")
    with pytest.raises(UnusableFileError, match=r"a.nii.gz: expected a NIfTI or MetaImage sequence, found plain text"):
        open_ultrasound_cine(tmp_path / "a.nii.gz")
    (tmp_path / "a.mhd").write_text("ObjectType = Image\n")
    with pytest.raises(UnusableFileError, match=r"a.mhd: expected the header of an image"):
        open_ultrasound_cine(tmp_path / "a.mhd")
    for name in ("gone.nii.gz", "gone.mhd", "gone.dcm", "gone.avi"):
        with pytest.raises((FileNotFoundError, UnusableFileError), match=name):
            open_ultrasound_cine(tmp_path / name)
