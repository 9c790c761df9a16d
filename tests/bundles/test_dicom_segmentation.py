"""Lesions in DICOM series: ADC and Z read, mask and probability written as DICOM SEG where the series lies."""

import json
import shutil

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from common.adc import LesionResults, read_grid, simulate_neonatal_adc
from common.adc.results import BRAIN
from common.data import FailureLog
from common.data.dicom_source import read_instances
from common.data.dicom_volume import read_dicom_geometry
from common.errors import UnusableFileError
from common.evaluation.dicom_images import LESION, Segment, parametric_map, segmentation
from common.evaluation.dicom_origin import Origin
from common.files import read_csv
from common.training.weights import sha256_of
from tests.bundles.harness import root, workflow
from tests.bundles.test_dicom_results import assert_without_result, infer, infer_with_failures, numbers, texts
from tests.common.data.test_dicom_volume import AFFINES, LPS_TO_RAS, change, oblique
from tests.dicom_cases import IDENTITIES, NUMBER, assert_valid, write_maps

highdicom = pytest.importorskip("highdicom", reason="highdicom is not installed (the extra dicom)")

BUNDLE = "hie_ladp_seg"
ORIGIN = Origin(BUNDLE, "lesions", "1.0", "a method", "0" * 64, "", "{}", "2.25")


@pytest.fixture(scope="module")
def brain(tmp_path_factory):
    """A simulated brain in MetaImage: its folder, ADC and Z."""
    folder = tmp_path_factory.mktemp("brain") / "data"
    simulate_neonatal_adc(folder, 1, size=(64, 72, 6), spacing_mm=(1.9, 1.7, 14.0), progress=False)
    adc, z = (sitk.GetArrayFromImage(sitk.ReadImage(str(next(folder.glob(f"{n}/*.mha"))))).T for n in ("1*", "2*"))
    return folder, np.asarray(adc, float), np.asarray(z, float)


@pytest.fixture(scope="module")
def study(brain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    affine = np.diag([1.9, 1.7, 14.0, 1.0])
    source = write_maps(folder / "in" / "anna", brain[1], brain[2], affine)
    return source, infer(BUNDLE, source.parent, folder / "out")


def test_a_series_gives_the_result_of_the_same_maps_in_a_metaimage(brain, study, tmp_path):
    flow = workflow(
        BUNDLE, ["inference.json"], "inferring", "infer", dataset_dir=str(brain[0]), output_dir=str(tmp_path)
    )
    flow.initialize()
    flow.run()
    (row,) = read_csv(tmp_path / "predictions.csv")
    wanted = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / row["mask"]))).T
    content = json.loads((study[1] / "anna.json").read_text())
    found = np.asarray(nibabel.load(study[1] / content["mask"]).dataobj)
    assert wanted.any() and (found != wanted).mean() < 1e-3  # Z is stored in thousandths
    assert content["lesion_ml"] == pytest.approx(float(row["lesion_ml"]), rel=0.02)
    grid = read_grid(study[0] / "ADC")
    np.testing.assert_allclose(nibabel.load(study[1] / content["mask"]).affine, grid.affine, atol=1e-4)


