import io
import warnings

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

from common.data import UltrasoundRegion, read_ultrasound, read_ultrasound_header
from common.doppler.phantoms.writers import save_dicom
from common.errors import UnusableFileError


def write(path, frames, photometric="RGB", syntax=ExplicitVRLittleEndian, pixel_data=None, **elements):
    """A minimal ultrasound file; `frames` is (T, H, W) or (T, H, W, 3)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.3.1")
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "4711"
    dataset.Modality = "US"
    dataset.PhotometricInterpretation = photometric
    dataset.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    if frames.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape[:3]
    dataset.BitsAllocated = 8 * frames.dtype.itemsize
    dataset.BitsStored = elements.pop("bits", dataset.BitsAllocated)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = frames.tobytes() if pixel_data is None else pixel_data
    dataset["PixelData"].VR = "OB" if frames.dtype.itemsize == 1 else "OW"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    save_dicom(dataset, path)
    return path


def region(**changes):
    item = Dataset()
    values = {
        "RegionSpatialFormat": 3,
        "RegionDataType": 3,
        "RegionFlags": 2,
        "RegionLocationMinX0": 4,
        "RegionLocationMinY0": 5,
        "RegionLocationMaxX1": 26,
        "RegionLocationMaxY1": 17,
        "ReferencePixelX0": 1,
        "ReferencePixelY0": 7,
        "PhysicalUnitsXDirection": 4,
        "PhysicalUnitsYDirection": 7,
        "PhysicalDeltaX": 0.004,
        "PhysicalDeltaY": -0.8,
        "ReferencePixelPhysicalValueY": 3.0,
    }
    for keyword, value in (values | changes).items():
        if value is not None:
            setattr(item, keyword, value)
    return item


@pytest.fixture
def screen():
    """(2, 20, 30, 3), smooth enough to survive JPEG."""
    y, x = np.mgrid[:20, :30]
    ramp = np.stack([8 * y + 20, 6 * x + 30, 240 - 7 * y], axis=-1)
    return np.stack([ramp, ramp[::-1]]).astype(np.uint8)


def full_range_ybr(rgb):
    """ITU-R BT.601 full range, the matrix of PS3.3 C.7.6.3.1.2."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
    return np.clip(np.rint(rgb @ matrix.T + [0, 128, 128]), 0, 255).astype(np.uint8)


def test_rgb_comes_back_unchanged(tmp_path, screen):
    image = read_ultrasound(write(tmp_path / "a.dcm", screen))
    np.testing.assert_array_equal(image.frames, screen)
    assert image.frames.dtype == np.uint8
    assert image.regions == []


def test_planar_pixels_are_interleaved(tmp_path, screen):
    path = write(tmp_path / "a.dcm", screen, pixel_data=screen.transpose(0, 3, 1, 2).tobytes(), PlanarConfiguration=1)
    np.testing.assert_array_equal(read_ultrasound(path).frames, screen)


def test_ybr_full_becomes_rgb(tmp_path, screen):
    image = read_ultrasound(write(tmp_path / "a.dcm", full_range_ybr(screen), "YBR_FULL"))
    np.testing.assert_allclose(image.frames.astype(int), screen, atol=2)


def test_ybr_full_422_becomes_rgb(tmp_path):
    grey = np.repeat(np.arange(0, 240, 12, dtype=np.uint8)[None, :, None], 30, axis=2)
    shared = np.full((*grey.shape[:2], 15), 128, np.uint8)
    # PS3.3 C.7.6.3.1.2: two lumas, then the blue and the red difference that they share.
    packed = np.stack([grey[..., 0::2], grey[..., 1::2], shared, shared], axis=-1).tobytes()
    frames = np.repeat(grey[..., None], 3, axis=-1)
    path = write(tmp_path / "a.dcm", frames, "YBR_FULL_422", pixel_data=packed)
    np.testing.assert_allclose(read_ultrasound(path).frames.astype(int), frames, atol=2)


