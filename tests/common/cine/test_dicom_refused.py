"""What is left out of a DICOM folder or refused: repeated, damaged, incomplete, mixed, of another kind."""

import logging
from pathlib import Path

import numpy as np
import pydicom
import pytest

from common.cine import read_cine
from common.cine.dicom import read_stack
from common.errors import UnusableFileError
from tests.dicom_frames import cut, first_pixels, shapes, textured, write_frame, write_stack


@pytest.mark.parametrize(
    "repeat",
    [{"SeriesNumber": 2, "SeriesInstanceUID": "1.2.4"}, {"AcquisitionNumber": 2}],
    ids=["series", "acquisition"],
)
def test_repeated_slice_keeps_the_latest_and_says_so(tmp_path, caplog, repeat):
    write_stack(tmp_path, slices=2)
    for t in range(4):
        write_frame(tmp_path / f"again{t}.dcm", textured(900 + t), (0, 0, 10), 20 + 30 * t, t, **repeat)
    with caplog.at_level(logging.WARNING):
        cine = read_cine(tmp_path)
    assert first_pixels(cine)[1] == [900, 901, 902, 903]
    assert "slice 1 was acquired 2 times; the latest whole one was taken" in caplog.text


def test_broken_off_repetition_does_not_replace_the_whole_one(tmp_path):
    write_stack(tmp_path, slices=2)
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
    write_stack(tmp_path, slices=2)
    (tmp_path / "copy").mkdir()
    for file in sorted(tmp_path.glob("*.dcm")):
        (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    assert shapes(read_cine(tmp_path)) == [(4, 8, 6)] * 2


def test_truncated_file_takes_down_only_its_slice(tmp_path):
    write_stack(tmp_path, slices=3)
    cut(tmp_path / "IM-0001-0006.dcm", 20)
    cine = read_cine(tmp_path)
    assert [row[0] for row in first_pixels(cine)] == [100, 300]
    assert len(cine.skipped) == 1
    number, reason = cine.skipped[0]
    # The whole path, by which it is known where names are to stay out of the results.
    assert number == 1 and reason.startswith(f"{tmp_path / 'IM-0001-0006.dcm'}: ")


def test_header_scan_finds_truncated_pixels_without_reading_them(tmp_path):
    write_stack(tmp_path, slices=3)
    cut(tmp_path / "IM-0001-0006.dcm", 1)
    stack = read_stack(tmp_path)
    assert [found.number for found in stack.slices] == [0, 2]
    assert "IM-0001-0006.dcm: the file ends after" in stack.skipped[0][1]


def damage_syntax(file):
    syntax = b"\x02\x00\x10\x00"  # (0002,0010), then its value representation UI
    file.write_bytes(file.read_bytes().replace(syntax + b"UI", syntax + b"ZZ", 1))


@pytest.mark.parametrize(
    "damage", [lambda file: cut(file, 8 * 6 * 2 + 120), damage_syntax], ids=["cut inside its header", "syntax"]
)
def test_damaged_file_leaves_a_hole_in_its_slice_and_is_named(tmp_path, caplog, damage):
    write_stack(tmp_path, slices=3)
    damage(tmp_path / "IM-0001-0006.dcm")
    with caplog.at_level(logging.WARNING):
        cine = read_cine(tmp_path)
    # Frame 1 of 0 to 3, each 30 ms long, is missing: half of the beat, between 20 and 80 ms, has no frame.
    assert cine.skipped == [(1, "a frame is missing after 20 ms (a step of 60 ms, not 30)")]
    assert "IM-0001-0006.dcm: expected" in cine.notes[0] and "IM-0001-0006.dcm" in caplog.text
    assert "1 damaged DICOM file: frames or slices of the heart may be missing" in cine.doubts


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file whose reading fails, for root as well")
@pytest.mark.parametrize("name", ["IM-0002-0001.dcm", "IM-0002-0001"])
def test_a_file_that_the_disk_does_not_give_is_a_doubt_and_ends_no_patient(tmp_path, name):
    write_stack(tmp_path, slices=3)
    (tmp_path / name).symlink_to("/proc/self/mem")
    cine = read_cine(tmp_path)
    assert shapes(cine) == [(4, 8, 6)] * 3 and name in cine.notes[0]
    assert "1 damaged DICOM file: frames or slices of the heart may be missing" in cine.doubts


def test_all_files_truncated_is_an_error_that_names_one(tmp_path):
    write_stack(tmp_path, slices=2)
    for file in tmp_path.glob("*.dcm"):
        cut(file, 20)
    with pytest.raises(UnusableFileError, match=r"expected at least one whole short-axis slice.*IM-0001-0001\.dcm"):
        read_cine(tmp_path)


def test_slice_without_its_last_frame_is_resampled_and_says_so(tmp_path):
    write_stack(tmp_path, slices=3)
    (tmp_path / "IM-0001-0004.dcm").unlink()
    cine = read_cine(tmp_path)
    assert cine.skipped == [] and first_pixels(cine)[0] == [100, 101, 102]
    assert [found.notes for found in cine.slices] == [["3 frames, 4 in most slices; resampled"], [], []]


def test_slice_of_less_than_the_beat_of_most_slices_is_skipped(tmp_path):
    write_stack(tmp_path, slices=3, frames=10)
    for number in range(16, 21):
        (tmp_path / f"IM-0001-{number:04d}.dcm").unlink()
    cine = read_cine(tmp_path)
    assert cine.skipped == [(1, "5 frames instead of 10 as in most slices, not one whole beat")]
    assert [found.number for found in cine.slices] == [0, 2]


def test_slice_of_one_frame_is_skipped(tmp_path):
    write_stack(tmp_path, slices=3)
    for number in (6, 7, 8):
        (tmp_path / f"IM-0001-{number:04d}.dcm").unlink()
    assert read_cine(tmp_path).skipped == [(1, "1 frames instead of 4 as in most slices, not one whole beat")]


def test_slice_whose_times_alone_are_known_is_compared_by_its_frames(tmp_path):
    write_stack(tmp_path, slices=3, TriggerTime=None)
    for t in range(3):
        write_frame(tmp_path / f"IM-0001-{t + 1:04d}.dcm", textured(t), (0, 0, 0), 30 * t, t)
    (tmp_path / "IM-0001-0004.dcm").unlink()
    cine = read_cine(tmp_path)
    assert cine.skipped == [] and len(cine.slices[0].frames) == 3


def test_slice_of_two_beats_is_skipped(tmp_path):
    write_stack(tmp_path, slices=3, frames=4, TriggerTime=None)
    for t in range(4):
        write_frame(tmp_path / f"again{t}.dcm", textured(900 + t), (0, 0, 10), None, 100 + t)
    cine = read_cine(tmp_path)
    assert cine.skipped == [(1, "8 frames instead of 4 as in most slices, not one whole beat")]


@pytest.mark.parametrize("field", ["TriggerTime", "NominalCardiacTriggerDelayTime", "TemporalPositionIdentifier"])
def test_repetition_in_one_series_is_told_by_times_that_come_twice(tmp_path, field):
    for again in range(2):
        for t in range(4):
            values = {"AcquisitionNumber": again + 1, "TriggerTime": None, field: 30 * t + 1}
            write_frame(tmp_path / f"{again}-{t}.dcm", textured(100 * again + t), number=10 * again + t, **values)
    cine = read_cine(tmp_path)
    assert first_pixels(cine) == [[100, 101, 102, 103]] and "acquired 2 times" in cine.notes[0]


def test_slices_of_different_numbers_of_phases_all_serve(tmp_path):
    # One beat of 600 ms in 20, 24 and 30 frames.
    for s, count in enumerate((20, 24, 30)):
        for t in range(count):
            write_frame(tmp_path / f"{s}-{t}.dcm", textured(t), (0, 0, 10 * s), 600 * t / count, 100 * s + t)
    cine = read_cine(tmp_path)
    assert [len(found.frames) for found in cine.slices] == [20, 24, 30] and cine.skipped == []
    assert all(found.phases is None for found in cine.slices)


def test_hole_in_the_heart_beat_is_seen_although_all_sections_have_it(tmp_path):
    write_stack(tmp_path, slices=2, frames=8)
    for number in (4, 12):
        (tmp_path / f"IM-0001-{number:04d}.dcm").unlink()
    with pytest.raises(UnusableFileError, match=r"a frame is missing after 80 ms \(a step of 60 ms, not 30\)"):
        read_cine(tmp_path)


def test_slice_of_another_matrix_size_is_skipped(tmp_path):
    write_stack(tmp_path, slices=3)
    for t in range(4):
        write_frame(tmp_path / f"IM-0001-{t + 1:04d}.dcm", textured(1, (10, 6)), (0, 0, 0), 20 + 30 * t, t)
    assert read_cine(tmp_path).skipped == [(0, "matrix size (10, 6) instead of (8, 6) as in most slices")]


def test_mixed_matrix_sizes_within_a_slice_skip_it(tmp_path):
    write_stack(tmp_path, slices=3)
    write_frame(tmp_path / "IM-0001-0002.dcm", textured(1, (10, 6)), (0, 0, 0), 50, 2)
    assert read_cine(tmp_path).skipped == [(0, "mixed matrix sizes [(8, 6), (10, 6)]")]


def test_constant_slice_and_constant_frame_are_skipped(tmp_path):
    write_stack(tmp_path, slices=3)
    for t in range(4):
        write_frame(tmp_path / f"IM-0001-{t + 1:04d}.dcm", np.full((8, 6), 7), (0, 0, 0), 20 + 30 * t, t)
    write_frame(tmp_path / "IM-0001-0006.dcm", np.zeros((8, 6)), (0, 0, 10), 50, 6)
    assert read_cine(tmp_path).skipped == [
        (0, "the image is constant (standard deviation 0)"),
        (1, "frame 2 of 4 is constant (standard deviation 0)"),
    ]


def test_all_black_patient_is_an_error(tmp_path):
    for t in range(3):
        write_frame(tmp_path / f"{t}.dcm", np.zeros((8, 6)), (0, 0, 0), 30 * t, t)
    with pytest.raises(UnusableFileError, match="constant"):
        read_cine(tmp_path)


def test_one_frame_is_no_cine(tmp_path):
    write_stack(tmp_path, slices=3, frames=1)
    with pytest.raises(
        UnusableFileError, match=r"2 frames a slice, found series 1 \(3 frames at 3 positions\) left out: one"
    ):
        read_cine(tmp_path)


def test_cine_in_which_nothing_moves_is_refused(tmp_path):
    for t in range(4):
        write_frame(tmp_path / f"{t}.dcm", textured(5), (0, 0, 0), 30 * t, t)
    with pytest.raises(UnusableFileError, match="all 4 frames are equal, nothing moves"):
        read_cine(tmp_path)


@pytest.mark.parametrize(
    "fields,message",
    [
        ({"PixelSpacing": [1500, 1500]}, r"of 0\.1 to 10 mm, found \[1500"),
        ({"PixelSpacing": [0, 1.5]}, r"of 0\.1 to 10 mm, found \[0"),
        ({"SliceThickness": 6000}, r"\(0018,0050\) of at most 100 mm, found 6000"),
        ({"Rows": 65535, "Columns": 65535}, r"at most 4096 x 4096, found 65535 x 65535"),
        ({"orientation": (1, 0, 0, 1, 0, 0)}, r"found orientation \[1\.0, 0\.0, 0\.0, 1\.0"),
    ],
)
def test_geometry_out_of_range_is_refused(tmp_path, fields, message):
    write_stack(tmp_path, **({"slices": 1} | fields))
    with pytest.raises(UnusableFileError, match=message):
        read_cine(tmp_path)


def test_slices_metres_apart_are_refused(tmp_path):
    write_stack(tmp_path, gap_mm=5000.0)
    with pytest.raises(UnusableFileError, match=r"slices 0\.5 to 200 mm apart \(0020,0032\), found 5000 mm"):
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
    cine = read_cine(tmp_path)
    assert shapes(cine) == [(4, 8, 6)] * 3 and not any("damaged" in doubt for doubt in cine.doubts)


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
    with pytest.raises(UnusableFileError, match=r"of each frame in \(5200,9230\), found none for its 30 frames"):
        read_cine(tmp_path)


def test_two_patients_in_one_folder_are_refused_without_naming_them(tmp_path):
    write_stack(tmp_path / "a", PatientID="first")
    write_stack(tmp_path / "b", PatientID="second")
    with pytest.raises(UnusableFileError, match="expected one patient") as caught:
        read_cine(tmp_path)
    assert "second" not in str(caught.value) and "Do^Not" not in str(caught.value)


def test_two_studies_of_a_patient_are_refused_with_a_file_of_each(tmp_path):
    write_stack(tmp_path / "before", StudyInstanceUID="1.2.7.1")
    write_stack(tmp_path / "after", StudyInstanceUID="1.2.7.2")
    write_frame(tmp_path / "unnumbered.dcm", textured(1))
    write_frame(tmp_path / "alone.dcm", textured(1), StudyInstanceUID="1.2.7.3")
    named = r"expected one study \(0020,000D\), found 2, as in after/IM-0001-0001.dcm and before/IM-0001-0001.dcm"
    with pytest.raises(UnusableFileError, match=named) as caught:
        read_cine(tmp_path)
    assert "1.2.7" not in str(caught.value) and "give each study a folder of its own" in str(caught.value)
    assert len(read_cine(tmp_path / "before").slices) == 3


def test_a_study_for_each_file_as_converters_write_it_is_one_study(tmp_path):
    write_stack(tmp_path)
    for number, file in enumerate(sorted(tmp_path.glob("*.dcm"))):
        dataset = pydicom.dcmread(file)
        dataset.StudyInstanceUID = f"1.2.7.{number}"
        dataset.save_as(file)
    assert len(read_cine(tmp_path).slices) == 3
