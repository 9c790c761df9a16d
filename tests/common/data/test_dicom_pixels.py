import io

import av
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from common.data import decode_pixels, read_dicom
from common.errors import UnusableFileError
from tests.common.data.test_ultrasound_dicom import write

JPEG_LOSSLESS, HTJ2K = UID("1.2.840.10008.1.2.4.70"), UID("1.2.840.10008.1.2.4.201")
MPEG2, H264 = UID("1.2.840.10008.1.2.4.100"), UID("1.2.840.10008.1.2.4.102")


def decoded(name):
    path = get_testdata_file(name, download=False)
    return decode_pixels(read_dicom(path), path)


@pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm", "MR_small_RLE.dcm"])
def test_lossless_syntaxes_give_the_pixels_of_the_uncompressed_file(name):
    np.testing.assert_array_equal(decoded(name), decoded("MR_small.dcm"))


@pytest.mark.parametrize("shape", [(40, 50), (3, 40, 50), (3, 40, 50, 3), (40, 50, 3)])
def test_reads_jpeg_lossless_of_any_shape(tmp_path, shape):
    """SimpleITK writes JPEG Lossless, process 14, selection value 1."""
    values = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8 if shape[-1] == 3 else np.uint16)
    writer = SimpleITK.ImageFileWriter()
    writer.SetFileName(str(tmp_path / "a.dcm"))
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.Execute(SimpleITK.GetImageFromArray(values, isVector=shape[-1] == 3))
    dataset = read_dicom(tmp_path / "a.dcm")
    assert dataset.file_meta.TransferSyntaxUID == JPEG_LOSSLESS
    np.testing.assert_array_equal(decode_pixels(dataset, "a.dcm"), values)


def test_applies_no_rescale_slope(tmp_path):
    path = get_testdata_file("MR_small_jpeg_ls_lossless.dcm", download=False)
    dataset = read_dicom(path)
    dataset.RescaleSlope, dataset.RescaleIntercept = "3", "-100"
    np.testing.assert_array_equal(decode_pixels(dataset, path), decoded("MR_small.dcm"))


def test_colour_of_the_lossless_file_is_that_of_the_lossy_one():
    lossless, lossy = decoded("SC_rgb_jpeg_gdcm.dcm"), decoded("SC_rgb_jpeg_dcmtk.dcm")
    assert np.abs(lossless.astype(int) - lossy).mean() < 3


def encoded(codec, container, frames):
    stream = io.BytesIO()
    with av.open(stream, "w", format=container) as output:
        video = output.add_stream(codec, rate=25)
        video.height, video.width, video.pix_fmt = *frames.shape[1:], "yuv420p"
        video.bit_rate = 4_000_000
        for frame in frames:
            output.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        output.mux(video.encode(None))
    return stream.getvalue()


@pytest.mark.parametrize(("syntax", "codec", "container"), [(MPEG2, "mpeg2video", "mpeg"), (H264, "mpeg4", "mp4")])
def test_reads_video_in_dicom(tmp_path, syntax, codec, container):
    frames = np.stack([np.full((64, 96), 30 + 9 * n, np.uint8) for n in range(12)])
    data = encapsulate([encoded(codec, container, frames)])
    colour = np.repeat(frames[..., None], 3, axis=-1)
    dataset = read_dicom(write(tmp_path / "a.dcm", colour, "YBR_PARTIAL_420", syntax, pixel_data=data))
    found = decode_pixels(dataset, "a.dcm")
    assert found.shape == (12, 64, 96, 3) and found.dtype == np.uint8
    np.testing.assert_allclose(found.mean((1, 2, 3)), frames.mean((1, 2)), atol=3)
    dataset.NumberOfFrames = 40
    with pytest.raises(UnusableFileError, match=r"a\.dcm: expected the 40 frames of its header, found 12"):
        decode_pixels(dataset, "a.dcm")


FRAMES = np.zeros((2, 20, 30), np.uint8)


