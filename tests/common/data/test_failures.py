import pytest

from common.data import FailureLog
from common.data.failures import reason_of
from common.errors import FailedCasesError
from common.files import read_csv


def test_one_bad_case_does_not_take_the_others_with_it_and_ends_in_an_error(tmp_path, caplog):
    log, good = FailureLog(tmp_path), []
    log.start()
    for case in ("a", "b", "c"):
        with log.guard(case):
            if case == "b":
                raise ValueError("b/1.dcm: truncated, with a comma")
            good.append(case)
    assert good == ["a", "c"]
    assert "b failed: b/1.dcm: truncated" in caplog.text
    with pytest.raises(FailedCasesError, match=r"^1 case failed, with the reason in .*failed\.csv: b"):
        log.finish()
    assert read_csv(tmp_path / "failed.csv") == [{"case": "b", "reason": "b/1.dcm: truncated, with a comma"}]


def test_nothing_is_written_where_nothing_failed(tmp_path):
    log = FailureLog(tmp_path / "out")
    log.start()
    log.finish()
    assert not list((tmp_path / "out").glob("[!.]*"))


def test_each_case_has_one_row_with_all_its_reasons_once(tmp_path):
    log = FailureLog(tmp_path)
    for case, reason in (("b", "x"), ("a", "y"), ("b", "z"), ("b", "x")):
        log.add(case, reason)
    assert log.failures() == [{"case": "b", "reason": "x; z"}, {"case": "a", "reason": "y"}]


def test_an_error_without_words_is_named_by_its_kind(tmp_path):
    log = FailureLog(tmp_path)
    with log.guard("a"):
        raise MemoryError
    assert log.failures() == [{"case": "a", "reason": "MemoryError"}]


def test_an_interrupt_by_the_user_passes(tmp_path):
    log = FailureLog(tmp_path)
    with pytest.raises(KeyboardInterrupt), log.guard("a"):
        raise KeyboardInterrupt
    assert log.failures() == []


def test_a_new_run_forgets_the_failures_of_an_interrupted_one(tmp_path):
    killed = FailureLog(tmp_path)
    killed.start()
    killed.add("old", "killed later")
    killed.output.close()
    log = FailureLog(tmp_path)
    log.start()
    log.finish()
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["previous"]
    assert read_csv(tmp_path / "previous" / "failed.csv") == [{"case": "old", "reason": "killed later"}]


def test_a_reason_is_one_line():
    assert reason_of(ValueError("got 0 bytes from\n - could the file be damaged?")) == (
        "got 0 bytes from  - could the file be damaged?"
    )
