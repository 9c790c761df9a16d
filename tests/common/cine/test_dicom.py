"""Sections and frames of DICOM folders: order, geometry, and what happens to every kind of bad file."""

import logging
from pathlib import Path

import numpy as np
import pytest

from common.cine import read_cine
from common.cine.dicom import dicom_files, read_dicom_section, read_frames
from common.cine.stacks import arrange_sections
from common.errors import NoDataError, UnusableFileError
from tests.dicom_frames import OBLIQUE, textured, write_frame, write_stack

SAMPLE = Path(__file__).parents[2] / "data" / "sunnybrook_sample" / "SCD0000101"


def first_pixels(cine):
    return cine.frames[:, :, 0, 0].astype(int).tolist()


def test_sections_follow_position_and_frames_follow_trigger_time(tmp_path):
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
    # Section 1 of the loop lies lower; times 10, 40, 70, 100 are loop indices 1, 3, 0, 2.
    assert first_pixels(cine) == [[11, 13, 10, 12], [1, 3, 0, 2]]
    assert cine.trigger_times_ms.tolist() == [[10, 40, 70, 100]] * 2


def test_frames_follow_instance_number_without_trigger_times(tmp_path):
    for name, number in (("a", 3), ("b", 1), ("c", 2)):
        write_frame(tmp_path / f"{name}.dcm", textured(number), number=number)
    cine = read_cine(tmp_path)
    assert first_pixels(cine) == [[1, 2, 3]]
    assert cine.trigger_times_ms is None


def test_spacing_and_affine_of_an_oblique_stack_by_hand(tmp_path):
    write_stack(tmp_path, sections=3, frames=2, gap_mm=10.0, orientation=OBLIQUE, SliceLocation=1.0)
    cine = read_cine(tmp_path)
    assert cine.spacing_mm == pytest.approx((1.5, 1.25, 10.0))
    # Left-posterior-superior: row step 1.5 (0, 1, 0), column step 1.25 (0.8, 0, 0.6), section step 10 (-0.6, 0, 0.8);
    # right-anterior-superior turns the first two components round.
    by_hand = [[0, -1.0, 6, 0], [-1.5, 0, 0, 0], [0, 0.75, 8, 0], [0, 0, 0, 1]]
    assert np.allclose(cine.affine, by_hand, atol=1e-5)


def test_rescale_slope_and_intercept_are_applied(tmp_path):
    write_stack(tmp_path, sections=1, frames=2, RescaleSlope=2, RescaleIntercept=-5)
    assert first_pixels(read_cine(tmp_path)) == [[195, 197]]


def test_single_section_takes_its_thickness_and_refuses_to_guess_it(tmp_path):
    write_stack(tmp_path / "with", sections=1)
    assert read_cine(tmp_path / "with").spacing_mm[2] == 6.0
    write_stack(tmp_path / "without", sections=1, SliceThickness=None)
    with pytest.raises(UnusableFileError, match=r"slice thickness \(0018,0050\)"):
        read_cine(tmp_path / "without")


def test_long_axis_views_in_the_same_folder_are_left_out(tmp_path, caplog):
    write_stack(tmp_path / "sax", sections=3)
    write_stack(tmp_path / "lax", sections=1, orientation=OBLIQUE, SeriesInstanceUID="1.2.9")
    with caplog.at_level(logging.WARNING):
        cine = read_cine(tmp_path)
    assert first_pixels(cine) == [[100 * s + t for t in range(4)] for s in (1, 2, 3)]
    assert "4 files at 1 positions in another orientation" in caplog.text


@pytest.mark.parametrize(
    "repeat",
    [{"SeriesNumber": 2, "SeriesInstanceUID": "1.2.4"}, {"AcquisitionNumber": 2}],
    ids=["series", "acquisition"],
)
def test_repeated_section_keeps_the_latest_and_says_so(tmp_path, caplog, repeat):
    write_stack(tmp_path, sections=2)
    for t in range(4):
        write_frame(tmp_path / f"again{t}.dcm", textured(900 + t), (0, 0, 10), 20 + 30 * t, t, **repeat)
    with caplog.at_level(logging.WARNING):
        cine = read_cine(tmp_path)
    assert first_pixels(cine)[1] == [900, 901, 902, 903]
    assert "section 1 was acquired 2 times" in caplog.text


def test_broken_off_repetition_does_not_replace_the_whole_one(tmp_path):
    write_stack(tmp_path, sections=2)
    for t in range(2):
        write_frame(
            tmp_path / f"again{t}.dcm",
            textured(900),
            (0, 0, 10),
            20 + 30 * t,
            t,
            SeriesNumber=2,
            SeriesInstanceUID="1.9",
        )
    assert first_pixels(read_cine(tmp_path))[1] == [200, 201, 202, 203]