@pytest.mark.parametrize("data", [b"", b"\xfe\xff\x00\xe0", b"\xfe\xff\x00\xe0\xff\xff\x00\x00ab", b"\0" * 64])
@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, RLELossless, JPEG_LOSSLESS, H264])
def test_names_a_file_without_whole_fragments(tmp_path, data, syntax):
    dataset = read_dicom(write(tmp_path / "a.dcm", FRAMES, "MONOCHROME2"))
    dataset.file_meta.TransferSyntaxUID, dataset.PixelData = syntax, data
    with pytest.raises(UnusableFileError, match=r"a\.dcm: expected whole pixel data in fragments, found none"):
        decode_pixels(dataset, "a.dcm")


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, RLELossless, JPEG_LOSSLESS])
def test_names_fragments_that_are_no_image_in_one_sentence(tmp_path, syntax):
    path = write(tmp_path / "a.dcm", FRAMES, "MONOCHROME2", syntax, pixel_data=encapsulate([b"\xff\xd8" * 40] * 2))
    with pytest.raises(UnusableFileError, match=r"a\.dcm: expected whole pixel data in .*, found a?") as caught:
        decode_pixels(read_dicom(path), "a.dcm")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"NumberOfFrames": 100_000}, "expected whole pixel data of 60000000 bytes, found 1200"),
        ({"Rows": 65535, "Columns": 65535}, "expected at most 4 GB of pixels, found a header that claims 2 frames"),
        ({"Rows": 0}, "expected a positive Rows, found 0"),
        ({"NumberOfFrames": -3}, "expected a whole NumberOfFrames over 0, found -3"),
    ],
)
def test_refuses_by_the_header_what_the_file_cannot_hold(tmp_path, claim, said):
    dataset = read_dicom(write(tmp_path / "a.dcm", FRAMES, "MONOCHROME2"))
    for keyword, value in claim.items():
        setattr(dataset, keyword, value)
    with pytest.raises(UnusableFileError, match=said):
        decode_pixels(dataset, "a.dcm")


@pytest.mark.parametrize("identifier", ["1.2.840.10008.1.1", "1.2.3", ""])
def test_refuses_an_identifier_that_is_no_transfer_syntax(tmp_path, identifier):
    dataset = read_dicom(write(tmp_path / "a.dcm", FRAMES, "MONOCHROME2"))
    dataset.file_meta.TransferSyntaxUID = UID(identifier)
    with pytest.raises(UnusableFileError, match=r"a\.dcm: expected .*; export the file again"):
        decode_pixels(dataset, "a.dcm")


def test_refuses_more_frames_than_fragments(tmp_path):
    path = get_testdata_file("examples_ybr_color.dcm", download=False)
    dataset = read_dicom(path)
    dataset.NumberOfFrames = 100_000
    dataset.Rows = dataset.Columns = 8
    with pytest.raises(UnusableFileError, match="expected the 100000 frames of its header, found 30"):
        decode_pixels(dataset, path)


def test_names_the_package_of_a_decoder_that_is_not_installed(tmp_path):
    pytest.importorskip("pydicom", minversion="3")
    if pydicom.pixels.get_decoder(HTJ2K).is_available:
        pytest.skip("the decoder is installed")
    path = write(tmp_path / "a.dcm", FRAMES, "MONOCHROME2", HTJ2K, pixel_data=encapsulate([b"\xff\x4f"] * 2))
    with pytest.raises(UnusableFileError, match=r"pip install pylibjpeg pylibjpeg-openjpeg"):
        decode_pixels(read_dicom(path), path)


def test_refuses_a_file_without_pixels(tmp_path):
    dataset = read_dicom(write(tmp_path / "a.dcm", FRAMES, "MONOCHROME2"), stop_before_pixels=True)
    assert dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    with pytest.raises(UnusableFileError, match=r"expected pixels in \(7FE0,0010\), found none"):
        decode_pixels(dataset, "a.dcm")