def test_jpeg_comes_back_within_its_loss(tmp_path, screen):
    streams = []
    for frame in screen:
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, "JPEG", quality=98)
        streams.append(stream.getvalue())
    path = write(tmp_path / "a.dcm", screen, "YBR_FULL_422", JPEGBaseline8Bit, pixel_data=encapsulate(streams))
    np.testing.assert_allclose(read_ultrasound(path).frames.astype(int), screen, atol=12)


def test_palette_indices_are_looked_up(tmp_path):
    indices = np.arange(20 * 30, dtype=np.uint8).reshape(1, 20, 30) % 4
    tables = np.array([[0, 10, 20, 255], [0, 30, 60, 255], [0, 50, 100, 0]], np.uint16)
    elements = {}
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [4, 0, 16]
        elements[f"{name}PaletteColorLookupTableData"] = (table * 257).astype("<u2").tobytes()
    image = read_ultrasound(write(tmp_path / "a.dcm", indices, "PALETTE COLOR", **elements))
    np.testing.assert_array_equal(image.frames, tables.T[indices])


def test_grey_keeps_three_axes(tmp_path, screen):
    image = read_ultrasound(write(tmp_path / "a.dcm", screen[:1, ..., 0], "MONOCHROME2"))
    np.testing.assert_array_equal(image.frames, screen[:1, ..., 0])


def test_twelve_bit_grey_is_scaled_to_eight(tmp_path):
    frames = np.array([[[0, 4095], [2048, 819]]], np.uint16)
    image = read_ultrasound(write(tmp_path / "a.dcm", frames, "MONOCHROME2", bits=12))
    np.testing.assert_array_equal(image.frames, [[[0, 255], [128, 51]]])


def test_monochrome1_is_turned_to_bright_on_dark(tmp_path):
    frames = np.array([[[0, 255], [200, 5]]], np.uint8)
    image = read_ultrasound(write(tmp_path / "a.dcm", frames, "MONOCHROME1"))
    np.testing.assert_array_equal(image.frames, 255 - frames)


def test_a_palette_of_16_bits_with_values_of_8_is_not_black(tmp_path):
    indices = np.arange(20 * 30, dtype=np.uint8).reshape(1, 20, 30) % 4
    table = np.array([0, 10, 60, 255], np.uint16)
    elements = {}
    for name in ("Red", "Green", "Blue"):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [4, 0, 16]
        elements[f"{name}PaletteColorLookupTableData"] = table.astype("<u2").tobytes()
    image = read_ultrasound(write(tmp_path / "a.dcm", indices, "PALETTE COLOR", **elements))
    np.testing.assert_array_equal(image.frames[..., 1], table[indices])


def test_names_a_palette_without_its_tables(tmp_path):
    indices = np.zeros((1, 20, 30), np.uint8)
    with pytest.raises(UnusableFileError, match=r"a\.dcm: expected a palette of three whole tables"):
        read_ultrasound(write(tmp_path / "a.dcm", indices, "PALETTE COLOR"))