def test_copies_of_a_file_count_once(tmp_path):
    write_stack(tmp_path, sections=2)
    (tmp_path / "copy").mkdir()
    for file in sorted(tmp_path.glob("*.dcm")):
        (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    assert read_cine(tmp_path).frames.shape == (2, 4, 8, 6)


def test_truncated_file_takes_down_only_its_section(tmp_path):
    write_stack(tmp_path, sections=3)
    cut(tmp_path / "IM-0001-0006.dcm", 20)
    cine = read_cine(tmp_path)
    assert [row[0] for row in first_pixels(cine)] == [100, 300]
    assert len(cine.sections_skipped) == 1
    number, reason = cine.sections_skipped[0]
    assert number == 1 and "IM-0001-0006.dcm" in reason


def test_header_scan_finds_truncated_pixels_without_reading_them(tmp_path):
    write_stack(tmp_path, sections=3)
    cut(tmp_path / "IM-0001-0006.dcm", 1)
    stack = arrange_sections(tmp_path, read_frames(tmp_path, dicom_files(tmp_path), pixels=False))
    assert stack.numbers == [0, 2]
    assert "IM-0001-0006.dcm: the file ends after" in stack.skipped[0][1]


def test_file_cut_inside_its_header_leaves_its_section_short(tmp_path, caplog):
    write_stack(tmp_path, sections=3)
    cut(tmp_path / "IM-0001-0006.dcm", 8 * 6 * 2 + 120)
    with caplog.at_level(logging.WARNING):
        cine = read_cine(tmp_path)
    assert cine.sections_skipped == [(1, "3 frames instead of 4 as in most sections")]
    assert "IM-0001-0006.dcm" in caplog.text


def test_file_whose_transfer_syntax_is_damaged_leaves_its_section_short(tmp_path, caplog):
    write_stack(tmp_path, sections=3)
    file = tmp_path / "IM-0001-0006.dcm"
    syntax = b"\x02\x00\x10\x00"  # (0002,0010), then its value representation UI
    file.write_bytes(file.read_bytes().replace(syntax + b"UI", syntax + b"ZZ", 1))
    with caplog.at_level(logging.WARNING):
        cine = read_cine(tmp_path)
    assert cine.sections_skipped == [(1, "3 frames instead of 4 as in most sections")]
    assert "IM-0001-0006.dcm: expected a single-frame MR image" in caplog.text


def test_all_files_truncated_is_an_error_that_names_one(tmp_path):
    write_stack(tmp_path, sections=2)
    for file in tmp_path.glob("*.dcm"):
        cut(file, 20)
    with pytest.raises(UnusableFileError, match=r"expected at least one whole short-axis section.*IM-0001-0001\.dcm"):
        read_cine(tmp_path)


def test_section_with_a_missing_last_frame_is_skipped(tmp_path):
    write_stack(tmp_path, sections=3)
    (tmp_path / "IM-0001-0004.dcm").unlink()
    cine = read_cine(tmp_path)
    assert cine.sections_skipped == [(0, "3 frames instead of 4 as in most sections")]
    assert cine.affine[2, 3] == pytest.approx(10.0)


def test_hole_in_the_heart_beat_is_seen_although_all_sections_have_it(tmp_path):
    write_stack(tmp_path, sections=2, frames=8)
    for number in (4, 12):
        (tmp_path / f"IM-0001-{number:04d}.dcm").unlink()
    with pytest.raises(UnusableFileError, match=r"a frame is missing after 80 ms \(a step of 60 ms, not 30\)"):
        read_cine(tmp_path)


def test_section_of_another_matrix_size_is_skipped(tmp_path):
    write_stack(tmp_path, sections=3)
    for t in range(4):
        write_frame(tmp_path / f"IM-0001-{t + 1:04d}.dcm", textured(1, (10, 6)), (0, 0, 0), 20 + 30 * t, t)
    assert read_cine(tmp_path).sections_skipped == [(0, "matrix size (10, 6) instead of (8, 6) as in most sections")]


def test_mixed_matrix_sizes_within_a_section_skip_it(tmp_path):
    write_stack(tmp_path, sections=3)
    write_frame(tmp_path / "IM-0001-0002.dcm", textured(1, (10, 6)), (0, 0, 0), 50, 2)
    assert read_cine(tmp_path).sections_skipped == [(0, "mixed matrix sizes [(8, 6), (10, 6)]")]


def test_constant_section_and_constant_frame_are_skipped(tmp_path):
    write_stack(tmp_path, sections=3)
    for t in range(4):
        write_frame(tmp_path / f"IM-0001-{t + 1:04d}.dcm", np.full((8, 6), 7), (0, 0, 0), 20 + 30 * t, t)
    write_frame(tmp_path / "IM-0001-0006.dcm", np.zeros((8, 6)), (0, 0, 10), 50, 6)
    assert read_cine(tmp_path).sections_skipped == [
        (0, "the image is constant (standard deviation 0)"),
        (1, "frame 2 of 4 is constant (standard deviation 0)"),
    ]


def test_all_black_patient_is_an_error(tmp_path):
    for t in range(3):
        write_frame(tmp_path / f"{t}.dcm", np.zeros((8, 6)), (0, 0, 0), 30 * t, t)
    with pytest.raises(UnusableFileError, match="constant"):
        read_cine(tmp_path)


def test_one_frame_is_no_cine(tmp_path):
    write_stack(tmp_path, sections=3, frames=1)
    with pytest.raises(UnusableFileError, match="at least 2 frames a section, found one frame at each of 3 positions"):
        read_cine(tmp_path)


@pytest.mark.parametrize("modality", ["US", "CT", None])
def test_other_modality_is_refused(tmp_path, modality):
    write_stack(tmp_path, Modality=modality)
    with pytest.raises(UnusableFileError, match=rf"= MR, found {modality or 'no modality'}"):
        read_cine(tmp_path)


def test_file_of_another_modality_beside_a_cine_is_left_out(tmp_path):
    write_stack(tmp_path)
    write_frame(tmp_path / "report.dcm", textured(1), Modality="SR")
    (tmp_path / "notes").write_text("not an image")
    assert read_cine(tmp_path).frames.shape == (3, 4, 8, 6)


@pytest.mark.parametrize(
    "missing,tag",
    [
        ("ImagePositionPatient", "0020,0032"),
        ("ImageOrientationPatient", "0020,0037"),
        ("PixelSpacing", "0028,0030"),
    ],
)
def test_geometry_is_never_guessed(tmp_path, missing, tag):
    for t in range(3):
        write_frame(tmp_path / f"{t}.dcm", textured(t), (0, 0, 0), 30 * t, t, **{missing: None})
    with pytest.raises(UnusableFileError, match=rf"found 0 of \d values in \({tag}\)"):
        read_cine(tmp_path)


def test_multi_frame_file_is_refused_with_a_remedy(tmp_path):
    write_frame(tmp_path / "enhanced.dcm", textured(0), NumberOfFrames=30)
    with pytest.raises(UnusableFileError, match=r"found 30 frames in one file \(0028,0008\); convert"):
        read_cine(tmp_path)


def test_two_patients_in_one_folder_are_refused_without_naming_them(tmp_path):
    write_stack(tmp_path / "a", PatientID="first")
    write_stack(tmp_path / "b", PatientID="second")
    with pytest.raises(UnusableFileError, match="expected one patient") as caught:
        read_cine(tmp_path)
    assert "second" not in str(caught.value) and "Do^Not" not in str(caught.value)


def test_empty_folder_and_folder_of_other_files_hold_no_data(tmp_path):
    with pytest.raises(NoDataError, match="expected DICOM files, found none"):
        read_cine(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(NoDataError, match="expected DICOM files, found none"):
        read_cine(tmp_path)


def test_folder_of_files_that_are_not_dicom_is_an_error(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"GIF89a" * 100)
    with pytest.raises(UnusableFileError, match=r"a\.dcm: expected a DICOM file, found another kind"):
        read_cine(tmp_path)


def test_each_file_is_opened_once(tmp_path, monkeypatch):
    write_stack(tmp_path)
    opened = []
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: (opened.append(self.name), original(self, *a, **k))[1])
    read_cine(tmp_path)
    assert sorted(opened) == [f"IM-0001-{n:04d}.dcm" for n in range(1, 13)]


def test_section_read_alone_equals_the_one_in_the_stack(tmp_path):
    write_stack(tmp_path, orientation=OBLIQUE)
    whole = read_cine(tmp_path)
    alone = read_dicom_section([tmp_path / f"IM-0001-{n:04d}.dcm" for n in (5, 6, 7, 8)])
    assert np.array_equal(alone.frames[0], whole.frames[1])
    assert np.allclose(alone.affine[:3, 3], (whole.affine @ [0, 0, 1, 1])[:3], atol=1e-4)
    cut(tmp_path / "IM-0001-0006.dcm", 20)
    with pytest.raises(UnusableFileError, match=r"IM-0001-0006\.dcm"):
        read_dicom_section([tmp_path / f"IM-0001-{n:04d}.dcm" for n in (5, 6, 7, 8)])


def test_reads_two_real_sections():
    cine = read_cine(SAMPLE)
    assert cine.frames.shape == (2, 20, 256, 256) and cine.frames.dtype == np.float32
    # Ten millimetres between the positions (196.269, 2.295, 128.308) ...; SliceLocation says 6.7.
    assert cine.spacing_mm == pytest.approx((1.367188, 1.367188, 10.0), abs=1e-3)
    # File 141.dcm lies lower along the normal than 121.dcm.
    assert cine.trigger_times_ms[:, 0] == pytest.approx([18.9873409, 18.9873409])
    assert np.allclose(cine.affine[:3, 3], [-209.708, 11.0335, 121.848])


def cut(path, count):
    path.write_bytes(path.read_bytes()[:-count])
