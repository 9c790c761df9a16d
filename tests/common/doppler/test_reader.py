import math
import struct
import zlib

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from common.doppler import CalibrationError, DopplerCalibration, LoadDopplerd, read_doppler
from common.doppler.phantoms.cart import draw_cart_screen
from common.doppler.reader import check_doppler, is_rainbow, stacked_peaks
from common.doppler.strip import Strip
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
    Image.fromarray(np.tile(values, (8, 9))).save(tmp_path / "a.png")
    expected = np.tile([[0, 1], [32768 / 65535, 0.2]], (8, 9))
    np.testing.assert_allclose(read_doppler(tmp_path / "a.png").pixels, expected, atol=1e-7)


@pytest.mark.parametrize("size", [(15, 40), (40, 15), (10, 10)])
def test_a_picture_too_small_for_a_trace_is_refused(tmp_path, size):
    Image.new("L", size, 128).save(tmp_path / "a.png")
    for read in (read_doppler, check_doppler):
        with pytest.raises(UnusableFileError, match=f"at least 16 x 16 pixels, found {size[0]} x {size[1]}"):
            read(tmp_path / "a.png")


def test_dicom_comes_with_trace_and_calibration_from_its_last_frame(tmp_path):
    frames = np.zeros((2, 40, 60, 3), np.uint8)
    frames[1] = 51
    item = region(RegionLocationMaxX1=50, RegionLocationMaxY1=30, PhysicalDeltaX=0.04, PhysicalDeltaY=-4.0)
    image = read_doppler(write(tmp_path / "a.dcm", frames, SequenceOfUltrasoundRegions=[item]))
    np.testing.assert_allclose(image.pixels, np.full((40, 60), 0.2), atol=1e-6)
    assert image.box == (4, 5, 50, 30)
    # Row 5 + 7 measures 3 cm/s at -4 cm/s a row.
    assert image.calibration == pytest.approx((12 + 3 / 4, 4.0, 0.04))


