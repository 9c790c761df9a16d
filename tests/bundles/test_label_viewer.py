"""OHIF in a real browser: series of a real archive shown, the model run from its panel, the mask where it belongs."""

import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image

from common.bundle import installed_bundles_folder
from tests.bundles.archive import Archive
from tests.bundles.browser import Browser
from tests.bundles.label_server import TOKEN
from tests.bundles.test_dicom_segmentation import brain  # noqa: F401
from tests.common.data.test_dicom_volume import oblique
from tests.dicom_cases import NUMBER, write_maps

pytestmark = [pytest.mark.label, pytest.mark.archive, pytest.mark.timeout(900)]

BUNDLE = "hie_ladp_seg"
ADC, STUDY = "1.2.840.99.5", "1.2.840.99.10"
SCALE = np.diag([1.9 / 0.9, 1.7 / 1.3, 14 / 4.1, 1])
AFFINES = {"axial": np.diag([1.9, 1.7, 14, 1.0]), "flipped oblique": oblique(-1.0) @ SCALE}


@pytest.fixture(scope="module")
def archive(brain, tmp_path_factory):  # noqa: F811
    """Two studies of two series each."""
    running = Archive(tmp_path_factory.mktemp("archive"))
    for number, affine in enumerate(AFFINES.values()):
        folder = tmp_path_factory.mktemp("maps")
        for file in sorted(write_maps(folder, *brain[1:], affine, StudyInstanceUID=f"{STUDY}{number}").rglob("*.dcm")):
            dataset = pydicom.dcmread(file)
            dataset.SeriesInstanceUID += f".{number}"
            dataset.save_as(file)
            running.store(file)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def server(archive, serve):
    return serve(archive.url, installed_bundles_folder(), "--models", BUNDLE, "--viewer")


@pytest.fixture
def browser(tmp_path):
    running = Browser(tmp_path / "browser")
    yield running
    running.stop()


SEGMENTATION = """
const volume = window.services.segmentationService.getLabelmapVolume('1');
if (!volume) return null;
const values = volume.voxelManager.getCompleteScalarDataArray(), marked = [];
values.forEach((value, index) => value && marked.push(index));
const {dimensions: size, origin, spacing, direction} = volume;
return {marked, size, origin, spacing, direction: [...direction]};
"""
JUMP = """
const viewport = window.services.cornerstoneViewportService.getCornerstoneViewport('mpr-axial');
viewport.setViewReference({FrameOfReferenceUID: viewport.getFrameOfReferenceUID(),
  cameraFocalPoint: arguments[0], viewPlaneNormal: viewport.getCamera().viewPlaneNormal});
viewport.render();
"""


