"""The demos as a newcomer runs them: in time, with the scores that each bundle promises, and quick the second time."""

import re

import pytest
import torch

from common.__main__ import main
from common.files import read_csv
from tests.bundles.harness import BUNDLES

pytestmark = [pytest.mark.demo, pytest.mark.timeout(1500)]

AT_LEAST = {
    "cmr_hf_classify": [("with stage 1", "patient AUC", 0.85)],
    "doppler_keypoint": [("model", "E F1", 0.9), ("model", "A F1", 0.9)],
    "echo_coreecho": [("model", "R2", 0.75)],
    "hie_ladp_seg": [("rule Z < -2", "Dice", 0.5), ("model - rule, paired", "Dice", 0.08)],
}
# A figure that is smaller than another: "model and GLUE" is the answer of an inference.
BELOW = {
    "elasto_flow": [
        (("before fine-tuning", "CNR"), ("model", "CNR")),
        (("NCC", "CNR"), ("model and GLUE", "CNR")),
        (("model and GLUE", "strain RMSE (%)"), ("NCC", "strain RMSE (%)")),
        (("model and GLUE", "SR error against 2/(1+G)"), ("model", "SR error against 2/(1+G)")),
    ],
}


@pytest.fixture(autouse=True)
def one_thread():
    """The scores of short trainings hang on the order of sums, so on the number of threads: one gives one answer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def scores(folder):
    """Every figure of the table: (arm, heading) to value."""
    rows = read_csv(folder / "table.csv")
    return {(row["arm"], key): float(cell) for row in rows for key, cell in row.items() if key != "arm" and cell}


@pytest.mark.parametrize("bundle", BUNDLES)
def test_demo_ends_with_a_report_keeps_its_promise_and_repeats_no_step(bundle, tmp_path, capsys):
    assert main(["demo", bundle, "--output", str(tmp_path)]) == 0
    report = tmp_path / bundle / "demo" / "report.html"
    text = report.read_text()
    assert "data:image/png;base64," in text and "Research use only" in text
    assert str(report) in capsys.readouterr().out
    found = scores(report.parent)
    for method, metric, promised in AT_LEAST.get(bundle, []):
        assert found[method, metric] >= promised
    for smaller, larger in BELOW.get(bundle, []):
        assert found[smaller] < found[larger]
    assert main(["demo", bundle, "--output", str(tmp_path)]) == 0
    assert re.search(r"(\d+) jobs, \1 done already", capsys.readouterr().out), "a step has run again"
