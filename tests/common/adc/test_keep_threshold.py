import json

from ignite.engine import Engine
from torch import nn

from common.adc import KeepThreshold
from common.training import KeepBest


def test_threshold_is_that_of_the_kept_model(tmp_path):
    scores, thresholds = [0.2, 0.6, 0.4], [0.1, 0.3, 0.5]
    evaluator, trainer = Engine(lambda *_: None), Engine(lambda *_: None)
    keep_best = KeepBest(nn.Linear(1, 1), tmp_path / "model.pt", "dice", engine=evaluator)
    keep_threshold = KeepThreshold(keep_best, evaluator, tmp_path / "threshold.json")
    written = []
    for epoch in range(3):
        evaluator.state.metrics = {"dice": scores[epoch], "threshold": thresholds[epoch]}
        trainer.state.epoch = epoch + 1
        keep_best(trainer)
        keep_threshold(trainer)
        written.append(json.loads((tmp_path / "threshold.json").read_text()))
    assert [entry["threshold"] for entry in written] == [0.1, 0.3, 0.3]
    assert written[-1] == {"threshold": 0.3, "dice": 0.6, "epoch": 2}
