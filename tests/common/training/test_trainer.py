import json

import pytest
import torch
from ignite.engine import Events
from ignite.metrics import MeanSquaredError
from monai.data import Dataset
from monai.engines import SupervisedEvaluator
from monai.handlers import from_engine
from torch import nn
from torch.utils.data import DataLoader

from common.errors import DivergedError, OutputFolderError
from common.files import read_csv
from common.training import Trainer


class Recorder:
    """A handler of one bundle alone: notes what is there when an epoch ends."""

    def __init__(self, folder):
        self.folder, self.seen = folder, []

    def attach(self, engine):
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine):
        self.seen.append(sorted(path.name for path in self.folder.glob("[!.]*.*")))


def trainer(folder, learning_rate=0.1, **arguments):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=learning_rate)
    data = [{"image": torch.ones(1, 4) * i, "label": torch.ones(1) * i} for i in (0.1, 0.2, 0.3)]
    loader = DataLoader(Dataset(data), batch_size=3)
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=loader,
        network=network,
        key_val_metric={"mse": MeanSquaredError(from_engine(["pred", "label"]))},
        decollate=False,
    )
    return Trainer(
        network,
        optimizer,
        loader,
        evaluator,
        "mse",
        folder / "model.pt",
        folder,
        mode="min",
        device=torch.device("cpu"),
        loss_function=nn.MSELoss(),
        **{"max_epochs": 2, "settings": {"size": 4}, "title": "toy", **arguments},
    )


def test_a_training_leaves_model_history_and_a_state_to_go_on_from(tmp_path):
    trainer(tmp_path).run()
    assert json.loads((tmp_path / "model.json").read_text())["settings"] == {"size": 4}
    assert [row["epoch"] for row in read_csv(tmp_path / "history.csv")] == ["1", "2"]
    assert (tmp_path / "resume.pt").is_file() and (tmp_path / "history.png").is_file()


def test_handlers_of_one_bundle_act_before_the_model_is_kept(tmp_path):
    recorder = Recorder(tmp_path)
    trainer(tmp_path, train_handlers=[recorder, None]).run()
    assert recorder.seen[0] == [] and "model.pt" in recorder.seen[1]


def test_a_training_that_diverges_ends_before_anything_is_kept(tmp_path):
    with pytest.raises(DivergedError, match="Lower learning_rate"):
        trainer(tmp_path, learning_rate=float("inf")).run()
    assert not list(tmp_path.iterdir())


def test_a_kept_network_may_be_a_part_of_the_one_in_training(tmp_path):
    part = nn.Linear(2, 2)
    trainer(tmp_path, kept_network=part).run()
    assert set(torch.load(tmp_path / "model.pt", weights_only=True)) == {"weight", "bias"}
    assert torch.load(tmp_path / "model.pt", weights_only=True)["weight"].shape == (2, 2)


class Meanwhile:
    """A handler that starts another training while one runs."""

    def __init__(self, other):
        self.other, self.reason = other, ""

    def attach(self, engine):
        engine.add_event_handler(Events.EPOCH_COMPLETED(once=1), self)

    def __call__(self, engine):
        with pytest.raises(OutputFolderError) as caught:
            self.other.run()
        self.reason = str(caught.value)


def test_a_second_training_into_the_same_files_is_refused_while_the_first_runs(tmp_path):
    meanwhile = Meanwhile(trainer(tmp_path))
    trainer(tmp_path, train_handlers=[meanwhile]).run()
    assert f"{tmp_path}: expected a folder that no other run writes to" in meanwhile.reason
    trainer(tmp_path).run()


def test_a_training_that_fails_gives_its_folders_free(tmp_path):
    with pytest.raises(DivergedError):
        trainer(tmp_path, learning_rate=float("inf")).run()
    trainer(tmp_path).run()


def test_an_infinite_metric_does_not_end_a_training_with_an_error_of_json(tmp_path):
    trainer(tmp_path, learning_rate=1e30, max_epochs=1).run()
    assert "Infinity" not in (tmp_path / "model.json").read_text()
