"""A real MONAI Label server whose studies lie in a real archive."""

import json
from io import BytesIO

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from common.bundle import installed_bundles_folder
from common.label.served import ServedBundle
from tests.bundles.archive import Archive
from tests.bundles.harness import root, simulate
from tests.bundles.label_server import form
from tests.bundles.test_dicom_segmentation import brain  # noqa: F401
from tests.bundles.test_label import assert_close, assert_same_image
from tests.dicom_cases import IDENTITIES, PATIENT, assert_valid, write_cine, write_echo, write_maps

pytestmark = [pytest.mark.label, pytest.mark.archive, pytest.mark.timeout(900)]

MODELS = {
    "hie_ladp_seg": "1.2.840.99.5",
    "echo_coreecho": "1.2.840.99.2",
    "cmr_hf_classify": "1.2.840.99.3",
    "doppler_keypoint": "1.2.840.99.4",
}
KEPT_APART = ("case", "weights", "mask", "probability")


@pytest.fixture(scope="module")
def sources(brain, tmp_path_factory):  # noqa: F811
    """By bundle, a study each: file or folder."""
    folder = tmp_path_factory.mktemp("sources")
    studies = [{"StudyInstanceUID": f"1.2.840.99.{number}"} for number in (101, 102, 103, 104)]
    screen = simulate("doppler_keypoint", folder / "doppler") / "labelled" / "doppler0002.dcm"
    dataset = pydicom.dcmread(screen)
    for keyword, value in {**PATIENT, **studies[3], "SeriesInstanceUID": MODELS["doppler_keypoint"]}.items():
        setattr(dataset, keyword, value)
    dataset.save_as(screen)
    return {
        "hie_ladp_seg": write_maps(folder / "maps", *brain[1:], np.diag([1.9, 1.7, 14.0, 1.0]), **studies[0]),
        "echo_coreecho": write_echo(folder / "clip.dcm", **studies[1]),
        "cmr_hf_classify": write_cine(folder / "cine", **studies[2]),
        "doppler_keypoint": screen,
    }


@pytest.fixture(scope="module")
def archive(sources, tmp_path_factory):
    running = Archive(tmp_path_factory.mktemp("archive"))
    for source in sources.values():
        running.store(*([source] if source.is_file() else sorted(source.rglob("*.dcm"))))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def server(archive, serve):
    return serve(archive.url, installed_bundles_folder(), "--models", ",".join(MODELS), "--writable")


def test_the_series_of_the_archive_are_the_studies(server):
    assert server.ask("GET", "/datastore/").json()["total"] == 5
    content = server.ask("GET", "/datastore/?output=all").json()
    assert set(MODELS.values()) <= set(content["objects"])
    assert not [word for word in IDENTITIES[:-1] if word in json.dumps(content)]
    assert server.ask("GET", f"/datastore/image/info?image={MODELS['echo_coreecho']}").json()["modality"] == "US"
    info = server.ask("GET", "/info/").json()
    assert sorted(info["models"]) == sorted(MODELS) and not info["trainers"]


@pytest.mark.parametrize("bundle", MODELS)
def test_the_answer_is_that_of_inferring_and_its_objects_lie_in_the_archive(bundle, server, archive, sources, tmp_path):
    reply = server.infer(bundle, MODELS[bundle])
    assert reply.status == 200, reply.body
    wanted = ServedBundle(root(bundle)).infer(sources[bundle], tmp_path).content
    found = reply.json()
    assert_close({k: found[k] for k in wanted if k not in KEPT_APART}, without(wanted, KEPT_APART))
    objects = [
        one for one in archive.fetch(f"studies/{study_of(sources[bundle])}") if one.Modality in ("SR", "OT", "SEG")
    ]
    assert {one.Modality for one in objects} == {"SR", "OT"} | ({"SEG"} if bundle == "hie_ladp_seg" else set())
    for number, one in enumerate(objects):
        path = tmp_path / f"{number}_{'report' if one.Modality == 'SR' else 'image'}.dcm"
        one.save_as(path)
        assert_valid(path)
    server.infer(bundle, MODELS[bundle])
    again = archive.fetch(f"studies/{study_of(sources[bundle])}")
    assert sum(one.Modality in ("SR", "OT", "SEG") for one in again) == len(objects)


def without(content, names):
    return {name: value for name, value in content.items() if name not in names}


def study_of(source):
    return pydicom.dcmread(source if source.is_file() else next(source.rglob("*.dcm"))).StudyInstanceUID


