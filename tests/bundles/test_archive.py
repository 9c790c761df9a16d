"""Sources and results in a real archive: stored, found side by side, fetched again as they were."""

import pydicom
import pytest

from tests.bundles.archive import Archive
from tests.bundles.test_dicom_results import cine, doppler, echo  # noqa: F401
from tests.bundles.test_dicom_segmentation import brain, study  # noqa: F401
from tests.dicom_cases import NUMBER, PATIENT

pytestmark = pytest.mark.archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    running = Archive(tmp_path_factory.mktemp("archive"))
    yield running
    running.stop()


MODALITIES = {
    "echo": {"US", "SR", "OT"},
    "doppler": {"US", "SR", "OT"},
    "cine": {"MR", "SR", "OT"},
    "study": {"MR", "SR", "OT", "SEG"},
}


@pytest.mark.parametrize("made", MODALITIES)
def test_results_lie_beside_their_source_and_come_back_as_they_were(made, archive, request):
    source, output = request.getfixturevalue(made)
    files = sorted([source] if source.is_file() else source.rglob("*.dcm")) + sorted(output.glob("dicom/*.dcm"))
    sent = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, files)}
    assert archive.store(*files) == len(files) == len(sent)
    place = f"studies/{PATIENT['StudyInstanceUID']}"
    found = archive.search(f"{place}/instances")
    assert set(sent) <= {instance for *_, instance in found}
    assert MODALITIES[made] <= {modality for modality, *_ in archive.search(f"{place}/series")}
    assert len(archive.search("studies", PatientID=NUMBER)) == 1, "one patient, one study"
    for path in sorted(output.glob("dicom/*.dcm")):
        own = pydicom.dcmread(path)
        series = archive.search(f"{place}/series", Modality=own.Modality, SeriesInstanceUID=own.SeriesInstanceUID)
        assert [uid for _, uid, _ in series] == [own.SeriesInstanceUID]
        (back,) = archive.fetch(f"{place}/series/{own.SeriesInstanceUID}/instances/{own.SOPInstanceUID}")
        assert back == own


def test_a_second_run_adds_no_object(archive, echo):  # noqa: F811
    source, output = echo
    files = [source, *sorted(output.glob("dicom/*.dcm"))]
    archive.store(*files)
    place = f"studies/{PATIENT['StudyInstanceUID']}/instances"
    before = archive.search(place)
    archive.store(*files)
    assert sorted(archive.search(place)) == sorted(before)
