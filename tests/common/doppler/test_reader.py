import numpy as np
import pytest
from PIL import Image

from common.doppler import CalibrationError, read_doppler
from common.doppler.reader import check_doppler
from common.errors import UnusableFileError
from tests.common.data.test_ultrasound_dicom import region, write


@pytest.fixture
def colour():
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_a_picture_is_its_brightness_without_calibration(tmp_path, colour):
    Image.fromarray(colour).save(tmp_path / "a.png")
    image = read_doppler(tmp_path / "a.png")
    expected = (0.299 * colour[..., 0] + 0.587 * colour[..., 1] + 0.114 * colour[..., 2]) / 255
    np.testing.assert_allclose(image.pixels, expected, atol=1e-6)
    assert image.box == (0, 0, 59, 39) and image.calibration is None and image.pixels.dtype == np.float32


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_reads_every_kind_of_picture(tmp_path, colour, mode):
    Image.fromarray(colour).convert(mode).save(tmp_path / "a.png")
    pixels = read_doppler(tmp_path / "a.png").pixels
    assert pixels.shape == (40, 60) and pixels.min() >= 0 and pixels.max() <= 1


def test_a_grey_16_bit_picture_keeps_its_full_range(tmp_path):
    values = np.array([[0, 65535], [32768, 13107]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_allclose(read_doppler(tmp_path / "a.png").pixels, [[0, 1], [32768 / 65535, 0.2]], atol=1e-7)


def test_dicom_comes_with_trace_and_calibration_from_its_last_frame(tmp_path):
    frames = np.zeros((2, 40, 60, 3), np.uint8)
    frames[1] = 51
    item = region(RegionLocationMaxX1=50, RegionLocationMaxY1=30, PhysicalDeltaX=0.04, PhysicalDeltaY=-4.0)
    image = read_doppler(write(tmp_path / "a.dcm", frames, SequenceOfUltrasoundRegions=[item]))
    np.testing.assert_allclose(image.pixels, np.full((40, 60), 0.2), atol=1e-6)
    assert image.box == (4, 5, 50, 30)
    # Row 5 + 7 measures 3 cm/s at -4 cm/s a row.
    assert image.calibration == pytest.approx((12 + 3 / 4, 4.0, 0.04))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_refuses_a_truncated_picture(tmp_path, colour, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(colour).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(UnusableFileError, match=r"expected a whole picture, found .*; save it again"):
        read_doppler(path)


def test_a_check_gives_the_size_without_decoding(tmp_path, colour):
    Image.fromarray(colour).save(tmp_path / "a.png")
    item = region(RegionLocationMaxX1=50, RegionLocationMaxY1=30, PhysicalDeltaX=0.04, PhysicalDeltaY=-4.0)
    path = write(tmp_path / "a.dcm", np.zeros((1, 40, 60), np.uint8), "MONOCHROME2", SequenceOfUltrasoundRegions=[item])
    path.write_bytes(path.read_bytes()[:-1000])
    assert check_doppler(tmp_path / "a.png") == (40, 60) and check_doppler(path) == (40, 60)


def test_a_check_refuses_what_cannot_serve(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(UnusableFileError, match="expected a picture"):
        check_doppler(tmp_path / "a.png")
    write(tmp_path / "a.dcm", np.zeros((1, 40, 60), np.uint8), "MONOCHROME2")
    with pytest.raises(CalibrationError, match="expected the sequence of ultrasound regions"):
        check_doppler(tmp_path / "a.dcm")
