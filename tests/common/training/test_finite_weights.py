import pytest
import torch
from ignite.engine import Engine, Events

from common.errors import DivergedError
from common.training import StopIfNotFinite


def run(network, broken_epoch, epochs=4):
    """Train for `epochs`, break a weight in `broken_epoch`, and return the epochs that later handlers saw."""

    def step(engine, batch):
        if engine.state.epoch == broken_epoch:
            with torch.no_grad():
                network.weight[0, 1] = float("nan")

    engine, seen = Engine(step), []
    StopIfNotFinite(network).attach(engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda e: seen.append(e.state.epoch))
    try:
        engine.run([0], max_epochs=epochs)
    finally:
        run.seen = seen


def test_ends_after_the_epoch_that_broke_a_weight_before_other_handlers_keep_it():
    with pytest.raises(DivergedError, match=r"epoch 3: .* found NaN or infinity in 1 of 2 tensors \(first: weight\)"):
        run(torch.nn.Linear(2, 2), broken_epoch=3)
    assert run.seen == [1, 2]


def test_lets_a_training_with_finite_weights_go_on():
    run(torch.nn.Linear(2, 2), broken_epoch=None)
    assert run.seen == [1, 2, 3, 4]


def test_looks_at_running_statistics_too():
    network = torch.nn.BatchNorm1d(2)
    network.running_var[1] = float("inf")
    engine = Engine(lambda engine, batch: None)
    StopIfNotFinite(network).attach(engine)
    with pytest.raises(DivergedError, match="first: running_var"):
        engine.run([0], max_epochs=1)
