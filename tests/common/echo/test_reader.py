import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from common.doppler.phantom_writers import save_dicom
from common.echo import open_ultrasound_cine
from common.errors import UnusableFileError

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


def test_names_what_is_no_cine(tmp_path):
    (tmp_path / "notes.txt").write_text("EF about 50")
    with pytest.raises(UnusableFileError, match=r"notes.txt: expected a video .* found '.txt'"):
        open_ultrasound_cine(tmp_path / "notes.txt")
    (tmp_path / "a.nii.gz").write_bytes(b"no")
    with pytest.raises(UnusableFileError, match=r"a.nii.gz: expected whole compressed data"):
        open_ultrasound_cine(tmp_path / "a.nii.gz")
    (tmp_path / "a.mhd").write_text("ObjectType = Image\n")
    with pytest.raises(UnusableFileError, match=r"a.mhd: expected a MetaImage sequence"):
        open_ultrasound_cine(tmp_path / "a.mhd")
    for name in ("gone.nii.gz", "gone.mhd", "gone.dcm"):
        with pytest.raises(FileNotFoundError):
            open_ultrasound_cine(tmp_path / name)
