import json

from ignite.engine import Engine
from torch import nn

from common.adc import KeepThreshold
from common.training import KeepBest


def test_threshold_is_that_of_the_kept_model_and_names_it(tmp_path):
    scores, thresholds = [0.2, 0.6, 0.4], [0.1, 0.3, 0.5]
    evaluator, trainer = Engine(lambda *_: None), Engine(lambda *_: None)
    keep_threshold = KeepThreshold(evaluator, tmp_path / "threshold.json")
    keep_best = KeepBest(nn.Linear(1, 1), tmp_path / "model.pt", "dice", evaluator, beside_model=[keep_threshold])
    written = []
    for epoch in range(3):
        evaluator.state.metrics = {"dice": scores[epoch], "threshold": thresholds[epoch]}
        trainer.state.epoch = epoch + 1
        keep_best(trainer)
        written.append(json.loads((tmp_path / "threshold.json").read_text()))
    assert [entry["threshold"] for entry in written] == [0.1, 0.3, 0.3]
    assert written[-1]["model_sha256"] == json.loads((tmp_path / "model.json").read_text())["sha256"]
