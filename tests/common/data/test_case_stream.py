import pytest
from torch.utils.data import DataLoader

from common.data import CaseStream, FailureLog
from common.files import read_csv

CASES = [{"case": f"p{n}", "value": n} for n in range(5)]


def double(item):
    if item["value"] == 2:
        raise ValueError("truncated")
    return {"case": item["case"], "value": 2 * item["value"]}


def sections(item):
    """Two samples, then trouble in one case."""
    yield {"case": item["case"], "section": 0}
    if item["value"] == 2:
        raise ValueError("second section is damaged")
    yield {"case": item["case"], "section": 1}


@pytest.fixture
def failures(tmp_path):
    return FailureLog(tmp_path)


def test_a_bad_case_is_named_and_the_others_arrive_in_order(failures):
    assert [sample["value"] for sample in CaseStream(CASES, double, failures)] == [0, 2, 6, 8]
    assert failures.failures() == [{"case": "p2", "reason": "truncated"}]


def test_workers_share_the_cases_and_the_failures(failures):
    loader = DataLoader(CaseStream(CASES, double, failures), batch_size=None, num_workers=2)
    assert sorted(sample["value"] for sample in loader) == [0, 2, 6, 8]
    assert failures.failures() == [{"case": "p2", "reason": "truncated"}]


def test_a_case_may_give_several_samples(failures):
    samples = list(CaseStream(CASES[:2], sections, failures))
    assert [(s["case"], s["section"]) for s in samples] == [("p0", 0), ("p0", 1), ("p1", 0), ("p1", 1)]
    listed = CaseStream(CASES[:1], lambda item: [{"n": 1}, {"n": 2}], failures)
    assert list(listed) == [{"n": 1, "parts": 0}, {"n": 2, "parts": 2}]


def test_a_case_that_fails_half_way_is_named_and_the_next_one_arrives(failures):
    samples = list(CaseStream(CASES[1:4], sections, failures))
    assert [(s["case"], s["parts"]) for s in samples] == [("p1", 0), ("p1", 2), ("p3", 0), ("p3", 2)]
    assert failures.failures() == [{"case": "p2", "reason": "second section is damaged"}]


def test_a_second_case_of_one_name_does_not_replace_the_first(failures):
    stream = CaseStream([CASES[0], CASES[1], {"case": "p0", "value": 9}], double, failures)
    assert [s["value"] for s in stream] == [0, 2]
    assert failures.failures()[0]["case"] == "p0" and "rename" in failures.failures()[0]["reason"]


def test_nothing_is_listed_before_the_iteration_begins(failures, tmp_path):
    listed = []

    def list_cases(folder):
        listed.append(folder)
        return CASES[:2]

    stream = CaseStream(str(tmp_path / "nowhere"), double, failures, list_cases)
    assert listed == []
    assert len(list(stream)) == 2 and listed == [str(tmp_path / "nowhere")]


def test_refuses_a_folder_without_a_function_that_lists_it(failures):
    with pytest.raises(ValueError, match="lists the cases of /data, found None"):
        CaseStream("/data", double, failures)


def test_anonymous_names_are_in_the_samples_and_reasons_and_a_key_says_whose_they_are(tmp_path):
    failures = FailureLog(tmp_path)
    items = [{"case": "Doe^Jane", "image": "/data/Doe^Jane/1.dcm"}, {"case": "Roe", "image": "/data/Roe.dcm"}]

    def prepare(item):
        if "Doe" in item["image"]:
            raise ValueError(f"{item['image']}: truncated; remove {item['case']} from /data/Doe^Jane")
        return {"case": item["case"]}

    assert list(CaseStream(items, prepare, failures, anonymous_names=True)) == [{"case": "case_0002"}]
    (failed,) = failures.failures()
    assert failed == {"case": "case_0001", "reason": "...: truncated; remove case_0001 from ..."}
    assert read_csv(tmp_path / "key.csv") == [
        {"name": "case_0001", "case": "Doe^Jane"},
        {"name": "case_0002", "case": "Roe"},
    ]


def test_a_continued_run_keeps_the_anonymous_names_and_gives_new_cases_new_ones(tmp_path):
    def run(*cases):
        failures = FailureLog(tmp_path, skip_finished=True)
        failures.start()
        failures.finished = {"case_0001", "case_0002"}
        names = [item["case"] for item in CaseStream([{"case": case} for case in cases], dict, failures, None, True)]
        failures.finish()
        return names, {row["case"]: row["name"] for row in read_csv(tmp_path / "key.csv")}

    first = {"anna": "case_0001", "cleo": "case_0002"}
    assert run("anna", "cleo") == (["case_0001", "case_0002"], first)
    assert run("anna", "bad", "cleo") == (["case_0003"], {**first, "bad": "case_0003"})
    assert run("cleo") == ([], {**first, "bad": "case_0003"})