def in_patient(found):
    """The voxels that the browser's volume marks, in mm from the patient's origin."""
    x, y, z = found["size"]
    index = np.asarray(found["marked"])
    place = np.stack([index % x, index // x % y, index // (x * y)], -1) * found["spacing"]
    assert z * x * y > index.max()
    return found["origin"] + place @ np.reshape(found["direction"], (3, 3))


def mask_in_patient(server, series, folder):
    (folder / "mask.nii.gz").write_bytes(server.infer(BUNDLE, series, "image").body)
    image = sitk.ReadImage(str(folder / "mask.nii.gz"))
    marked = np.argwhere(sitk.GetArrayFromImage(image))[:, ::-1]
    return np.array([image.TransformIndexToPhysicalPoint([int(v) for v in one]) for one in marked])


@pytest.mark.browser
@pytest.mark.parametrize("number", range(len(AFFINES)), ids=AFFINES)
def test_the_mask_of_a_run_from_the_panel_is_seen_where_the_lesion_lies(number, server, browser, tmp_path):
    browser.open(f"{server.url}/ohif/monai-label?StudyInstanceUIDs={STUDY}{number}&token={TOKEN}")
    browser.until(lambda: "W:" in browser.run("return document.body.innerText"), "an image with its window")
    assert "token" not in browser.run("return location.href")
    said = browser.run("return document.body.innerText")
    assert "ADC" in said and "Z-score" in said
    browser.click("//button[contains(., 'Confirm and Hide')]")
    browser.click("//table[contains(@class, 'settingsTable')]//button")
    browser.find("//button[@title='Run Segmentation']")
    browser.until(lambda: browser.run(SEGMENTATION), "a segmentation")
    assert not browser.run(SEGMENTATION)["marked"]
    wanted = mask_in_patient(server, f"{ADC}.{number}", tmp_path)
    browser.run(JUMP, wanted[len(wanted) // 2].tolist())
    before = green(browser.picture(tmp_path / "before.png"))
    browser.click("//button[@title='Run Segmentation']")
    found = browser.until(lambda: marked if (marked := browser.run(SEGMENTATION))["marked"] else None, "a mask")
    np.testing.assert_allclose(np.sort(in_patient(found), 0), np.sort(wanted, 0), rtol=0, atol=1e-3)
    ordered = [places[np.lexsort(np.round(places, 2).T)] for places in (in_patient(found), wanted)]
    np.testing.assert_allclose(*ordered, rtol=0, atol=1e-2)
    browser.until(lambda: green(browser.picture(tmp_path / "after.png")) > before + 50, "the mask in the picture")


def green(path):
    """How many pixels of a picture have the colour of the segment."""
    red, pixels, blue = np.moveaxis(np.asarray(Image.open(path).convert("RGB"), float), -1, 0)
    return int(((pixels > 120) & (pixels > 1.6 * red) & (pixels > 1.6 * blue)).sum())


def test_pages_are_open_and_the_archive_is_not(server):
    page = server.ask("GET", "/ohif/", Authorization="")
    assert page.status == 200 and page.kind.startswith("text/html") and b"sessionStorage" in page.body
    script = server.ask("GET", "/ohif/app-config.js", Authorization="")
    assert b"window.config" in script.body and NUMBER.encode() not in page.body + script.body
    for path in ("/proxy/dicom/qido/studies", "/info/", "/datastore/?output=all"):
        assert server.ask("GET", path, Authorization="").status == 401
    assert server.ask("POST", "/ohif/", b"{}", Authorization="").status == 401


@pytest.mark.parametrize(
    "path", ["../ohif.py", "..%2fohif.py", "%2e%2e/%2e%2e/ohif.py", "%2fetc%2fpasswd", "x/../../ohif.py"]
)
def test_no_page_leads_out_of_the_folder_of_ohif(path, server):
    reply = server.ask("GET", f"/ohif/{path}", Authorization="")
    assert reply.status in (200, 401, 404) and b"APIRouter" not in reply.body and b"root:" not in reply.body


def test_the_archive_is_read_with_its_filters_and_nothing_else(server, archive):
    query = f"PatientID={NUMBER}&StudyInstanceUID={STUDY}1&token={TOKEN}"
    found = json.loads(server.ask("GET", f"/proxy/dicom/qido/studies?{query}").body)
    assert [one["0020000D"]["Value"] for one in found] == [[f"{STUDY}1"]]
    metadata = json.loads(server.ask("GET", f"/proxy/dicom/wado/studies/{STUDY}0/series/{ADC}.0/metadata").body)
    assert len(metadata) == 6 and metadata[0]["00100020"]["Value"] == [NUMBER]
    for path in (
        "studies/../../system",
        "studies/..%2f..%2fsystem",
        "studies%2f..",
        "../system",
        "tools/execute-script",
        "",
    ):
        assert server.ask("GET", f"/proxy/dicom/wado/{path}").status == 404, path
    for method in ("POST", "PUT", "DELETE"):
        assert server.ask(method, "/proxy/dicom/wado/studies", b"{}" if method != "DELETE" else None).status == 405
    assert server.ask("GET", "/proxy/dicom/stow/studies").status in (404, 422)
    assert server.ask("GET", "/proxy/dicom/qido/studies", Origin="https://evil.example").status == 403