def test_a_dicom_file_of_one_frame_has_that_one_whatever_the_frame(tmp_path):
    item = region(RegionLocationMaxX1=50, RegionLocationMaxY1=30, PhysicalDeltaX=0.04, PhysicalDeltaY=-4.0)
    one = write(tmp_path / "a.dcm", np.full((1, 40, 60, 3), 51, np.uint8), SequenceOfUltrasoundRegions=[item])
    assert read_doppler(one, 40).pixels == pytest.approx(0.2, abs=1e-6)
    two = write(tmp_path / "b.dcm", np.zeros((2, 40, 60, 3), np.uint8), SequenceOfUltrasoundRegions=[item])
    with pytest.raises(UnusableFileError, match="expected a frame 40, found 2"):
        read_doppler(two, 40)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_refuses_a_truncated_picture(tmp_path, colour, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(colour).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(UnusableFileError, match=r"expected a whole picture, found .*; save it again"):
        read_doppler(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_picture_is_turned_as_its_exif_says(tmp_path, colour, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn clockwise
    Image.fromarray(colour).save(tmp_path / f"turned.{suffix}", exif=exif)
    Image.fromarray(colour).save(tmp_path / f"as_is.{suffix}")
    turned, as_is = (read_doppler(tmp_path / f"{name}.{suffix}").pixels for name in ("turned", "as_is"))
    np.testing.assert_allclose(turned, np.rot90(as_is, -1), atol=1e-6)
    assert check_doppler(tmp_path / f"turned.{suffix}").size == (60, 40)


@pytest.mark.parametrize("read", [read_doppler, check_doppler])
def test_opens_no_kind_of_picture_but_the_listed_ones(tmp_path, colour, read):
    for kind in ("EPS", "PPM", "ICO", "GIF"):
        path = tmp_path / f"{kind}.png"
        Image.fromarray(colour).save(path, kind)
        found = "plain text" if kind == "EPS" else "a file of another kind"
        with pytest.raises(UnusableFileError, match=rf"expected a picture \(PNG, JPEG, BMP, TIFF\), found {found}"):
            read(path)


@pytest.mark.parametrize("read", [read_doppler, check_doppler])
@pytest.mark.parametrize("side", [9000, 12000, 65535])
def test_refuses_by_its_header_a_picture_that_fills_the_memory(tmp_path, read, side):
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(start + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    with pytest.raises(UnusableFileError, match=r"a\.png: expected a .*picture.*pixels"):
        read(tmp_path / "a.png")


def test_refuses_several_pictures_in_one_file(tmp_path, colour):
    pages = [Image.fromarray(colour), Image.fromarray(colour[::-1].copy())]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(UnusableFileError, match="expected one picture, found 2 in one file"):
        read_doppler(tmp_path / "a.tif")


def test_refuses_twelve_bits_in_sixteen(tmp_path):
    Image.fromarray(np.tile(np.array([[0, 4095], [17, 90]], np.uint16), (8, 8))).save(tmp_path / "a.png")
    with pytest.raises(UnusableFileError, match="whole range of 16 bits, found 0 to 4095; save the picture with 8"):
        read_doppler(tmp_path / "a.png")


def test_refuses_numbers_that_are_no_brightness(tmp_path):
    Image.fromarray(np.tile(np.array([[0, 1e9], [17, -3]], np.float32), (8, 8))).save(tmp_path / "a.tif")
    with pytest.raises(UnusableFileError, match=r"found -3 to 1e\+09"):
        read_doppler(tmp_path / "a.tif")


def test_a_check_gives_the_size_without_decoding(tmp_path, colour):
    Image.fromarray(colour).save(tmp_path / "a.png")
    item = region(RegionLocationMaxX1=50, RegionLocationMaxY1=30, PhysicalDeltaX=0.04, PhysicalDeltaY=-4.0)
    path = write(tmp_path / "a.dcm", np.zeros((1, 40, 60), np.uint8), "MONOCHROME2", SequenceOfUltrasoundRegions=[item])
    path.write_bytes(path.read_bytes()[:-1000])
    assert check_doppler(tmp_path / "a.png").size == (40, 60) and check_doppler(path).size == (40, 60)


def test_a_check_refuses_what_cannot_serve(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(UnusableFileError, match="expected a picture"):
        check_doppler(tmp_path / "a.png")
    write(tmp_path / "a.dcm", np.zeros((1, 40, 60), np.uint8), "MONOCHROME2")
    with pytest.raises(CalibrationError, match="expected the sequence of ultrasound regions"):
        check_doppler(tmp_path / "a.dcm")


@pytest.fixture
def dicom(tmp_path):
    item = region(RegionLocationMaxX1=50, RegionLocationMaxY1=30, PhysicalDeltaX=0.04, PhysicalDeltaY=-4.0)
    return write(
        tmp_path / "a.dcm", np.full((1, 40, 60), 51, np.uint8), "MONOCHROME2", SequenceOfUltrasoundRegions=[item]
    )


def test_dicom_becomes_image_box_calibration_and_peaks(dicom):
    d = LoadDopplerd("image", max_peaks=3)(
        {"case": "a", "image": str(dicom), "peaks": {"E": [(8.0, 9.0), (20.0, 8.5)], "A": []}}
    )
    torch.testing.assert_close(d["image"], torch.full((1, 40, 60), 0.2))
    assert d["box"].tolist() == [4, 5, 50, 30]
    assert d["calibration"].tolist() == pytest.approx([12 + 3 / 4, 4.0, 0.04])
    assert d["peaks"].shape == (2, 3, 2) and d["peaks"][0, 1].tolist() == [20.0, 8.5]
    assert d["peaks"][0, 2].isnan().all() and d["peaks"][1].isnan().all()


def test_a_calibration_of_labels_csv_goes_before_the_file(dicom):
    d = LoadDopplerd("image")({"image": str(dicom), "calibration": DopplerCalibration(20.0, 5.0, 0.02)})
    assert d["calibration"].tolist() == [20.0, 5.0, 0.02]
    assert "peaks" not in d


def test_a_trace_of_labels_csv_goes_before_the_whole_picture(tmp_path):
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "a.png")
    assert LoadDopplerd("image")({"image": tmp_path / "a.png", "box": (3, 4, 50, 33)})["box"].tolist() == [3, 4, 50, 33]


def test_a_case_with_a_problem_fails_by_it(dicom):
    with pytest.raises(UnusableFileError, match="a wrong scale"):
        LoadDopplerd("image")({"image": str(dicom), "problem": "a.dcm: a wrong scale"})


def test_a_picture_without_calibration_has_none(tmp_path):
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "a.png")
    d = LoadDopplerd("image")({"image": str(tmp_path / "a.png")})
    assert d["calibration"].isnan().all() and d["box"].tolist() == [0, 0, 29, 19]


def test_leaves_its_input_alone(dicom):
    item = {"image": str(dicom), "peaks": {"E": [(8.0, 9.0)], "A": []}}
    LoadDopplerd("image")(item)
    assert item == {"image": str(dicom), "peaks": {"E": [(8.0, 9.0)], "A": []}}


def test_more_peaks_than_room_is_an_error_not_a_loss():
    peaks = {"E": [(float(x), 1.0) for x in range(4)], "A": []}
    with pytest.raises(ValueError, match="expected at most 3 E peaks in an image, found 4"):
        stacked_peaks(peaks, 3)


def test_no_peaks_are_all_nan():
    assert stacked_peaks({"E": [], "A": []}, 2).isnan().all()


def test_the_strip_of_a_whole_screen_is_found_and_measured_where_the_ticks_are_known(tmp_path):
    screen = draw_cart_screen(np.random.default_rng(21))
    layout = screen.layout
    Image.fromarray(screen.pixels).save(tmp_path / "a.png")
    d = LoadDopplerd("image", tick_cm_s=screen.tick_cm_s)({"image": tmp_path / "a.png"})
    assert d["ticks"].tolist() == [screen.tick_cm_s, 1.0], "what was taken for granted"
    left, top, right, bottom = d["box"].tolist()
    assert (left, right) == pytest.approx((layout.left, layout.left + layout.width - 1), abs=2)
    assert abs(bottom - (layout.top + layout.height - 1)) <= 3 and top < layout.baseline_row
    assert d["calibration"].tolist() == pytest.approx(
        [layout.baseline_row, layout.cm_s_per_px, layout.seconds_per_px], rel=2e-3
    )
    assert 0.6 <= float(d["strip"]) < 1  # 1 is a strip that somebody gave


def test_a_found_strip_is_never_as_sure_as_a_given_one(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "a.png")
    strip = Strip((3, 4, 50, 33), 20.0, 5.0, 10.0, confidence=1.0)
    monkeypatch.setattr("common.doppler.reader.find_strips", lambda pixels: [strip])
    assert float(LoadDopplerd("image")({"image": tmp_path / "a.png"})["strip"]) < 1
    assert float(LoadDopplerd("image")({"image": tmp_path / "a.png", "box": (3, 4, 50, 33)})["strip"]) == 1


TWO = [Strip((40, 110, 339, 259), 200.0, 30.0, 100.0, 0.9), Strip((40, 410, 339, 559), 500.0, 30.0, 100.0, 0.8)]


@pytest.fixture
def two_strips(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((600, 400), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr("common.doppler.reader.find_strips", lambda pixels: TWO)
    return tmp_path / "a.png"


def test_a_picture_of_two_strips_is_refused_with_the_corners_of_both(two_strips):
    with pytest.raises(CalibrationError, match=r"a\.png: .* found 2, .* 40,110,339,259 and 40,410,339,559; crop"):
        LoadDopplerd("image", tick_cm_s=20.0)({"image": two_strips})


@pytest.mark.parametrize(
    "entry",
    [
        {"box": (40, 410, 339, 559)},
        {"calibration": DopplerCalibration(500.0, 0.7, 0.01)},
        {"peaks": {"E": [(100.0, 450.0)], "A": []}},
    ],
    ids=["corners", "baseline", "peaks"],
)
def test_of_two_strips_the_one_that_labels_csv_speaks_of_is_taken(two_strips, entry):
    assert LoadDopplerd("image")({"image": two_strips, **entry})["box"].tolist() == [40, 410, 339, 559]


def test_without_the_distance_of_ticks_a_found_strip_has_no_calibration(tmp_path):
    Image.fromarray(draw_cart_screen(np.random.default_rng(21)).pixels).save(tmp_path / "a.png")
    d = LoadDopplerd("image")({"image": tmp_path / "a.png"})
    assert d["calibration"].isnan().all() and float(d["strip"]) >= 0.6 and d["box"][1] > 0


def test_a_distance_of_ticks_that_no_inflow_has_is_refused(tmp_path):
    Image.fromarray(draw_cart_screen(np.random.default_rng(21)).pixels).save(tmp_path / "a.png")
    with pytest.raises(UnusableFileError, match="tissue Doppler or a wrong scale"):
        LoadDopplerd("image", tick_cm_s=2.0)({"image": tmp_path / "a.png"})


def test_a_labelled_peak_outside_the_strip_that_was_found_keeps_the_whole_picture(tmp_path):
    screen = draw_cart_screen(np.random.default_rng(21))
    Image.fromarray(screen.pixels).save(tmp_path / "a.png")
    d = LoadDopplerd("image")({"image": tmp_path / "a.png", "peaks": {"E": [(10.0, 10.0)], "A": []}})
    assert d["box"].tolist() == [0, 0, screen.pixels.shape[1] - 1, screen.pixels.shape[0] - 1]
    assert float(d["strip"]) == 0


@pytest.mark.parametrize(
    "settings", [{"tick_cm_s": 0.0}, {"tick_cm_s": -20.0}, {"tick_s": 0.0}, {"tick_s": math.nan}, {"tick_cm_s": "abc"}]
)
def test_refuses_a_distance_of_ticks_that_is_none(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))}: expected a positive number"):
        LoadDopplerd("image", **settings)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("jet", True), ("turbo", True), ("gray", False), ("copper", False), ("hot", False), ("viridis", False)],
)
def test_a_map_in_which_brighter_signal_is_not_brighter_colour_is_a_rainbow(name, expected):
    signal = np.random.default_rng(0).beta(0.6, 1.4, (60, 200))
    colours = (255 * matplotlib.colormaps[name](signal)[..., :3]).astype(np.uint8)
    brightness = colours @ np.array([0.299, 0.587, 0.114])
    order = np.argsort(signal, axis=None)
    falls = np.diff(brightness.flat[order]).min() < -1
    assert is_rainbow(colours) == expected == falls
    assert not is_rainbow(np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize("calibration", [None, DopplerCalibration(40.0, 1.5)])
def test_colour_doppler_on_a_whole_screen_is_no_rainbow_of_a_trace(tmp_path, calibration):
    colours = (255 * matplotlib.colormaps["jet"](np.random.default_rng(0).random((60, 200)))[..., :3]).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.png")
    item = {"image": tmp_path / "a.png"} | ({"calibration": calibration} if calibration else {})
    assert LoadDopplerd()(item)["rainbow"] == bool(calibration)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_frame_says_whether_the_file_has_others(tmp_path, colour, frames):
    trace = region(RegionLocationMaxX1=59, RegionLocationMaxY1=39, PhysicalDeltaY=-4.0)
    path = write(tmp_path / "a.dcm", np.stack([colour] * frames), SequenceOfUltrasoundRegions=[trace])
    assert LoadDopplerd()({"image": path})["is_one_of_many"] == (frames > 1)
