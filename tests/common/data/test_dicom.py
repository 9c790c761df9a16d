import logging

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian

from common.data import dicom, is_dicom, read_dicom
from common.data.dicom import left_after_header
from common.doppler.phantoms.writers import save_dicom
from common.errors import UnusableFileError
from tests.common.data.test_ultrasound_dicom import region, write

IDENTITY = ("Doe", "Jane", "4711", "19600101")


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "a.dcm", np.zeros((2, 20, 30), np.uint8), "MONOCHROME2", FrameTime="20")


def without_preamble(path):
    path.write_bytes(path.read_bytes()[132:])
    return path


def without_meta(path):
    """The bare data set, as old archives keep it."""
    with path.open("rb") as stream:
        length = pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength
        stream.seek(132 + 12 + length)
        rest = stream.read()
    path.write_bytes(rest)
    return path


@pytest.mark.parametrize("change", [lambda path: path, without_preamble, without_meta])
def test_reads_files_with_and_without_preamble(path, change):
    change(path)
    assert is_dicom(path)
    dataset = read_dicom(path)
    assert (dataset.Rows, dataset.FrameTime) == (20, 20)
    assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian


def test_finds_the_byte_order_of_a_file_that_does_not_name_it():
    path = get_testdata_file("ExplVR_BigEndNoMeta.dcm", download=False)
    assert read_dicom(path).file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRBigEndian


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"no picture at all" * 30, "plain text"),
        (b"<html>" * 50, "a web page"),
        (b"\x89PNG\r\n\x1a\n" + bytes(90), "another kind of file; choose"),
    ],
)
def test_names_a_file_of_another_kind(tmp_path, content, kind):
    (tmp_path / "a.dcm").write_bytes(content)
    assert not is_dicom(tmp_path / "a.dcm")
    with pytest.raises(UnusableFileError, match=rf"a\.dcm: expected a DICOM file, found {kind}"):
        read_dicom(tmp_path / "a.dcm")


def test_reads_only_what_is_asked_for(path):
    dataset = read_dicom(path, stop_before_pixels=True, tags=["Rows", 0x00280011])
    assert {element.keyword for element in dataset} == {"Rows", "Columns"}


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_dicom(tmp_path / "absent.dcm")


def test_every_cut_gives_one_sentence_or_a_dataset(path, recwarn):
    whole = path.read_bytes()
    for kept in range(0, len(whole), 37):
        path.write_bytes(whole[:kept])
        try:
            read_dicom(path)
        except UnusableFileError as error:
            assert str(error).startswith(f"{path}: expected a ") and "\n" not in str(error)
    assert not recwarn.list


def test_no_damaged_header_puts_the_patient_into_log_warning_or_error(tmp_path, caplog, recwarn):
    """Each byte of the header is changed in turn, so that names move into other elements."""
    caplog.set_level(logging.DEBUG)
    elements = {"PatientBirthDate": "19600101", "SequenceOfUltrasoundRegions": [region()]}
    path = write(tmp_path / "a.dcm", np.zeros((1, 2, 2), np.uint8), "MONOCHROME2", **elements)
    whole = path.read_bytes()
    said = []
    for place in range(132, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
        try:
            read_dicom(path)
        except UnusableFileError as error:
            said.append(str(error))
    text = " ".join(said) + caplog.text + " ".join(str(warning.message) for warning in recwarn.list)
    assert len(said) > 3
    assert not [word for word in IDENTITY if word in text]


def test_leaves_out_and_names_a_value_that_cannot_be_read(path, caplog):
    path.write_bytes(path.read_bytes().replace(b"DS\x02\x0020", b"FD\x02\x00Do"))  # a double has 8 bytes
    dataset = read_dicom(path)
    assert "FrameTime" not in dataset and dataset.Rows == 20
    assert "left out elements with damaged values: FrameTime" in caplog.text and "Do" not in caplog.text.split(":")[-1]


def test_refuses_a_deflated_file_that_fills_the_memory(path, monkeypatch):
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.PixelData = bytes(1_000_000)
    save_dicom(dataset, path)
    assert path.stat().st_size < 10_000 and len(read_dicom(path).PixelData) == 1_000_000
    monkeypatch.setattr(dicom, "LARGEST_INFLATED_BYTES", 900_000)
    with pytest.raises(UnusableFileError, match=r"a\.dcm: expected at most .* GB when decompressed, found more"):
        read_dicom(path)


@pytest.mark.parametrize(
    ("name", "own"), [("MR_small.dcm", 12), ("MR_small_implicit.dcm", 8), ("MR_small_bigendian.dcm", 12)]
)
def test_counts_what_follows_the_header(name, own):
    """64 x 64 pixels of 2 bytes, their own tag, type and length, and the padding element at the end of these files."""
    path = get_testdata_file(name, download=False)
    pixels = pydicom.dcmread(path)
    after = sum(12 + len(element.value) for element in pixels if element.tag > 0x7FE00010 and element.VR == "OB")
    assert left_after_header(path) == 64 * 64 * 2 + own + after
