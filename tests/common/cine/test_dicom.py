"""Slices and frames of DICOM folders: order, geometry, series, compression."""

import logging
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate

from common.cine import read_cine
from common.cine.dicom import read_dicom_slice
from common.errors import NoDataError, UnusableFileError
from tests.dicom_frames import OBLIQUE, cut, first_pixels, shapes, textured, write_frame, write_stack

SAMPLE = Path(__file__).parents[2] / "data" / "sunnybrook_sample" / "SCD0000101"


def test_slices_follow_position_and_frames_follow_trigger_time(tmp_path):
    # Names, instance numbers and slice locations all point the wrong way.
    names = iter("gcaebfdh")
    for s, depth in enumerate((20.0, 0.0)):
        for t in range(4):
            write_frame(
                tmp_path / f"{next(names)}.dcm",
                textured(10 * s + t),
                (0, 0, depth),
                trigger_ms=[70, 10, 100, 40][t],
                number=50 - t,
                SliceLocation=-depth,
            )
    cine = read_cine(tmp_path)
    # Slice 1 of the loop lies lower; times 10, 40, 70, 100 are loop indices 1, 3, 0, 2.
    assert first_pixels(cine) == [[11, 13, 10, 12], [1, 3, 0, 2]]


def test_frames_follow_instance_number_without_trigger_times(tmp_path):
    for name, number in (("a", 3), ("b", 1), ("c", 2)):
        write_frame(tmp_path / f"{name}.dcm", textured(number), number=number)
    cine = read_cine(tmp_path)
    assert first_pixels(cine) == [[1, 2, 3]]
    assert cine.slices[0].notes == ["frames in order of instance number"]


def test_affine_of_an_oblique_stack_by_hand(tmp_path):
    write_stack(tmp_path, slices=3, frames=2, gap_mm=10.0, orientation=OBLIQUE, SliceLocation=1.0)
    first, second, _ = (found.affine for found in read_cine(tmp_path).slices)
    # Left-posterior-superior: row step 1.5 (0, 1, 0), column step 1.25 (0.8, 0, 0.6), normal (-0.6, 0, 0.8);
    # right-anterior-superior turns the first two components round.
    by_hand = [[0, -1.0, 0.6, 0], [-1.5, 0, 0, 0], [0, 0.75, 0.8, 0], [0, 0, 0, 1]]
    assert np.allclose(first, by_hand, atol=1e-5)
    # Ten millimetres along the normal, whatever SliceLocation says.
    assert np.allclose(second[:3, 3] - first[:3, 3], [6, 0, 8], atol=1e-4)


SHUFFLED = (2, 0, 3, 1)
TIME_FIELDS = {
    "AcquisitionTime": ["101500.100", "101500.130", "101500.160", "101500.190"],
    "AcquisitionDateTime": ["20240101235959.94", "20240101235959.97", "20240102000000.00", "20240102000000.03"],
    "ContentTime": ["235959.900000", "235959.950000", "000000.000000", "000000.050000"],
    "NominalCardiacTriggerDelayTime": [0.0, 30.0, 60.0, 90.0],
    "TemporalPositionIdentifier": [1, 2, 3, 10],
    "TemporalPositionIndex": [1, 2, 3, 10],
    "InstanceNumber": [7, 8, 9, 10],
}


@pytest.mark.parametrize("field", TIME_FIELDS)
def test_frames_follow_whatever_tells_their_order(tmp_path, field):
    # Every trigger time is 0, all instance numbers are one, names are in another order.
    for t, name in enumerate(SHUFFLED):
        values = {"InstanceNumber": 1, field: TIME_FIELDS[field][t]}
        write_frame(tmp_path / f"{name}.dcm", textured(t), trigger_ms=0, **values)
    cine = read_cine(tmp_path)
    assert first_pixels(cine) == [[0, 1, 2, 3]]


@pytest.mark.parametrize("fields", [{"InstanceNumber": None}, {"InstanceNumber": 1, "ContentTime": "101500"}])
def test_frames_that_nothing_orders_are_refused(tmp_path, fields):
    for t, name in enumerate(SHUFFLED):
        write_frame(tmp_path / f"{name}.dcm", textured(t), trigger_ms=0, **fields)
    with pytest.raises(
        UnusableFileError, match=r"slice 0: nothing orders its 4 frames: trigger time, .*instance number"
    ):
        read_cine(tmp_path)


def test_frames_at_uneven_times_keep_them(tmp_path):
    # Thirty frames 20 ms apart, then 29 of 80 ms: a beat of 30 * 20 + 30 * 80 = 3000 ms.
    times = np.cumsum([0] + [20] * 30 + [80] * 29)
    for t, time in enumerate(times):
        write_frame(tmp_path / f"{t}.dcm", textured(t), trigger_ms=int(time), number=t)
    [found] = read_cine(tmp_path).slices
    assert found.phases == pytest.approx(times / 3000)
    assert found.notes == ["frames at uneven times, resampled by their trigger times"]


