import json
import re
import subprocess
from html import unescape
from html.parser import HTMLParser
from shutil import which

import pytest

from common.bundle import installed_bundles_folder
from common.commands.captions import PICTURES
from common.commands.report import write_report
from common.commands.study_plan import Limits, StudyPlan
from common.evaluation.intervals import Interval
from common.files import write_json
from tests.common.commands.toy import change_study, write_bundle

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8db0"
    "0000000049454e44ae426082"
)
CHROMIUM = which("chromium") or which("google-chrome")
COMMON = installed_bundles_folder().parent / "common"
WIDTHS = {"phone": 390, "desktop": 1280}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """A study of the toy whose evaluations have a picture, thirty predictions and a failed case."""
    monkeypatch.setattr("common.commands.study_file.installed_bundles_folder", lambda: tmp_path / "bundles")
    bundle = write_bundle(tmp_path / "bundles" / "toy")
    change_study(bundle, title="Hearts & minds", intro="A <small> trial.", metrics=["MAE", "R2", "RMSE", "AUC"])
    (tmp_path / "cohort").mkdir()
    plan = StudyPlan("toy", "table", tmp_path / "jobs", tmp_path / "cohort", Limits(folds=[0]))
    for job in plan.jobs():
        write_json(job.record, {"seconds": 3.2, "cpu_seconds": 3.0, "command": f"python -m x --a 'b' {job.stage}"})
    output = plan.runs[0].jobs[-1].output
    output.mkdir()
    (output / "predictions.csv").write_text("case,probability\n" + "\n".join(f"p{i},0.123456" for i in range(30)))
    (output / "failed.csv").write_text("case,reason\np99,<no> frames\n")
    (output / "roc.png").write_bytes(PIXEL)
    return plan


ROWS = {
    "good": {"MAE": Interval(4.01234, 3.5, 4.5, 40), "AUC": Interval(0.9, float("nan"), float("nan"), 40)},
    "bad": {"MAE": Interval(6.0, 5.0, 7.0, 40), "AUC": None},
    "others": {},
}


class Page(HTMLParser):
    """The cells of the first table by row, the text in `details`, and the headings in order."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.folded, self.depth, self.cell = [], "", 0, False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.depth += tag == "details"
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.cell = True

    def handle_endtag(self, tag):
        self.depth -= tag == "details"
        self.cell = self.cell and tag not in ("td", "th")

    def handle_data(self, data):
        if self.depth:
            self.folded += data
        elif self.cell:
            self.rows[-1][-1] += data


def page(plan, tmp_path):
    return write_report(tmp_path / "report.html", "toy", plan, ROWS).read_text()


def test_methods_are_columns_and_metrics_rows_with_intervals_in_brackets_beside_the_papers(plan, tmp_path):
    rows = Page(page(plan, tmp_path)).rows
    assert rows[0] == ["", "good", "bad", "others"]
    assert rows[1] == ["MAE", "4.012[3.5 to 4.5] n 40paper 5.29", "6[5 to 7] n 40", "paper 6.5"]
    assert rows[2] == ["AUC", "0.9n 40", "", ""], "metrics that no row has are left out"


def test_headline_numbers_come_first_and_settings_and_versions_last(plan, tmp_path):
    text = page(plan, tmp_path)
    places = [text.index(word) for word in ('class="leading"', "All figures", "data:image", "Settings", "toy 0.1.0")]
    assert places == sorted(places)
    assert "<b>4.012</b>" in text[: places[1]] and "bad: 6" in text[: places[1]]


def test_commands_are_folded_away(plan, tmp_path):
    text = page(plan, tmp_path)
    assert "python -m x --a 'b' training" in Page(text).folded
    assert "python -m x" not in re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL)


def test_the_page_needs_no_other_file_and_escapes_what_it_shows(plan, tmp_path):
    text = page(plan, tmp_path)
    assert "Hearts &amp; minds" in text and "A &lt;small&gt; trial." in text and "&lt;no&gt; frames" in text
    assert not re.search(r'(src|href)="(?!data:)|https?://|@import', text)
    assert text.count("data:image/png;base64,") == 1
    assert "not a medical device" in text


def test_the_papers_own_method_leads_where_it_has_figures(plan, tmp_path):
    def first_card(own):
        plan.content["own"] = own
        return re.search(r'class="leading"><div>(.*?)<b>', page(plan, tmp_path))[1]

    assert first_card(["bad"]) == "MAE, bad"
    assert first_card(["others", "good"]) == first_card([]) == "MAE, good"


def test_pictures_and_steps_name_arm_fold_and_seed(plan, tmp_path):
    text = page(plan, tmp_path)
    assert "<figcaption>ROC curve (evaluation, arm good, fold 0, seed 0)</figcaption>" in text
    assert "<h3>training, arms good, bad, fold 0, seed 0 <small>" in unescape(text)
    assert 'class="wide" tabindex="0"' in text


def test_every_picture_of_an_evaluation_or_training_has_words():
    files = [path for path in COMMON.rglob("*.py") if path.parent.name != "commands"]
    texts = [path.read_text(encoding="utf-8") for path in files]
    drawn = {name for text in texts for name in re.findall(r'older / f?"([\w{}]+)\.png"', text)}
    assert {"roc", "bland_altman_{wave}", "history"} <= drawn
    assert {name.replace("{wave}", wave) for name in drawn for wave in "EA"} == set(PICTURES)


def test_long_tables_are_cut_and_say_so(plan, tmp_path):
    text = page(plan, tmp_path)
    assert "<td>p0</td>" in text and "<td>p29</td>" not in text and "8 of 30 rows" in text


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)")
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_browser_shows_the_whole_width_and_asks_for_no_other_file(plan, tmp_path, width):
    path = tmp_path / "report.html"
    text = page(plan, tmp_path)
    # Chromium's window is at least 500 pixels wide; a frame is as narrow as it is told.
    probe = "<script>onload=()=>{const d=document.documentElement;parent.postMessage([d.clientWidth,d.scrollWidth,"
    probe += "performance.getEntriesByType('resource').length,document.images[0].naturalWidth],'*')}</script>"
    path.write_text(text.replace("</body>", f"{probe}</body>"))
    frame = f'<iframe src="report.html" style="width:{width}px;height:800px;border:0"></iframe><p id="seen"></p>'
    listen = "<script>onmessage=e=>document.getElementById('seen').textContent=JSON.stringify(e.data)</script>"
    (tmp_path / "frame.html").write_text(f"<!doctype html>{listen}{frame}")
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    words += ["--virtual-time-budget=3000", "--dump-dom", f"file://{tmp_path / 'frame.html'}"]
    shown = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
    found = json.loads(re.search(r'id="seen">(\[.*?\])<', shown)[1])
    inside, scrolled, asked, image = found
    assert inside <= width and scrolled <= inside, "the page itself must not scroll sideways"
    assert asked <= 1 and image == 1, "its own picture, and nothing else"
