"""DICOM objects beside the source: valid, equal to the JSON, filed under the patient or without identities."""

import json
import shutil
import warnings

import numpy as np
import pydicom
import pytest
from PIL import Image

from common.errors import FailedCasesError
from common.evaluation import NOTE
from common.files import read_csv
from common.training.weights import sha256_of
from tests.bundles.harness import root, simulate, workflow
from tests.dicom_cases import IDENTITIES, NAME, NUMBER, PATIENT, assert_valid, write_cine, write_echo

highdicom = pytest.importorskip("highdicom", reason="highdicom is not installed (the extra dicom)")

EF, E, A, RATIO = "18043-0", "18037-2", "17978-8", "18038-0"
MEAN, SPREAD, LOWEST, HIGHEST = "373098007", "386136009", "255605001", "56851009"


def infer(bundle, data, output, **settings):
    own = {"dataset_dir": str(data), "output_dir": str(output), "dicom_results": True}
    flow = workflow(bundle, ["inference.json"], "inferring", "infer", **{**own, **settings})
    flow.initialize()
    flow.run()
    return output


def infer_with_failures(bundle, data, output, **settings):
    """The reasons in failed.csv."""
    with pytest.raises(RuntimeError) as raised:
        infer(bundle, data, output, **settings)
    assert isinstance(raised.value.__cause__, FailedCasesError)
    return [row["reason"] for row in read_csv(output / "failed.csv")]


def assert_without_result(path, reason):
    """The JSON of a case that failed: who, why, with which weights, and no number that could be taken for a result."""
    content = json.loads(path.read_text())
    assert content.pop("settings") and content.pop("weights") and len(content.pop("weights_sha256")) == 64
    told = {"case": path.stem, "error": reason, "note": NOTE}
    assert content == {**told, "familiarity": None, "unlike_training": None, "doubts": []}


def numbers(path):
    """(group, code, derivation) to value and unit, of all measurements of a report."""
    found = {}
    report = highdicom.sr.srread(path)
    for group in report.content.get_image_measurement_groups():
        name = group.tracking_identifier
        for item in group.get_measurements():
            derivation = None if item.derivation is None else item.derivation.value
            found[name, item.name.value, derivation] = (item.value, item.unit.value)
    return found


def texts(path):
    """All texts of a report."""
    return [element.value for element in pydicom.dcmread(path).iterall() if element.keyword == "TextValue"]


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("echo")
    source = write_echo(folder / "clip.dcm")
    return source, infer("echo_coreecho", source, folder / "out")


@pytest.fixture(scope="module")
def cine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cine")
    source = write_cine(folder / "data" / "anna")
    return source, infer("cmr_hf_classify", source.parent, folder / "out")