def test_a_frame_that_is_missing_where_frames_are_many_is_bridged(tmp_path):
    write_stack(tmp_path, slices=1, frames=20)
    (tmp_path / "IM-0001-0008.dcm").unlink()
    [found] = read_cine(tmp_path).slices
    assert found.phases == pytest.approx([t / 20 for t in range(20) if t != 7])


@pytest.mark.parametrize(
    "scale,message", [(0.001, "in steps of 0.03 ms"), (1000, "in steps of 30000 ms")], ids=["seconds", "microseconds"]
)
def test_trigger_times_in_another_unit_are_refused(tmp_path, scale, message):
    for t in range(4):
        write_frame(tmp_path / f"{t}.dcm", textured(t), trigger_ms=(20 + 30 * t) * scale, number=t)
    with pytest.raises(UnusableFileError, match=message):
        read_cine(tmp_path)


def write_study(folder):
    """Write a cine of 3 slices, and late enhancement, a map, phase images, and a localiser at its positions."""
    write_stack(folder / "cine", slices=3, SeriesNumber=5)
    other = {"gap_mm": 10.0, "slices": 3}
    write_stack(folder / "lge", frames=1, SeriesNumber=9, SeriesInstanceUID="1.2.9", InversionTime=300, **other)
    for t in range(8):
        for s in range(3):
            write_frame(
                folder / "molli" / f"{s}-{t}.dcm",
                textured(t),
                (0, 0, 10 * s),
                700 + t,
                t,
                SeriesNumber=10,
                SeriesInstanceUID="1.2.10",
                InversionTime=100 + 80 * t,
            )
    flow = ["ORIGINAL", "PRIMARY", "P", "ND"]
    write_stack(folder / "flow", frames=8, SeriesNumber=11, SeriesInstanceUID="1.2.11", ImageType=flow, **other)


def test_cine_is_taken_among_the_series_of_a_study(tmp_path):
    write_study(tmp_path)
    cine = read_cine(tmp_path)
    assert first_pixels(cine) == [[100 * s + t for t in range(4)] for s in (1, 2, 3)] and cine.skipped == []
    assert [note.split(":")[0] for note in cine.notes] == [
        "series 9 (3 frames at 3 positions) left out",
        "series 10 (24 frames at 3 positions) left out",
        "series 11 (24 frames at 3 positions) left out",
    ]


def test_study_without_a_cine_names_each_series(tmp_path):
    write_study(tmp_path)
    for file in (tmp_path / "cine").iterdir():
        file.unlink()
    with pytest.raises(
        UnusableFileError, match=r"series 9 .*one frame at each.*series 10 .*inversion.*series 11 .*phase"
    ):
        read_cine(tmp_path)


def test_of_two_cines_the_one_named_short_axis_is_taken_and_both_are_named(tmp_path):
    write_stack(tmp_path / "sax", slices=2, SeriesNumber=3, SeriesDescription="cine_SAX_retro")
    axial = {"SeriesInstanceUID": "1.9", "SeriesNumber": 4, "SeriesDescription": "cine axial"}
    write_stack(tmp_path / "axial", slices=5, orientation=OBLIQUE, **axial)
    cine = read_cine(tmp_path)
    assert len(cine.slices) == 2
    assert cine.notes == [
        "series 4 (20 frames at 5 positions) left out: a cine in another orientation; the one at 2 positions was taken"
    ]


def test_another_sequence_at_the_same_positions_is_no_repetition(tmp_path):
    write_stack(tmp_path / "cine", SequenceName="*tfi2d1_14")
    tagged = {"SeriesNumber": 2, "SeriesInstanceUID": "1.9", "SequenceName": "*fl2d9_tag"}
    write_stack(tmp_path / "tagged", slices=2, **tagged)
    cine = read_cine(tmp_path)
    assert [note.split(";")[0] for note in cine.notes] == [
        "series 2 (8 frames at 2 positions) left out: a cine in the same orientation"
    ]
    assert all("acquired" not in note for note in cine.notes)


def test_hidden_files_are_no_frames_and_linked_folders_are_followed(tmp_path):
    write_stack(tmp_path / "elsewhere")
    (tmp_path / "patient").mkdir()
    (tmp_path / "patient" / "series").symlink_to(tmp_path / "elsewhere")
    for name in ("._IM-0001-0001.dcm", ".DS_Store", "Thumbs.db"):
        (tmp_path / "elsewhere" / name).write_bytes(b"hidden")
    cine = read_cine(tmp_path / "patient")
    assert shapes(cine) == [(4, 8, 6)] * 3 and cine.notes == []


def test_files_without_preamble_and_meta_header_are_read(tmp_path):
    write_stack(tmp_path, slices=1)
    plain = read_cine(tmp_path)
    for file in tmp_path.glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        dataset.remove_private_tags()
        buffer = pydicom.filebase.DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, True
        pydicom.filewriter.write_dataset(buffer, dataset)
        file.with_suffix("").write_bytes(buffer.getvalue())
        file.unlink()
    assert np.array_equal(read_cine(tmp_path).slices[0].frames, plain.slices[0].frames)


