import hashlib
import json
import math

import pytest
import torch
from ignite.engine import Engine
from torch import nn

from common.bundle import trained_settings
from common.errors import UnusableFileError
from common.training import KeepBest, load_state


def run(tmp_path, values, mode="max", patience=0, interval=1, keep=None):
    """Train a network whose only weight is the epoch, with the metric `values`, one an epoch."""
    network = nn.Linear(1, 1, bias=False)

    def step(engine, _):
        nn.init.constant_(network.weight, engine.state.epoch)
        engine.state.metrics["score"] = values[engine.state.epoch - 1]

    trainer = Engine(step)
    keep = keep or KeepBest(network, tmp_path / "model.pt", "score", None, mode, patience, interval)
    keep.network = network
    keep.attach(trainer)
    trainer.run([0], max_epochs=len(values))
    return keep, trainer.state.epoch, int(load_state(tmp_path / "model.pt")["weight"])


@pytest.mark.parametrize(
    ("values", "mode", "best"),
    [
        ([0.5, 0.7, 0.6, 0.7, 0.6], "max", 4),
        ([0.5, 0.7, 0.4, 0.6], "min", 3),
        ([math.nan, 0.5, 0.4], "max", 2),
        ([-3.0, -2.0], "max", 2),
        ([math.nan, math.nan], "max", 1),
        ([0.4, math.inf, 0.5], "min", 1),
    ],
)
def test_keeps_the_weights_of_the_best_epoch(tmp_path, values, mode, best):
    keep, _, kept = run(tmp_path, values, mode)
    assert kept == best == keep.best_epoch


def test_ends_after_as_many_validations_without_improvement_as_the_patience(tmp_path):
    _, last, kept = run(tmp_path, [0.5, 0.6, 0.5, 0.6, 0.7], patience=2)
    assert (last, kept) == (4, 4), "an equal epoch is kept, but is no improvement"


def test_an_improvement_renews_the_patience(tmp_path):
    _, last, _ = run(tmp_path, [0.5, 0.4, 0.6, 0.5, 0.7], patience=2)
    assert last == 5


def test_looks_at_validated_epochs_only(tmp_path):
    keep, _, kept = run(tmp_path, [0.9, 0.5, 0.9, 0.6], interval=2)
    assert kept == keep.best_epoch == 4


def test_a_taken_up_state_is_not_replaced_by_a_worse_epoch(tmp_path):
    first, _, _ = run(tmp_path, [0.5, 0.8])
    second = KeepBest(nn.Linear(1, 1, bias=False), tmp_path / "model.pt", "score")
    second.load_state_dict(first.state_dict())
    _, _, kept = run(tmp_path, [0.6, 0.7], keep=second)
    assert kept == 2 and second.best_score == 0.8 and second.waited == 2


def test_takes_the_metric_of_another_engine(tmp_path):
    evaluator, trainer = Engine(lambda *_: None), Engine(lambda *_: None)
    evaluator.state.metrics["auc"] = torch.tensor(0.75)
    keep = KeepBest(nn.Linear(1, 1), tmp_path / "deep" / "model.pt", "auc", evaluator)
    keep.attach(trainer)
    trainer.run([0], max_epochs=1)
    assert keep.best_score == 0.75 and (tmp_path / "deep" / "model.pt").is_file()


def test_refuses_another_mode(tmp_path):
    with pytest.raises(ValueError, match="'max' or 'min', found 'highest'"):
        KeepBest(nn.Linear(1, 1), tmp_path / "model.pt", "score", mode="highest")


def test_says_beside_the_weights_what_they_were_trained_with(tmp_path):
    keep = KeepBest(
        nn.Linear(1, 1, bias=False), tmp_path / "model.pt", "score", settings={"size": [4, 5], "norm": "batch"}
    )
    run(tmp_path, [0.5, 0.75, 0.25], keep=keep)
    content = json.loads((tmp_path / "model.json").read_text())
    assert content.pop("sha256") == hashlib.sha256((tmp_path / "model.pt").read_bytes()).hexdigest()
    assert content.pop("content_sha256")
    assert content == {"epoch": 2, "score": 0.75, "settings": {"size": [4, 5], "norm": "batch"}}
    assert trained_settings(tmp_path / "model.pt") == {"size": [4, 5], "norm": "batch"}


def test_a_changed_setting_is_refused_until_its_digest_is_removed(tmp_path):
    keep = KeepBest(nn.Linear(1, 1, bias=False), tmp_path / "model.pt", "score", settings={"background": -6.0})
    run(tmp_path, [0.5], keep=keep)
    text = (tmp_path / "model.json").read_text().replace("-6.0", "-4.0")
    (tmp_path / "model.json").write_text(text)
    for read in (trained_settings, load_state):
        with pytest.raises(UnusableFileError, match=r"model\.json: .* remove its line content_sha256"):
            read(tmp_path / "model.pt")
    (tmp_path / "model.json").write_text(
        "".join(text.splitlines(keepends=True)[:1] + text.splitlines(keepends=True)[2:])
    )
    assert trained_settings(tmp_path / "model.pt") == {"background": -4.0}
    assert load_state(tmp_path / "model.pt")


def test_keeps_half_precision_if_that_is_wanted(tmp_path):
    keep = KeepBest(nn.Linear(1, 1, bias=False), tmp_path / "model.pt", "score", half=True)
    run(tmp_path, [0.5], keep=keep)
    assert torch.load(tmp_path / "model.pt", weights_only=True)["weight"].dtype == torch.float16


def test_a_model_of_an_earlier_training_is_kept_once_under_another_name(tmp_path):
    run(tmp_path, [0.5, 0.6])
    first = (tmp_path / "model.pt").read_bytes()
    run(tmp_path, [0.1, 0.2, 0.3])
    assert (tmp_path / "model.previous.pt").read_bytes() == first
    assert json.loads((tmp_path / "model.previous.json").read_text())["score"] == 0.6
    assert json.loads((tmp_path / "model.json").read_text())["score"] == 0.3


def test_what_belongs_to_the_model_is_told_its_sum(tmp_path):
    told = []
    keep = KeepBest(nn.Linear(1, 1, bias=False), tmp_path / "model.pt", "score", beside_model=[told.append])
    run(tmp_path, [0.5, 0.4, 0.6], keep=keep)
    assert len(told) == 2 and told[1] == json.loads((tmp_path / "model.json").read_text())["sha256"]
