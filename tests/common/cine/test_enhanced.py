"""Enhanced multi-frame MR: what current scanners write."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from common.cine import LoadCineSliced, cine_cases, cine_datalist, read_cine
from common.errors import UnusableFileError
from tests.dicom_frames import AXIAL, textured, write_stack

ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"


def dataset(**fields):
    made = Dataset()
    for keyword, value in fields.items():
        setattr(made, keyword, value)
    return made


def group(slope=1, **per_frame):
    """One item of the per-frame functional groups."""
    made = Dataset()
    for keyword, value in per_frame.items():
        setattr(made, keyword, Sequence([value]))
    made.PixelValueTransformationSequence = Sequence([dataset(RescaleSlope=slope, RescaleIntercept=0)])
    return made


def write_enhanced(path, frames, series=1, **fields):
    """Write frames given as (pixels, position, trigger delay in ms) in their order; `fields` replace the usual ones."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ENHANCED_MR, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = pydicom.uid.PYDICOM_IMPLEMENTATION_UID
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    if int(pydicom.__version_info__[0]) < 3:
        made.is_little_endian, made.is_implicit_VR = True, False
    shared = Dataset()
    shared.PlaneOrientationSequence = Sequence([dataset(ImageOrientationPatient=list(AXIAL))])
    shared.PixelMeasuresSequence = Sequence([dataset(PixelSpacing=[1.5, 1.25], SliceThickness=8)])
    usual = {
        "SOPClassUID": ENHANCED_MR,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "Modality": "MR",
        "PatientID": "secret",
        "SeriesInstanceUID": f"1.2.{series}",
        "SeriesNumber": series,
        "InstanceNumber": 1,
        "NumberOfFrames": len(frames),
        "Rows": 8,
        "Columns": 6,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        "SharedFunctionalGroupsSequence": Sequence([shared]),
        "PerFrameFunctionalGroupsSequence": Sequence(
            [
                group(
                    slope=2,
                    PlanePositionSequence=dataset(ImagePositionPatient=list(position)),
                    CardiacSynchronizationSequence=dataset(NominalCardiacTriggerDelayTime=float(delay)),
                )
                for _, position, delay in frames
            ]
        ),
        "PixelData": np.stack([pixels for pixels, _, _ in frames]).astype("<u2").tobytes(),
    }
    for keyword, value in {**usual, **fields}.items():
        setattr(made, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, made)


def stack(order=None):
    """Three slices of four frames, 10 mm and 30 ms apart, first pixels 100 * (slice + 1) + frame, in any order."""
    frames = [(textured(100 * (s + 1) + t), (0, 0, 10 * s), 30 * t) for s in range(3) for t in range(4)]
    return [frames[k] for k in order] if order is not None else frames


def test_one_file_holds_all_slices_and_phases_in_any_order(tmp_path):
    write_enhanced(tmp_path / "a.dcm", stack(np.random.default_rng(0).permutation(12)))
    for source in (tmp_path, tmp_path / "a.dcm"):
        cine = read_cine(source)
        first = [found.frames[:, 0, 0].tolist() for found in cine.slices]
        assert first == [[200 * s + 2 * t for t in range(4)] for s in (1, 2, 3)]  # the slope is 2
        assert np.allclose(cine.slices[2].affine[:3, 3], [0, 0, 20]) and cine.skipped == [] and cine.notes == []
        assert np.allclose(cine.slices[0].affine[:2, :2], [[0, -1.25], [-1.5, 0]])


def test_one_file_a_slice_equals_single_frame_files(tmp_path):
    for s in range(3):
        write_enhanced(tmp_path / "enhanced" / f"{s}.dcm", stack()[4 * s : 4 * s + 4], series=s + 1)
    write_stack(tmp_path / "plain", RescaleSlope=2, RescaleIntercept=0, TriggerTime=None)
    for first, second in zip(
        read_cine(tmp_path / "enhanced").slices, read_cine(tmp_path / "plain").slices, strict=True
    ):
        assert np.array_equal(first.frames, second.frames) and np.allclose(first.affine, second.affine)


def test_training_items_name_the_frames_of_a_file(tmp_path):
    frames = [(np.pad(pixels, ((0, 24), (0, 18)), "edge"), *place) for pixels, *place in stack(range(11, -1, -1))]
    write_enhanced(tmp_path / "anna" / "a.dcm", frames, Rows=32, Columns=24)
    items = cine_datalist(tmp_path, "all", labelled=False)
    assert [item["slice_number"] for item in items] == [0, 1, 2]
    assert LoadCineSliced("image")(items[1])["image"][0, 0, 0].tolist() == [400, 402, 404, 406]
    write_enhanced(tmp_path / "anna" / "a.dcm", stack())
    with pytest.raises(
        UnusableFileError, match=r"^\S+/a\.dcm: expected slices of at least 24 x 24 pixels, found 6 x 8"
    ):
        LoadCineSliced("image")(items[1])


def test_a_single_file_is_one_case(tmp_path):
    write_enhanced(tmp_path / "1.2.3.dcm", stack())
    assert cine_cases(tmp_path / "1.2.3.dcm") == [{"case": "1.2.3", "image": str(tmp_path / "1.2.3.dcm")}]


def test_frames_that_only_their_place_in_the_file_orders_keep_it(tmp_path):
    frames = [(textured(t), (0, 0, 0), 0) for t in range(4)]
    write_enhanced(tmp_path / "a.dcm", frames)
    [found] = read_cine(tmp_path).slices
    assert found.frames[:, 0, 0].tolist() == [0, 2, 4, 6] and found.notes == ["frames in order of instance number"]


@pytest.mark.parametrize("count", [11, 2_000_000_000])
def test_more_or_fewer_frames_than_their_groups_are_refused(tmp_path, count):
    write_enhanced(tmp_path / "a.dcm", stack(), NumberOfFrames=count)
    with pytest.raises(UnusableFileError, match=rf"of each frame in \(5200,9230\), found 12 of {count} frames"):
        read_cine(tmp_path)


def test_cut_file_is_refused(tmp_path):
    write_enhanced(tmp_path / "a.dcm", stack())
    (tmp_path / "a.dcm").write_bytes((tmp_path / "a.dcm").read_bytes()[:-100])
    with pytest.raises(UnusableFileError, match=r"a\.dcm: the file ends after"):
        read_cine(tmp_path)


@pytest.mark.parametrize("broken", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
def test_empty_groups_are_refused_by_name(tmp_path, broken):
    write_enhanced(tmp_path / "a.dcm", stack(), **{broken: Sequence([])})
    with pytest.raises(UnusableFileError, match=r"a\.dcm: expected an MR image with position"):
        read_cine(tmp_path)