def test_mask_probability_report_and_picture_are_valid_and_equal_to_the_files(study):
    source, output = study
    content = json.loads((output / "anna.json").read_text())
    folder = output / "dicom"
    assert {path.name for path in folder.glob("*")} == {
        f"anna_{ending}.dcm" for ending in ("mask", "probability", "probability_map", "report", "picture")
    }
    for path in folder.glob("*.dcm"):
        assert_valid(path)
        assert pydicom.dcmread(path).PatientID == NUMBER
    assert {pydicom.dcmread(path).SeriesDescription for path in folder.glob("*.dcm")} == {
        f"{word}, hie_ladp_seg: research use only"
        for word in ("report", "picture", "lesion mask", "lesion probability", "lesion probability map")
    }
    sources = {pydicom.dcmread(file).SOPInstanceUID: file for file in (source / "ADC").glob("*.dcm")}
    order = [pydicom.dcmread(frame.file).SOPInstanceUID for frame in read_dicom_geometry(source / "ADC").frames]
    mask, probability = (highdicom.seg.segread(folder / f"anna_{name}.dcm") for name in ("mask", "probability"))
    assert mask.SegmentationType == "BINARY" and probability.SegmentationType == "FRACTIONAL"
    assert probability.SegmentationFractionalType == "PROBABILITY" and set(order) == set(sources)
    for made, name, step in ((mask, "mask", 0), (probability, "probability", 0.5 / 255)):
        found = made.get_pixels_by_source_instance(order)[..., 0]
        wanted = np.asarray(nibabel.load(output / content[name]).dataobj).T
        np.testing.assert_allclose(found, wanted, rtol=0, atol=step + 1e-6)
    placed = pydicom.dcmread(folder / "anna_probability_map.dcm")
    (mapping,) = placed.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0) and placed.Modality != "MR"
    wanted = np.asarray(nibabel.load(output / content["probability"]).dataobj).T[
        [order.index(u) for u in frames_of(placed)]
    ]
    np.testing.assert_array_equal(np.frombuffer(placed.FloatPixelData, "<f4").reshape(wanted.shape), wanted)
    found = numbers(folder / "anna_report.dcm")
    assert found["hie_ladp_seg lesion", "118565006", None] == (content["lesion_ml"], "ml")
    for path in output.glob("*.*"):
        text = path.read_bytes().decode("latin-1")
        assert not [word for word in IDENTITIES if word in text], path


def frames_of(placed):
    """The instance that each frame of a map was derived from."""
    derived = [group.DerivationImageSequence[0] for group in placed.PerFrameFunctionalGroupsSequence]
    return [one.SourceImageSequence[0].ReferencedSOPInstanceUID for one in derived]


@pytest.mark.parametrize("enhanced", [False, True], ids=["single", "enhanced"])
@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_a_segmentation_lies_where_its_source_lies(affine, enhanced, tmp_path):
    size = (12, 9, 5)
    source = write_maps(tmp_path, np.full(size, 1000.0), np.zeros(size), affine, enhanced) / "ADC"
    values = np.random.default_rng(0).random(size) > 0.5
    results = LesionResults(FailureLog(tmp_path / "out"))
    results.output.folder.mkdir()
    volume = read_dicom_geometry(source)
    for name in ("mask", "probability"):
        nibabel.save(nibabel.Nifti1Image(values.astype(np.uint8), volume.affine), tmp_path / "out" / f"{name}.nii.gz")
    content = {"mask": "mask.nii.gz", "probability": "probability.nii.gz"}
    segments = results.segments(content, [str(source / ("all.dcm" if enhanced else "000.dcm")), ""])
    headers = [pydicom.dcmread(file) for file in segments["mask"].files]
    for header in headers:
        header.PatientBirthDate = header.get("PatientBirthDate", "")
    made = segmentation(segments["mask"], headers, ORIGIN)
    # highdicom's volume has slices, rows, columns, the slices against their normal; its affine is in LPS.
    found = made.get_volume(combine_segments=True).flip_spatial(0)
    np.testing.assert_allclose(LPS_TO_RAS @ found.affine[:, [2, 1, 0, 3]], volume.affine, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found.array.T > 0, values)
    made.save_as(tmp_path / "seg.dcm")
    assert_valid(tmp_path / "seg.dcm")
    chances = segments["probability"]._replace(values=np.random.default_rng(1).random(values.T.shape, np.float32))
    placed = parametric_map(chances, headers, ORIGIN)
    found = placed.get_volume(apply_real_world_transform=True).flip_spatial(0)
    np.testing.assert_allclose(LPS_TO_RAS @ found.affine[:, [2, 1, 0, 3]], volume.affine, rtol=0, atol=1e-6)
    in_space = np.argsort([frame.number for frame in volume.frames]) if enhanced else np.arange(size[2])
    np.testing.assert_array_equal(found.array[in_space].astype(np.float32), chances.values)
    placed.save_as(tmp_path / "map.dcm")
    assert_valid(tmp_path / "map.dcm")


