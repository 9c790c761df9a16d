"""A bundle whose stages take no time: what a study's engine does with stages can be seen from what these write."""

import json
import os
import signal
import time

# Kind of model -> fold -> cases with reference and predicted EF: errors of 1, 3 and 8 points, and of 2, 4 and 8.
CASES = {
    "good": [[("101", 40, 41), ("102", 60, 57)], [("103", 50, 58)]],
    "bad": [[("101", 40, 42), ("102", 60, 56)], [("103", 50, 58)]],
}
ROWS = {
    kind: [[{"case": c, "quality": "Good", "label": y, "predicted": p} for c, y, p in cases] for cases in folds]
    for kind, folds in CASES.items()
}
CONFIG = {
    "imports": [
        "$import time",
        "$from pathlib import Path",
        "$from common.files import write_csv",
        "$from common.files import write_json",
    ],
    "dataset_dir": "",
    "model_dir": "",
    "output_dir": "",
    "fold": 0,
    "seed": 0,
    "max_epochs": 10,
    "val_interval": 4,
    "resume": False,
    "start": "",
    "names": "$sorted(p.name for p in Path(@model_dir).glob('*'))",
    "made": {"epochs": "@max_epochs", "start": "@start", "found": "@names"},
    "initialize": [],
    "history": [{"epoch": 1, "loss": 0.5}],
    "pretraining": [
        "$write_json(@model_dir + '/pretrained.pt', @made)",
        "$write_csv(@output_dir + '/history.csv', @history)",
    ],
    "inferring": [],
    "wait_s": 0,
    "waited": "$Path(@output_dir) / 'waited'",
    "training": [
        "$@waited.exists() or time.sleep(@waited.mkdir(parents=True) or @wait_s)",
        "$write_json(@model_dir + '/model.pt', @made)",
        "$write_csv(@output_dir + '/history.csv', @history)",
    ],
}
EVALUATE = {
    "kind": "good",
    "method": "?",
    "rows": ROWS,
    "validate": {
        "report": {
            "_target_": "common.evaluation.Evaluation",
            "output_dir": "@output_dir",
            "row": None,
            "table": {"_target_": "common.echo.camus_table", "_mode_": "callable"},
            "method": "@method",
        }
    },
    "evaluating": ["$@validate#report.write(@rows[@kind][@fold])"],
}
STUDY = {
    "title": "a table",
    "intro": "Of a toy.",
    "seeds": [0],
    "folds": [0, 1],
    "stages": {
        "pretraining": {"run_id": "pretraining", "configs": ["train.json"]},
        "training": {"run_id": "training", "configs": ["train.json"], "overrides": {"max_epochs": 5}},
        "evaluation": {"run_id": "evaluating", "configs": ["train.json", "evaluate.json"]},
    },
    "arms": {
        "good": {"stages": ["pretraining", "training", "evaluation"]},
        "bad": {"stages": ["pretraining", "training", "evaluation"], "settings": {"kind": "bad"}},
    },
    "metrics": {"MAE": "MAE (EF points), Good and Medium"},
    "published": {"good": {"MAE": 5.29}, "others": {"MAE": 6.5}},
}


def write_bundle(folder):
    """Write the bundle to `folder` and return it."""
    files = {"configs/metadata": {"version": "0.1.0"}, "configs/train": CONFIG, "configs/evaluate": EVALUATE}
    for name, content in {**files, "studies/table": STUDY}.items():
        path = folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


def change_study(bundle, **changes):
    """Change entries of the toy's study."""
    (bundle / "studies" / "table.json").write_text(json.dumps({**STUDY, **changes}))


def die(directory):
    """A phantom whose process is killed, as one is that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def take_time(directory, seconds):
    """A phantom that takes its time."""
    time.sleep(seconds)
