import logging

import pytest
import torch
from ignite.engine import Engine
from monai.engines.utils import IterationEvents

from common.rf import ClipGradients, ElastographyLoss, PreparePairBatch, SkippedPairs


def test_label_is_the_entry_asked_for():
    batch = {"image": torch.zeros(1, 6, 4, 4), "displacement": torch.ones(1, 2, 4, 4)}
    image, label = PreparePairBatch("displacement")(batch, "cpu", False)
    assert torch.equal(image, batch["image"]) and torch.equal(label, batch["displacement"])
    image, label = PreparePairBatch("image")(batch, "cpu", non_blocking=False)
    assert label is image


@pytest.mark.parametrize(("gradient", "expected"), [(30.0, 2.0), (0.5, 0.5)])
def test_long_gradients_are_shortened_and_short_ones_kept(gradient, expected):
    network = torch.nn.Linear(1, 1, bias=False)
    engine = Engine(lambda engine, batch: engine.fire_event(IterationEvents.BACKWARD_COMPLETED))
    engine.register_events(*IterationEvents)
    ClipGradients(network, max_norm=2.0).attach(engine)
    network.weight.grad = torch.full((1, 1), gradient)
    engine.run([0])
    assert float(network.weight.grad.norm()) == pytest.approx(expected, rel=1e-4)


def run(displacements, caplog):
    loss = ElastographyLoss()
    engine = Engine(lambda engine, batch: float(loss(batch, torch.zeros(1, 2, 4, 4))))
    handler = SkippedPairs(loss)
    handler.attach(engine)
    with caplog.at_level(logging.INFO):
        engine.run(displacements)
    return handler, engine


def test_skipped_pairs_are_counted_and_logged(caplog):
    good, bad = torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 4, 4)
    bad[:, 3] = 5
    handler, engine = run([good, bad, good], caplog)
    assert (handler.skipped, handler.seen) == (1, 3)
    assert engine.state.metrics["skipped_pairs"] == 1
    assert "skipped 1 of 3 pairs" in caplog.text and "nothing was learned" not in caplog.text


def test_an_epoch_without_any_usable_pair_says_what_to_do(caplog):
    bad = torch.zeros(1, 4, 4, 4)
    bad[:, 3] = 5
    run([bad], caplog)
    assert "pretraining" in caplog.text