def test_a_mask_comes_as_image_and_as_segmentation(server, tmp_path):
    image = server.infer("hie_ladp_seg", MODELS["hie_ladp_seg"], "image")
    (tmp_path / "mask.nii.gz").write_bytes(image.body)
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "mask.nii.gz")))
    reply = server.infer("hie_ladp_seg", MODELS["hie_ladp_seg"], "dicom_seg")
    made = pydicom.dcmread(BytesIO(reply.body))
    assert made.Modality == "SEG" and made.pixel_array.sum() == mask.sum() > 0


def test_a_corrected_mask_is_stored_beside_its_series_and_comes_back(server, archive, sources, tmp_path):
    adc = MODELS["hie_ladp_seg"]
    answer = server.infer("hie_ladp_seg", adc, "image")
    (tmp_path / "mask.nii.gz").write_bytes(answer.body)
    mask = sitk.ReadImage(str(tmp_path / "mask.nii.gz"))
    values = sitk.GetArrayFromImage(mask)
    values[2, 20:30, 20:30] = 1
    corrected = sitk.GetImageFromArray(values)
    corrected.CopyInformation(mask)
    sitk.WriteImage(corrected, str(tmp_path / "corrected.nrrd"))
    place, said = f"studies/{study_of(sources['hie_ladp_seg'])}", {"label_info": [{"name": "lesion", "idx": 1}]}
    before = archive.search(f"{place}/instances")
    assert server.ask("GET", f"/datastore/label?label={adc}&tag=final").status == 404
    for file in ("mask.nii.gz", "corrected.nrrd", "corrected.nrrd"):
        upload = form(params=json.dumps(said), label=tmp_path / file)
        reply = server.ask("PUT", f"/datastore/label?image={adc}&tag=final", *upload)
        assert reply.status == 200 and reply.json() == {"image": adc, "label": adc}, reply.body
    new = set(archive.search(f"{place}/instances")) - set(before)
    assert {modality for modality, *_ in new} == {"SEG"} and len({series for _, series, _ in new}) == 1
    assert len(new) == 2, "the label that was saved twice is stored once"
    (series,) = {series for _, series, _ in new}
    stored = sorted(archive.fetch(f"{place}/series/{series}"), key=lambda one: one.InstanceNumber)
    assert stored[0].pixel_array.sum() < stored[1].pixel_array.sum() == values.sum()
    assert stored[1].ReferencedSeriesSequence[0].SeriesInstanceUID == adc
    assert stored[1].PatientID == PATIENT["PatientID"]
    stored[1].save_as(tmp_path / "label.dcm")
    assert_valid(tmp_path / "label.dcm")
    back = server.ask("GET", f"/datastore/label?label={adc}&tag=final")
    (tmp_path / "back.nii.gz").write_bytes(back.body)
    assert_same_image(sitk.ReadImage(str(tmp_path / "back.nii.gz")), corrected)
    info = server.ask("GET", f"/datastore/label/info?label={adc}&tag=final").json()
    assert info == {"series": series, "instance": stored[1].SOPInstanceUID}
    assert server.ask("GET", "/datastore/").json() == {"total": 5, "completed": 1, "label_tags": {"final": 1}}
    assert server.ask("GET", "/datastore/?output=all").json()["objects"][adc]["labels"].keys() == {"final"}
    chosen = {server.ask("POST", "/activelearning/random", b"{}").json()["id"] for _ in range(10)}
    assert adc not in chosen


def test_a_label_that_lies_elsewhere_is_refused_with_the_reason(server, tmp_path):
    image = sitk.GetImageFromArray(np.ones((3, 4, 5), np.uint8))
    sitk.WriteImage(image, str(tmp_path / "label.nii.gz"))
    for name, status in ((MODELS["hie_ladp_seg"], 422), (MODELS["echo_coreecho"], 422), ("1.2.3.4", 404)):
        upload = form(params="{}", label=tmp_path / "label.nii.gz")
        reply = server.ask("PUT", f"/datastore/label?image={name}", *upload)
        assert reply.status == status, reply.body
    assert (
        "grid of the series"
        in server.ask(
            "PUT",
            f"/datastore/label?image={MODELS['hie_ladp_seg']}",
            *form(params="{}", label=tmp_path / "label.nii.gz"),
        ).json()["detail"]
    )


@pytest.mark.parametrize(
    ("name", "status"), [("1.2.3.4", 404), ("../secret", 404), ("*", 404), ("1.2.840.99.5,1", 404)]
)
def test_a_name_that_is_no_series_is_not_found(server, name, status):
    assert server.infer("echo_coreecho", name).status == status


def test_another_series_is_refused_with_the_reason(server):
    reply = server.infer("echo_coreecho", MODELS["cmr_hf_classify"])
    assert reply.status == 422, reply.body
