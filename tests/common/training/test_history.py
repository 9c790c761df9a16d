import pytest
import torch
from ignite.engine import Engine, Events
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from common.files import read_csv
from common.training import History, draw_history


def train(history, epochs=3):
    trainer = Engine(lambda engine, batch: {"loss": torch.tensor(batch * engine.state.epoch)})
    history.attach(trainer)
    trainer.run([1.0, 3.0], max_epochs=epochs)


def train_and_validate(folder, epochs, interval, optimizer=None):
    """A training with a validation every `interval` epochs, whose metrics are the same each time."""
    evaluator = Engine(lambda *_: None)

    @evaluator.on(Events.COMPLETED)
    def score():
        evaluator.state.metrics = {"auc": torch.tensor(0.75), "matrix": torch.zeros(2, 2), "count": 4}

    trainer = Engine(lambda engine, batch: {"loss": torch.tensor(batch)})
    trainer.add_event_handler(Events.EPOCH_COMPLETED(every=interval), lambda: evaluator.run([0]))
    History(folder, evaluator, optimizer).attach(trainer)
    trainer.run([1.0], max_epochs=epochs)


def test_writes_one_row_an_epoch_with_the_mean_loss(tmp_path):
    train(History(tmp_path))
    rows = read_csv(tmp_path / "history.csv")
    assert [(row["epoch"], float(row["loss"])) for row in rows] == [("1", 2.0), ("2", 4.0), ("3", 6.0)]
    assert all(float(row["seconds"]) >= 0 for row in rows)


def test_adds_scalar_metrics_and_the_learning_rate_only(tmp_path):
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.125)
    train_and_validate(tmp_path, 1, 1, optimizer)
    (row,) = read_csv(tmp_path / "history.csv")
    assert set(row) == {"epoch", "loss", "auc", "count", "learning_rate", "seconds"}
    assert (float(row["auc"]), float(row["learning_rate"])) == (0.75, 0.125)


def test_leaves_the_metrics_of_an_epoch_without_validation_blank(tmp_path):
    train_and_validate(tmp_path, 4, 2)
    assert [row["auc"] for row in read_csv(tmp_path / "history.csv")] == ["", "0.75", "", "0.75"]


def test_draws_the_course_at_the_end(tmp_path):
    train(History(tmp_path))
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


def test_draws_each_part_of_a_training_after_the_one_before(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Axes, "plot", lambda self, x, y, **settings: drawn.append((settings["label"], x, y)))
    rows = [{"epoch": 1, "loss": 3.0, "seconds": 9.0}, {"epoch": 2, "loss": 2.0, "error": 0.5, "seconds": 9.0}]
    draw_history(tmp_path / "curves.png", {"first": rows, "second": rows[:1]})
    assert drawn == [
        ("first", [1, 2], [3.0, 2.0]),
        ("second", [3], [3.0]),
        ("first", [2], [0.5]),
        ("second", [], []),
    ]


@pytest.mark.parametrize(
    ("losses", "scale"),
    [([7, 0.1], "log"), ([7, 1], "linear"), ([7, -0.1], "linear"), ([7, None], "linear"), ([None], "linear")],
)
def test_values_that_differ_widely_are_drawn_on_a_logarithmic_axis(tmp_path, monkeypatch, losses, scale):
    chosen = []
    monkeypatch.setattr(Axes, "set", lambda self, **settings: chosen.append(settings["yscale"]))
    draw_history(tmp_path / "curves.png", {"all": [{"epoch": k, "loss": loss} for k, loss in enumerate(losses, 1)]})
    assert chosen == [scale]


@pytest.mark.parametrize("losses", [(7, 0.1), (0.06, 0.0005), (2000, 3)])
def test_numbers_of_a_logarithmic_axis_are_no_formulas(tmp_path, monkeypatch, losses):
    shown, save = [], Figure.savefig

    def saved(self, *args, **settings):
        save(self, *args, **settings)
        shown.extend(label.get_text() for axes in self.axes for label in axes.get_yticklabels(which="both"))

    monkeypatch.setattr(Figure, "savefig", saved)
    draw_history(tmp_path / "curves.png", {"all": [{"epoch": k, "loss": loss} for k, loss in enumerate(losses, 1)]})
    assert [float(text.replace("\N{MINUS SIGN}", "-")) for text in shown if text]


def test_takes_the_losses_of_decollated_output(tmp_path):
    trainer = Engine(lambda *_: [{"loss": 5.0}, {"loss": 5.0}])
    history = History(tmp_path)
    history.attach(trainer)
    trainer.run([0], max_epochs=1)
    assert history.rows[0]["loss"] == pytest.approx(5)


def test_goes_on_after_the_rows_of_an_interrupted_run(tmp_path):
    first, second = History(tmp_path), History(tmp_path)
    train(first, 2)
    second.load_state_dict(first.state_dict())
    train(second, 1)
    assert [row["loss"] for row in second.rows] == [2.0, 4.0, 2.0]
    assert len(first.rows) == 2