@pytest.mark.parametrize(("largest", "bits"), [(255, 8), (4095, 12)])
def test_values_of_fewer_bits_than_the_header_claims_are_scaled_by_their_own(tmp_path, largest, bits):
    frames = np.array([[[0, largest], [largest // 3, largest]]], np.uint16)
    image = read_ultrasound(write(tmp_path / "a.dcm", frames, "MONOCHROME2", bits=16))
    np.testing.assert_array_equal(image.frames, [[[0, 255], [85, 255]]])
    assert image.notes[0].startswith(f"grey levels fill {bits} bits, though the header claims 16")


def test_gives_the_width_of_a_pixel_over_its_height(tmp_path, screen):
    assert read_ultrasound(write(tmp_path / "a.dcm", screen, PixelAspectRatio=["2", "1"])).pixel_aspect == 0.5
    assert read_ultrasound(write(tmp_path / "b.dcm", screen)).pixel_aspect == 1


def test_says_when_the_frames_were_taken(tmp_path, screen):
    image = read_ultrasound(write(tmp_path / "a.dcm", screen, FrameTime="33.3"))
    assert (image.timing.interval_ms, image.timing.source, image.frame_interval_ms) == (33.3, "FrameTime", 33.3)


def test_a_still_has_no_frame_interval(tmp_path, screen):
    assert read_ultrasound(write(tmp_path / "a.dcm", screen[:1], FrameTime="33.3")).frame_interval_ms is None


def test_regions_come_in_file_order_with_every_number_in_its_place(tmp_path, screen):
    tissue = region(RegionSpatialFormat=1, RegionDataType=1, ReferencePixelX0=None, ReferencePixelY0=None)
    path = write(tmp_path / "a.dcm", screen, SequenceOfUltrasoundRegions=[tissue, region()])
    first, second = read_ultrasound(path).regions
    assert (first.spatial_format, first.reference_x, first.reference_y) == (1, None, None)
    assert second == UltrasoundRegion(4, 5, 26, 17, 3, 3, 4, 7, 0.004, -0.8, 1, 7, 2, 0.0, 3.0)


def test_nothing_about_the_patient_is_kept(tmp_path, screen):
    image = read_ultrasound(write(tmp_path / "a.dcm", screen, SequenceOfUltrasoundRegions=[region()]))
    assert "Doe" not in repr(image) and "4711" not in repr(image)


def test_a_region_that_is_not_whole_is_refused_only_where_it_is_used(tmp_path, screen):
    ecg = region(RegionSpatialFormat=4, RegionDataType=10, PhysicalUnitsYDirection=None, RegionLocationMaxX1=None)
    path = write(tmp_path / "a.dcm", screen, SequenceOfUltrasoundRegions=[ecg, region()])
    broken, whole = read_ultrasound(path).regions
    whole.check(path)
    with pytest.raises(UnusableFileError, match=r"a\.dcm: .*RegionLocationMaxX1, PhysicalUnitsYDirection; export"):
        broken.check(path)


def test_refuses_another_modality(tmp_path, screen):
    mr_image = UID("1.2.840.10008.5.1.4.1.1.4")
    path = write(tmp_path / "a.dcm", screen, Modality="MR", SOPClassUID=mr_image)
    with pytest.raises(UnusableFileError, match=r"a\.dcm: expected an ultrasound file .*, found modality MR"):
        read_ultrasound(path)


def test_refuses_a_file_that_is_no_dicom(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no picture at all" * 30)
    with pytest.raises(UnusableFileError, match=r"a\.dcm: expected a DICOM file"):
        read_ultrasound(tmp_path / "a.dcm")


@pytest.mark.parametrize("kept", [0.9, 0.6, 0.3])
def test_refuses_a_truncated_file(tmp_path, screen, kept):
    path = write(tmp_path / "a.dcm", screen)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(UnusableFileError, match=r"a\.dcm"):
            read_ultrasound(path)


def test_refuses_a_file_without_pixels(tmp_path, screen):
    path = write(tmp_path / "a.dcm", screen)
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)
    with pytest.raises(UnusableFileError, match=r"\(7FE0,0010\), found none"):
        read_ultrasound(path)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_ultrasound(tmp_path / "absent.dcm")


def test_the_header_gives_size_and_regions_of_a_file_whose_pixels_are_cut_off(tmp_path, screen):
    path = write(tmp_path / "a.dcm", screen, SequenceOfUltrasoundRegions=[region()])
    path.write_bytes(path.read_bytes()[:-1500])
    size, (trace,) = read_ultrasound_header(path)
    assert size == (20, 30) and trace.delta_y == -0.8


def test_a_header_without_rows_is_no_image(tmp_path, screen):
    path = write(tmp_path / "a.dcm", screen)
    dataset = pydicom.dcmread(path)
    del dataset.Rows
    dataset.save_as(path)
    with pytest.raises(UnusableFileError, match="expected a DICOM image with rows and columns"):
        read_ultrasound_header(path)


def test_a_region_whose_reference_velocity_is_no_number_cannot_be_used(tmp_path, screen):
    # pydicom reads NaN from a damaged or badly written FD element.
    path = write(
        tmp_path / "a.dcm", screen, SequenceOfUltrasoundRegions=[region(ReferencePixelPhysicalValueY=float("nan"))]
    )
    (found,) = read_ultrasound(path).regions
    with pytest.raises(UnusableFileError, match="found no usable ReferencePixelPhysicalValueY"):
        found.check(path)