@pytest.fixture(scope="module")
def doppler(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doppler")
    screen = sorted((simulate("doppler_keypoint", folder / "data") / "labelled").glob("*.dcm"))[2]
    (folder / "in").mkdir()
    source = folder / "in" / "screen.dcm"
    dataset = pydicom.dcmread(screen)
    for keyword, value in PATIENT.items():
        setattr(dataset, keyword, value)
    dataset.save_as(source)
    return source, infer("doppler_keypoint", source, folder / "out")


def objects(made, case):
    source, output = made
    content = json.loads((output / f"{case}.json").read_text())
    return source, content, output / "dicom" / f"{case}_report.dcm", output / "dicom" / f"{case}_picture.dcm"


def test_the_report_of_an_ef_is_its_json(echo):
    _, content, report, _ = objects(echo, "clip")
    found = numbers(report)
    group = "echo_coreecho ejection fraction"
    for name, derivation in (("ef_percent", None), ("spread", SPREAD), ("lowest", LOWEST), ("highest", HIGHEST)):
        assert found[group, EF, derivation] == (content[name], "%")
    assert found[group, "clips", None] == (3, "1")
    assert found["echo_coreecho familiarity", "familiarity", None] == (content["familiarity"], "%")
    assert any("unlike the training data" in doubt for doubt in content["doubts"]) == content["unlike_training"]
    assert all(texts(report).count(f"DOUBTFUL: {doubt}") == 2 for doubt in content["doubts"]), "beside the EF too"


def test_the_report_of_a_doppler_trace_has_means_and_beats(doppler):
    _, content, report, _ = objects(doppler, "screen")
    found = numbers(report)
    assert content["e_mean_cm_s"] is not None and content["beats"]
    for name, code, unit in (("e_mean_cm_s", E, "cm/s"), ("a_mean_cm_s", A, "cm/s"), ("e_to_a", RATIO, "1")):
        assert found.get(("doppler_keypoint mean", code, MEAN), (None, unit)) == (content[name], unit)
    for number, beat in enumerate(content["beats"], 1):
        for wave, code in (("E", E), ("A", A)):
            value = beat[wave]["velocity_cm_s"] if beat[wave] else None
            assert found.get((f"doppler_keypoint beat {number}", code, None), (None,))[0] == value
        assert found.get((f"doppler_keypoint beat {number}", RATIO, None), (None,))[0] == beat["e_to_a"]
    assert found["doppler_keypoint mean", "e_waves", None] == (content["e_waves"], "1")


def test_the_report_of_heart_failure_has_probabilities_and_the_number_of_slices(cine):
    _, content, report, _ = objects(cine, "anna")
    found = numbers(report)
    group = "cmr_hf_classify heart failure"
    for name in ("HFrEF", "HFpEF"):
        assert found[group, name, None] == (content["probabilities"][name], "1")
    assert found.get((group, "8811-2", None), (None, "%")) == (content.get("ef_percent"), "%")
    assert found[group, "slices", None] == (len(content["slices"]), "1") == (3, "1")
    assert f"called {content['call']} at a threshold of {content['threshold']:g}" in texts(report)
    assert f"called HFrEF below an EF of {content['ef_boundary']:.1f} % as the network gives it" in texts(report)
    assert ("the probabilities are not calibrated" in texts(report)) != content["calibrated"]


@pytest.mark.parametrize(("made", "case"), [("echo", "clip"), ("doppler", "screen"), ("cine", "anna")])
def test_objects_are_valid_and_name_model_weights_patient_and_source(made, case, request):
    source, content, report, picture = objects(request.getfixturevalue(made), case)
    read = pydicom.dcmread(report)
    sources = [pydicom.dcmread(file) for file in ([source] if source.is_file() else sorted(source.glob("*.dcm")))]
    evidence = read.CurrentRequestedProcedureEvidenceSequence
    referred = {i.ReferencedSOPInstanceUID for e in evidence for s in e.ReferencedSeriesSequence for i in s[0x00081199]}
    assert referred == {one.SOPInstanceUID for one in sources}
    said = texts(report)
    metadata = json.loads((root(content["weights"].split("/")[-3]) / "configs" / "metadata.json").read_text())
    assert f"weights SHA-256: {sha256_of(content['weights'])}" in said
    assert {metadata["name"], metadata["version"], content["note"]} <= set(said)
    assert any(metadata["references"][0] in text for text in said)
    for path in (report, picture):
        one = pydicom.dcmread(path)
        for keyword in ("PatientID", "PatientBirthDate", "StudyInstanceUID", "AccessionNumber", "StudyDescription"):
            assert one[keyword].value == PATIENT[keyword]
        assert str(one.PatientName) == NAME and str(one.ReferringPhysicianName) == "Weiß^Anna"
        assert "research use only" in one.SeriesDescription
        assert_valid(path)
    one = pydicom.dcmread(picture)
    with Image.open(picture.parent.parent / f"{case}.png") as png:
        np.testing.assert_array_equal(one.pixel_array, np.asarray(png.convert("RGB")))
    assert {i.ReferencedSOPInstanceUID for i in one.SourceImageSequence} == referred


def readable(path):
    """What a file says in words; three letters may stand in compressed pixels by chance."""
    if path.suffix != ".png":
        return path.read_bytes().decode("latin-1")
    with Image.open(path) as png:
        return f"{png.info} {dict(png.getexif())}"


@pytest.mark.parametrize("made", ["echo", "doppler", "cine"])
def test_json_csv_and_pictures_have_no_identity(made, request):
    _, output = request.getfixturevalue(made)
    for path in output.glob("*.*"):
        assert not [word for word in IDENTITIES if word in readable(path)], path


def test_uids_are_those_of_input_weights_and_settings(echo, tmp_path):
    source, _ = echo
    output = infer("echo_coreecho", source, tmp_path / "first", clips=1)

    def uids(folder):
        read = [pydicom.dcmread(path) for path in sorted((folder / "dicom").glob("*.dcm"))]
        return [(one.SOPInstanceUID, one.SeriesInstanceUID) for one in read]

    again = shutil.copy(source, tmp_path / "clip.dcm")
    assert uids(infer("echo_coreecho", again, tmp_path / "again", clips=1)) == uids(output)
    others = {"disagreement": 9.0}, {"uid_root": "1.2.826.0.1.3680043.10"}, {"anonymous": True}
    folders = [infer("echo_coreecho", again, tmp_path / f"{n}", clips=1, **more) for n, more in enumerate(others)]
    found = [uid for folder in (output, *folders) for pair in uids(folder) for uid in pair]
    assert len(set(found)) == len(found) == 16
    assert [uid for uid in found if uid.startswith("1.2.826.0.1.3680043.10.")] == found[8:12]


def test_anonymous_objects_have_neither_patient_nor_study_and_stay_together(echo, tmp_path):
    source, _ = echo
    output = infer("echo_coreecho", source, tmp_path / "out", clips=1, anonymous=True)
    read = []
    for path in sorted((output / "dicom").glob("*.dcm")):
        content = path.read_bytes()
        for word in (*IDENTITIES, "1.2.840.99"):
            assert word.encode() not in content and word.encode("latin-1") not in content, (path, word)
        assert_valid(path)
        read.append(pydicom.dcmread(path))
        assert read[-1].PatientIdentityRemoved == "YES" and read[-1].PatientName == ""
    assert len({(one.PatientID, one.StudyInstanceUID) for one in read}) == 1 and len(read) == 2


def test_a_source_without_number_is_named_and_the_json_is_there(tmp_path):
    (tmp_path / "in").mkdir()
    write_echo(tmp_path / "in" / "a.dcm", PatientID=None)
    write_echo(tmp_path / "in" / "b.dcm", SOPInstanceUID="1.2.840.99.2.2")
    (reason,) = infer_with_failures("echo_coreecho", tmp_path / "in", tmp_path / "out", clips=1)
    assert "a.dcm: expected the patient's number (0010,0020)" in reason and "--anonymous true" in reason
    assert (tmp_path / "out" / "a.json").is_file() and (tmp_path / "out" / "a.png").is_file()
    assert sorted(path.name for path in (tmp_path / "out" / "dicom").glob("*")) == ["b_picture.dcm", "b_report.dcm"]
    output = infer("echo_coreecho", tmp_path / "in", tmp_path / "anonymous", clips=1, anonymous=True)
    assert len(list((output / "dicom").glob("*.dcm"))) == 4


def _other_study(file):
    dataset = pydicom.dcmread(file)
    dataset.StudyInstanceUID = "1.2.840.99.77"
    dataset.save_as(file)


def test_a_file_of_another_study_is_named_and_the_json_is_there(tmp_path):
    folder = write_cine(tmp_path / "in" / "anna")
    last = sorted(folder.glob("*.dcm"))[-1]
    _other_study(last)
    (reason,) = infer_with_failures("cmr_hf_classify", folder.parent, tmp_path / "out")
    assert "expected files of one study" in reason and last.name in reason
    assert (tmp_path / "out" / "anna.json").is_file() and not list((tmp_path / "out" / "dicom").glob("*.dcm"))


def test_two_studies_of_a_patient_give_no_result_and_the_others_are_done(tmp_path):
    write_cine(tmp_path / "in" / "bea")
    for file in write_cine(tmp_path / "in" / "anna" / "later").glob("*.dcm"):
        _other_study(file)
    write_cine(tmp_path / "in" / "anna" / "before")
    (reason,) = infer_with_failures("cmr_hf_classify", tmp_path / "in", tmp_path / "out")
    assert "expected one study (0020,000D), found 2, as in before/IM" in reason and " and later/IM" in reason
    assert_without_result(tmp_path / "out" / "anna.json", reason)
    assert len(list((tmp_path / "out" / "dicom").glob("bea_*.dcm"))) == 2
    assert not list((tmp_path / "out" / "dicom").glob("anna_*.dcm"))


def test_an_ef_and_velocities_need_no_pixel_spacing(echo, doppler):
    for made, value in ((echo, "ef_percent"), (doppler, "e_mean_cm_s")):
        source, output = made
        header = pydicom.dcmread(source)
        assert "PixelSpacing" not in header and "ImagerPixelSpacing" not in header
        assert json.loads((output / f"{source.stem}.json").read_text())[value] > 0
    assert "SequenceOfUltrasoundRegions" not in pydicom.dcmread(echo[0])


def test_a_cine_without_pixel_spacing_is_named_and_the_others_done(tmp_path):
    good = write_cine(tmp_path / "in" / "anna")
    bad = write_cine(tmp_path / "in" / "bea", PixelSpacing=None, StudyInstanceUID="1.2.840.99.44")
    (reason,) = infer_with_failures("cmr_hf_classify", good.parent, tmp_path / "out")
    assert "pixel spacing" in reason and bad.name in reason
    assert (tmp_path / "out" / "anna.json").is_file()
    assert_without_result(tmp_path / "out" / "bea.json", reason)
    assert len(list((tmp_path / "out" / "dicom").glob("anna_*.dcm"))) == 2


def test_a_case_in_another_format_is_named_and_the_json_is_there(phantom, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(next((phantom("echo_coreecho") / "Videos").glob("*.avi")), tmp_path / "in" / "video.avi")
    (reason,) = infer_with_failures("echo_coreecho", tmp_path / "in", tmp_path / "out", clips=1)
    assert "expected a case in DICOM files" in reason
    assert (tmp_path / "out" / "video.json").is_file()


def test_anything_in_the_header_stays_out_of_the_log(tmp_path, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = {"PatientName": "A=B=C=D^Jürgen", "PatientSex": "rgen", "StudyTime": None, "PatientBirthDate": "Jürgen"}
        write_echo(tmp_path / "a.dcm", **wrong)
    caplog.clear()
    output = infer("echo_coreecho", tmp_path / "a.dcm", tmp_path / "out", clips=1)
    assert pydicom.dcmread(output / "dicom" / "a_report.dcm").PatientBirthDate == ""
    assert NUMBER not in caplog.text and "rgen" not in caplog.text


def test_a_run_that_goes_on_writes_the_objects_that_are_missing_and_no_others(echo, tmp_path):
    source, _ = echo
    output = infer("echo_coreecho", source, tmp_path / "out", clips=1, dicom_results=False)
    computed = (output / "clip.json").stat().st_mtime_ns
    report, picture = (output / "dicom" / f"clip_{name}.dcm" for name in ("report", "picture"))
    infer("echo_coreecho", source, tmp_path / "out", clips=1, skip_finished=True)
    assert report.is_file() and (output / "clip.json").stat().st_mtime_ns == computed
    before = report.read_bytes()
    picture.unlink()
    infer("echo_coreecho", source, tmp_path / "out", clips=1, skip_finished=True)
    assert report.read_bytes() == before and pydicom.dcmread(picture).Modality == "OT"
    assert not (output / "previous").exists()
