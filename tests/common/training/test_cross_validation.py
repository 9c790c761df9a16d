import pytest

import common.training.cross_validation
from common.files import write_csv
from common.training.cross_validation import CrossValidation


@pytest.fixture
def runs(monkeypatch):
    """Records what would be run; an evaluation leaves one row with its fold."""
    done = []

    def run_bundle(root, run_id, configs, overrides):
        done.append((run_id, tuple(configs), overrides))
        if run_id == "evaluating":
            write_csv(f"{overrides['output_dir']}/cases.csv", [{"case": f"c{overrides['fold']}", "dice": 0.5}])

    monkeypatch.setattr(common.training.cross_validation, "run_bundle", run_bundle)
    return done


def test_runs_every_stage_of_every_fold_and_pools_their_cases(runs, tmp_path):
    summaries = []
    settings = {"max_epochs": 3}
    CrossValidation("B", tmp_path, 3, lambda f, rows: summaries.append((f, rows)), settings=settings).run()
    assert [(run_id, o["fold"]) for run_id, _, o in runs] == [
        (stage, fold) for fold in range(3) for stage in ("pretraining", "training", "evaluating")
    ]
    assert {o["model_dir"] for _, _, o in runs} == {str(tmp_path / f"fold_{n}" / "models") for n in range(3)}
    assert all(o["folds"] == 3 and o["max_epochs"] == 3 for _, _, o in runs)
    assert summaries == [(tmp_path, [{"case": f"c{n}", "dice": 0.5} for n in range(3)])]


def test_finished_folds_are_not_run_again(runs, tmp_path):
    write_csv(tmp_path / "fold_0" / "evaluating" / "cases.csv", [{"case": "old", "dice": 0.25}])
    pooled = []
    CrossValidation("B", tmp_path, 2, lambda _, rows: pooled.extend(rows), stages=["training", "evaluating"]).run()
    assert [(run_id, o["fold"]) for run_id, _, o in runs] == [("training", 1), ("evaluating", 1)]
    assert [row["case"] for row in pooled] == ["old", "c1"]


def test_refuses_unknown_stages(tmp_path):
    with pytest.raises(ValueError, match=r"stages: expected some of .*found \['testing'\]"):
        CrossValidation("B", tmp_path, 2, print, stages=["testing"])
