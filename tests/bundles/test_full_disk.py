"""A disk that is full for a while, or for a whole run: nothing is half written, and the other cases finish."""

import json

import pytest

from common.evaluation.case_results import CaseResults
from tests.bundles import harness
from tests.bundles.attacks import broken_files, contents, infer
from tests.full_disk import full_disk

SETTINGS = {"hie_ladp_seg": {"tta": False}, "elasto_flow": {"grid_size": [None, 32], "refine": "none"}}
CASES = {"doppler_keypoint": {"cases": 3, "unlabelled": 0}}


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Folder with a few cases of a bundle."""
    folders = {}

    def folder(bundle):
        if bundle not in folders:
            data = tmp_path_factory.mktemp(bundle) / "data"
            folders[bundle] = harness.simulate(bundle, data, **CASES.get(bundle, {"cases": 3}))
        return folders[bundle]

    return folder


def kinds(kind):
    return [kind, *(other for child in kind.__subclasses__() for other in kinds(child))]


@pytest.mark.parametrize("limit", [30, 1500], ids=["nothing", "small files"])
@pytest.mark.parametrize("bundle", harness.BUNDLES)
def test_a_case_that_does_not_fit_fails_by_name_and_the_others_are_whole(few, tmp_path, monkeypatch, bundle, limit):
    data = few(bundle)
    lost = []

    def limited(write):
        def write_case(self, case, parts):
            lost[:] = lost or [case]
            if case != lost[0]:
                return write(self, case, parts)
            with full_disk(limit):
                return write(self, case, parts)

        return write_case

    before = contents(data)
    for kind in kinds(CaseResults)[1:]:
        if "write_case" in vars(kind):
            monkeypatch.setattr(kind, "write_case", limited(kind.write_case))
    rows, failed = infer(bundle, data, tmp_path / "output", **SETTINGS.get(bundle, {}))
    assert list(failed) == lost and len(rows) == len(expected_cases(data, bundle)) - 1
    reason = failed[lost[0]]["reason"]
    assert f"{tmp_path}/output/" in reason and "expected to write a whole file, found" in reason
    names = {path.name for path in (tmp_path / "output").iterdir()}
    assert not [name for name in names if "partial" in name]
    assert [name for name in names if name.startswith(lost[0])] == [f"{lost[0]}.json"]
    assert json.loads((tmp_path / "output" / f"{lost[0]}.json").read_text())["error"] == reason
    assert len([name for name in names if name.endswith(".json")]) == len(rows) + 1
    assert not broken_files(tmp_path / "output") and contents(data) == before


def expected_cases(data, bundle):
    ending = {"doppler_keypoint": "*.dcm", "cmr_hf_classify": "*_4d.nii.gz", "hie_ladp_seg": "1ADC_ss/*"}
    found = {"echo_coreecho": "*.avi", "elasto_flow": "*.mat", **ending}[bundle]
    return list(data.rglob(found))


@pytest.mark.parametrize("bundle", harness.BUNDLES)
def test_a_disk_that_is_full_throughout_ends_the_run_with_an_error_and_no_result(few, tmp_path, bundle):
    data = few(bundle)
    with full_disk(30), pytest.raises((OSError, RuntimeError)) as caught:
        infer(bundle, data, tmp_path / "output", **SETTINGS.get(bundle, {}))
    errors = [caught.value]
    while errors[-1].__cause__ is not None:
        errors.append(errors[-1].__cause__)
    assert any(isinstance(error, OSError) and "no more room on the disk" in str(error) for error in errors), errors
    left = [path for path in (tmp_path / "output").rglob("*") if path.is_file() and not path.name.startswith(".")]
    assert not left