def test_jpeg_lossless_frames_equal_the_uncompressed_ones(tmp_path):
    write_stack(tmp_path / "plain", slices=2)
    (tmp_path / "jpeg").mkdir()
    for file in (tmp_path / "plain").glob("*.dcm"):
        image = sitk.ReadImage(str(file), sitk.sitkUInt16)
        image.SetMetaData("0028|0103", "0")
        writer = sitk.ImageFileWriter()
        writer.SetKeepOriginalImageUID(True)
        writer.SetFileName(str(tmp_path / "jpeg" / file.name))
        writer.SetImageIO("GDCMImageIO")
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.Execute(image)
        written = pydicom.dcmread(tmp_path / "jpeg" / file.name)
        assert written.file_meta.TransferSyntaxUID.name.startswith("JPEG Lossless")
        for keyword in ("Modality", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "TriggerTime"):
            setattr(written, keyword, getattr(pydicom.dcmread(file), keyword))
        written.save_as(tmp_path / "jpeg" / file.name)
    for plain, packed in zip(read_cine(tmp_path / "plain").slices, read_cine(tmp_path / "jpeg").slices, strict=True):
        assert np.array_equal(plain.frames, packed.frames)


@pytest.mark.parametrize("name", ["jpeg_ls_lossless", "jp2klossless", "RLE"])
def test_compressed_frames_equal_the_uncompressed_ones(tmp_path, name):
    files = []
    for slope in (1, 2):  # something moves
        dataset = pydicom.dcmread(get_testdata_file(f"MR_small_{name}.dcm", download=False))
        dataset.RescaleSlope = slope
        files.append(tmp_path / f"{slope}.dcm")
        dataset.save_as(files[-1])
    plain = pydicom.dcmread(get_testdata_file("MR_small.dcm", download=False)).pixel_array
    assert np.array_equal(read_dicom_slice(files).frames, [plain, 2.0 * plain])


def test_damaged_fragments_take_down_their_slice_in_one_sentence(tmp_path):
    dataset = pydicom.dcmread(get_testdata_file("MR_small_jpeg_ls_lossless.dcm", download=False))
    dataset.PixelData = encapsulate([bytes(500)])
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(UnusableFileError, match=r"a.dcm: expected whole pixel data in JPEG-LS Lossless.*, found .*; "):
        read_dicom_slice([tmp_path / "a.dcm"])


def test_rescale_slope_and_intercept_are_applied(tmp_path):
    write_stack(tmp_path, slices=1, frames=2, RescaleSlope=2, RescaleIntercept=-5)
    assert first_pixels(read_cine(tmp_path)) == [[195, 197]]


def test_long_axis_views_in_the_same_folder_are_left_out(tmp_path, caplog):
    write_stack(tmp_path / "sax", slices=3)
    write_stack(tmp_path / "lax", slices=1, orientation=OBLIQUE, SeriesInstanceUID="1.2.9")
    with caplog.at_level(logging.WARNING):
        cine = read_cine(tmp_path)
    assert first_pixels(cine) == [[100 * s + t for t in range(4)] for s in (1, 2, 3)]
    assert "series 1 (4 frames at 1 positions) left out: a cine in another orientation" in caplog.text


def test_empty_folder_and_folder_of_other_files_hold_no_data(tmp_path):
    with pytest.raises(NoDataError, match="expected DICOM files, found none"):
        read_cine(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(NoDataError, match="expected DICOM files, found none"):
        read_cine(tmp_path)


def test_folder_of_files_that_are_not_dicom_is_an_error(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"GIF89a" * 100)
    with pytest.raises(UnusableFileError, match=r"a\.dcm: expected a DICOM file, found plain text"):
        read_cine(tmp_path)


def test_slice_read_alone_equals_the_one_in_the_stack(tmp_path):
    write_stack(tmp_path, orientation=OBLIQUE)
    whole = read_cine(tmp_path).slices[1]
    files = [tmp_path / f"IM-0001-{n:04d}.dcm" for n in (5, 6, 7, 8)]
    alone = read_dicom_slice(files, 1)
    assert np.array_equal(alone.frames, whole.frames) and np.array_equal(alone.affine, whole.affine)
    cut(files[1], 20)
    with pytest.raises(UnusableFileError, match=r"IM-0001-0006\.dcm"):
        read_dicom_slice(files)


def test_reads_two_real_slices():
    first, second = read_cine(SAMPLE).slices
    assert first.frames.shape == (20, 256, 256) and first.frames.dtype == np.float32 and first.phases is None
    assert np.linalg.norm(first.affine[:3, :2], axis=0) == pytest.approx([1.367188] * 2, abs=1e-3)
    # Ten millimetres between the positions (196.269, 2.295, 128.308) ...; SliceLocation says 6.7.
    assert np.linalg.norm(second.affine[:3, 3] - first.affine[:3, 3]) == pytest.approx(10.0, abs=1e-3)
    # File 141.dcm lies lower along the normal than 121.dcm.
    assert np.allclose(first.affine[:3, 3], [-209.708, 11.0335, 121.848])
