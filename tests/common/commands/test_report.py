import json
import re

from common.commands.report import Step, evaluation_lines, write_report

PLAN = {"title": "Hearts & minds", "intro": "A <small> trial."}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8db0"
    "0000000049454e44ae426082"
)


def step(folder, name="evaluate"):
    folder.mkdir()
    row = {
        "method": "model",
        "metric": "AUC",
        "value": 0.91234,
        "low": 0.8,
        "high": 0.97,
        "cases": 40,
        "published": 0.85,
    }
    (folder / "evaluation.json").write_text(json.dumps([row, {**row, "method": "rule", "low": None, "published": ""}]))
    (folder / "predictions.csv").write_text("case,probability\n" + "\n".join(f"p{i},0.123456" for i in range(30)))
    (folder / "roc.png").write_bytes(PIXEL)
    return Step(name, "python -m x --a 'b'", folder, 3.2)


def test_the_page_needs_no_other_file_and_escapes_what_it_shows(tmp_path):
    text = write_report(tmp_path / "report.html", PLAN, [step(tmp_path / "one")]).read_text()
    assert "Hearts &amp; minds" in text and "A &lt;small&gt; trial." in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert text.count("data:image/png;base64,") == 1
    assert "not a medical device" in text


def test_long_tables_are_cut_in_the_middle(tmp_path):
    text = write_report(tmp_path / "report.html", PLAN, [step(tmp_path / "one")]).read_text()
    assert "<td>p0</td>" in text and "<td>p29</td>" in text and "<td>p15</td>" not in text and "<td>...</td>" in text


def test_scores_of_all_steps_stand_in_one_table_without_repeats(tmp_path):
    lines = evaluation_lines([step(tmp_path / "one").folder, step(tmp_path / "two").folder])
    assert len(lines) == 3
    assert re.split(r"\s{2,}", lines[1]) == ["model", "AUC", "0.9123", "0.8 to 0.97", "40", "0.85"]
    assert evaluation_lines([]) == []
