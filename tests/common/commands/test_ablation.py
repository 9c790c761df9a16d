import pytest

from common.commands.ablation import ablation_rows, arm_steps


def test_each_arm_and_seed_has_its_own_folders_and_the_evaluation_its_name():
    steps = [
        {"name": "training", "run_id": "training", "configs": ["train.json"], "overrides": {"max_epochs": 2}},
        {"name": "training_head", "run_id": "training", "configs": ["train.json", "train_head.json"]},
        {"name": "scores", "run_id": "evaluating", "configs": ["train.json", "evaluate.json"]},
    ]
    training, head, evaluating = arm_steps("no start", 2, steps)
    assert training["name"] == "no_start_2/training"
    assert (head["name"], head["title"]) == ("no_start_2/training_head", "no start, seed 2: training head")
    assert training["overrides"] == {"seed": 2, "model_dir": "{work}/no_start_2/models", "max_epochs": 2}
    assert evaluating["overrides"]["method"] == "no start"
    assert "method" not in head["overrides"]
    assert "overrides" not in steps[2]


def test_the_first_arm_is_compared_with_each_other_one_seed_by_seed():
    figures = {"a": {"Dice": [0.6, 0.8]}, "b": {"Dice": [0.5, 0.6]}, "c": {"Dice": [0.7, 0.9]}}
    rows = {(row.method, row.metric): row.result for row in ablation_rows(figures)}
    assert {method for method, _ in rows} == {"a", "b", "c", "a - b", "a - c"}
    assert rows["a", "Dice"].value == pytest.approx(0.7)
    assert rows["a - b", "Dice"].value == pytest.approx(0.15)
    # The same difference at every seed leaves no doubt about its mean.
    assert rows["a - c", "Dice"][:3] == pytest.approx((-0.1, -0.1, -0.1))
    assert rows["a - b", "Dice"].cases == 2
