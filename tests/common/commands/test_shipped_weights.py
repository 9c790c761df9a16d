import json
from pathlib import Path

import pytest

from common.commands.shipped_weights import (
    draw_courses,
    evaluation_figures,
    interval_of_part,
    run_comparison,
    weights_sha256,
    with_real_data,
)
from common.errors import NoDataError
from common.files import write_csv


def test_figures_are_plain_numbers_with_interval_and_case_count(tmp_path):
    rows = [
        {"method": "rule", "metric": "Dice", "value": 0.4, "low": 0.3, "high": 0.5, "cases": 8, "published": ""},
        {"method": "model", "metric": "Dice", "value": 0.6, "low": 0.55, "high": 0.7, "cases": 9, "published": 0.6},
    ]
    (tmp_path / "evaluation.json").write_text(json.dumps(rows))
    figures = evaluation_figures(tmp_path, {"dice": ("model", "Dice")})
    assert figures == {"dice": 0.6, "dice_low": 0.55, "dice_high": 0.7, "dice_cases": 9}
    with pytest.raises(KeyError, match="NSD"):
        evaluation_figures(tmp_path, {"nsd": ("model", "NSD")})


def test_the_interval_of_a_quarter_of_the_cases_is_twice_as_wide_on_each_side():
    figures = {"dice": 0.6, "dice_low": 0.5, "dice_high": 0.65, "dice_cases": 80}
    assert interval_of_part(figures, "dice", 20) == pytest.approx((0.4, 0.7))
    assert interval_of_part(figures, "dice", 80) == pytest.approx((0.5, 0.65))


def test_the_parts_of_a_stage_are_drawn_in_one_picture(tmp_path, monkeypatch):
    drawn = {}
    target = "common.commands.shipped_weights.draw_history"
    monkeypatch.setattr(target, lambda path, parts: drawn.update({path.name: parts}))
    rows = [{"epoch": 1.0, "loss": 2.0}, {"epoch": 2.0, "loss": 1.5, "error": 0.25}]
    for name in ("coarse", "fine", "training"):
        (tmp_path / name).mkdir()
        write_csv(tmp_path / name / "history.csv", rows)
    run_ids = {"coarse": "pretraining", "fine": "pretraining", "restoration": "evaluating", "training": "training"}
    draw_courses(tmp_path, [{"name": name, "run_id": run_id} for name, run_id in run_ids.items()])
    assert drawn == {"pretraining.png": {"coarse": rows, "fine": rows}, "training.png": {"training": rows}}


def test_sha256_is_that_of_the_published_example(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"abc")
    (tmp_path / "model.json").write_text("{}")
    # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert weights_sha256(tmp_path) == {"model.pt": expected}


def test_a_plan_that_asks_for_real_images_is_told_their_folder_or_says_what_is_missing(tmp_path):
    plan = {"real_data": "two patients", "steps": [{"overrides": {"further_dirs": ["{real_data}/a", "{work}/b"]}}]}
    assert with_real_data(plan, tmp_path)["steps"][0]["overrides"]["further_dirs"] == [f"{tmp_path}/a", "{work}/b"]
    with pytest.raises(NoDataError, match="--real_data: expected a folder with two patients, found none"):
        with_real_data(plan, None)
    with pytest.raises(NoDataError, match="nowhere: expected a folder with two patients"):
        with_real_data(plan, tmp_path / "nowhere")
    assert with_real_data({"steps": []}, None) == {"steps": []}


def test_a_comparison_runs_its_steps_in_a_folder_of_its_own_and_the_evaluation_of_the_cohort():
    class Run:
        def __init__(self):
            self.steps = []

        def step(self, spec):
            self.steps.append(spec)
            return type("Step", (), {"folder": Path(spec["name"])})

    evaluation = {
        "name": "evaluation",
        "run_id": "evaluating",
        "configs": ["train.json"],
        "overrides": {"dataset_dir": "held_out"},
    }
    training = {"name": "training", "title": "t", "run_id": "training", "configs": [], "overrides": {"max_epochs": 3}}
    plan = {
        "steps": [{"name": "pretraining"}, training],
        "held_out": {"evaluation": evaluation},
        "comparisons": {"no start": {"steps": ["training"]}, "start": {"steps": [], "evaluation": {"weights": "w"}}},
    }
    run = Run()
    assert run_comparison(run, "no start", plan) == Path("no_start_0/evaluation")
    models = "{work}/no_start_0/models"
    assert [step["overrides"] for step in run.steps] == [
        {"seed": 0, "model_dir": models, "max_epochs": 3},
        {"seed": 0, "model_dir": models, "dataset_dir": "held_out", "method": "no start"},
    ]
    run = Run()
    run_comparison(run, "start", plan)
    assert [step["overrides"].get("weights") for step in run.steps] == ["w"]