def test_a_series_without_frame_of_reference_has_no_segmentation_and_the_rest(brain, tmp_path):
    write_maps(tmp_path / "in" / "anna", *brain[1:], oblique(), FrameOfReferenceUID=None)
    reasons = infer_with_failures(BUNDLE, tmp_path / "in", tmp_path / "out", tta=False)
    assert len(reasons) == 1 and "expected one frame of reference (0020,0052)" in reasons[0]
    names = {path.name for path in (tmp_path / "out" / "dicom").glob("*")}
    assert names == {"anna_report.dcm", "anna_picture.dcm"} and (tmp_path / "out" / "anna.json").is_file()


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("FrameOfReferenceUID", None, r"expected one frame of reference \(0020,0052\).* found none"),
        ("FrameOfReferenceUID", "1.2.3.4", r"expected one frame of reference .* found another than in \d+.dcm"),
        ("SliceThickness", None, r"expected a slice thickness \(0018,0050\).* found none"),
    ],
)
def test_the_one_file_that_lacks_its_geometry_is_named(tmp_path, keyword, value, reason):
    size = (12, 9, 5)
    source = write_maps(tmp_path, np.full(size, 1000.0), np.zeros(size), oblique()) / "ADC"
    change(source / "003.dcm", **{keyword: value})
    files, values = read_dicom_geometry(source).in_files(np.ones(size, np.float32))
    headers = read_instances(files, False, "2.25")
    segment = Segment("lesion", LESION, BRAIN, files, values)
    for make, shown in ((segmentation, segment._replace(values=values > 0)), (parametric_map, segment)):
        with pytest.raises(UnusableFileError, match=rf"003.dcm: {reason}; export the series"):
            make(shown, headers, ORIGIN)


def test_series_without_pixel_spacing_are_named_and_the_others_done(brain, tmp_path):
    write_maps(tmp_path / "in" / "anna", *brain[1:], oblique())
    bad = write_maps(tmp_path / "in" / "bea", *brain[1:], oblique(), StudyInstanceUID="1.2.840.99.44")
    change(bad / "ADC" / "003.dcm", PixelSpacing=None)
    (reason,) = infer_with_failures(BUNDLE, tmp_path / "in", tmp_path / "out", tta=False, anonymous=True)
    assert "003.dcm" in reason and "PixelSpacing with 2 numbers, found none" in reason
    assert_without_result(tmp_path / "out" / "bea.json", reason)
    for path in (tmp_path / "out" / "dicom").glob("*.dcm"):
        assert_valid(path)
        assert not [word for word in (*IDENTITIES, "1.2.840.99") if word.encode() in path.read_bytes()]
    assert len(list((tmp_path / "out" / "dicom").glob("anna_*.dcm"))) == 5


def test_maps_of_two_patients_are_named_and_the_json_is_there(brain, tmp_path):
    source = write_maps(tmp_path / "in" / "anna", *brain[1:], oblique())
    for file in (source / "Z-score").glob("*.dcm"):
        change(file, PatientID="Jürgen-2")
    (reason,) = infer_with_failures(BUNDLE, source.parent, tmp_path / "out", tta=False)
    assert "expected files of one patient" in reason and "rgen" not in reason and NUMBER not in reason
    assert (tmp_path / "out" / "anna.json").is_file() and not list((tmp_path / "out" / "dicom").glob("*.dcm"))


def test_a_vote_names_the_weights_of_every_model(brain, tmp_path):
    source = write_maps(tmp_path / "in" / "anna", *brain[1:], oblique())
    folders = [str(shutil.copytree(root(BUNDLE) / "models", tmp_path / name)) for name in "ab"]
    own = {"dataset_dir": str(source.parent), "output_dir": str(tmp_path / "out"), "model_dirs": folders, "tta": False}
    configs = ["inference.json", "inference_ensemble.json"]
    flow = workflow(BUNDLE, configs, "inferring", "infer", dicom_results=True, **own)
    flow.initialize()
    flow.run()
    sha256 = sha256_of(root(BUNDLE) / "models" / "model.pt")
    assert f"weights SHA-256: {sha256}, {sha256}" in texts(tmp_path / "out" / "dicom" / "anna_report.dcm")
