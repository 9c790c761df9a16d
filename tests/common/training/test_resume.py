from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ignite.engine import Events
from ignite.metrics import MeanSquaredError
from monai.data import Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import LrScheduleHandler, ValidationHandler, from_engine
from monai.transforms import Compose, RandGaussianNoised
from torch import nn
from torch.utils.data import DataLoader

from common.errors import UnusableFileError
from common.files import read_csv
from common.training import EpochSeed, History, KeepBest, ResumeLoader, ResumeSaver, load_state

EPOCHS = 5


class Killed(Exception):
    pass


def items(count, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 1, 6, 6, generator=generator)
    return [{"image": image, "label": image.mean((1, 2)) * 3 + 1} for image in images]


class Run:
    """A small training with everything whose state a resume must carry: dropout, noise, order, schedule, best score."""

    def __init__(
        self, folder, kill_in_epoch=None, workers=0, resume="auto", patience=0, epochs=EPOCHS, learning_rate=0.05
    ):
        torch.manual_seed(0)
        self.folder = folder
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1))
        optimizer = torch.optim.Adam(self.network.parameters(), lr=learning_rate)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
        dataset = Dataset(items(12, 1), Compose([RandGaussianNoised("image", prob=1.0, std=0.2)]))
        loader = DataLoader(dataset, batch_size=5, shuffle=True, num_workers=workers)
        device = torch.device("cpu")
        evaluator = SupervisedEvaluator(
            device=device,
            val_data_loader=DataLoader(Dataset(items(6, 2)), batch_size=3),
            network=self.network,
            key_val_metric={"val_mse": MeanSquaredError(from_engine(["pred", "label"]))},
            decollate=False,
        )
        best = KeepBest(self.network, folder / "model.pt", "val_mse", evaluator, mode="min", patience=patience)
        history = History(folder, evaluator, optimizer)
        self.trainer = SupervisedTrainer(
            device=device,
            max_epochs=epochs,
            train_data_loader=loader,
            network=self.network,
            optimizer=optimizer,
            loss_function=nn.MSELoss(),
            train_handlers=[
                EpochSeed(7, dataset),
                LrScheduleHandler(schedule, print_lr=False),
                ValidationHandler(1, evaluator),
                best,
                history,
            ],
        )
        if kill_in_epoch:
            self.trainer.add_event_handler(Events.ITERATION_COMPLETED, self.kill, kill_in_epoch)
        objects = {
            "network": self.network,
            "optimizer": optimizer,
            "schedule": schedule,
            "best": best,
            "history": history,
        }
        ResumeSaver(folder / "resume.pt", objects).attach(self.trainer)
        ResumeLoader(folder / "resume.pt", objects, resume).attach(self.trainer)

    def kill(self, engine, epoch):
        if engine.state.epoch == epoch and engine.state.iteration % 3 == 2:
            raise Killed

    def go(self):
        self.trainer.run()
        return self


def rows(folder):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_csv(folder / "history.csv")]


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("whole")).go()


@pytest.mark.parametrize(("killed", "workers"), [(2, 0), (3, 0), (5, 0), (3, 1)])
def test_a_killed_and_resumed_run_ends_with_the_weights_of_one_that_was_not(tmp_path, whole, killed, workers):
    with pytest.raises(Killed):
        Run(tmp_path, kill_in_epoch=killed, workers=workers).go()
    assert (tmp_path / "resume.pt").is_file()
    assert len(rows(tmp_path)) == killed - 1
    resumed = Run(tmp_path, workers=workers).go()
    assert resumed.trainer.state.epoch == EPOCHS
    # A worker seeds its transforms otherwise than the main process does.
    reference = Run(tmp_path / "reference", workers=workers).go() if workers else whole
    assert same(resumed.network.state_dict(), reference.network.state_dict())
    assert same(load_state(tmp_path / "model.pt"), load_state(reference.folder / "model.pt"))
    assert rows(tmp_path) == rows(reference.folder)


def test_a_run_killed_twice_still_arrives(tmp_path, whole):
    for epoch in (2, 4):
        with pytest.raises(Killed):
            Run(tmp_path, kill_in_epoch=epoch).go()
    assert same(Run(tmp_path).go().network.state_dict(), whole.network.state_dict())


def test_the_schedule_goes_on_where_it_was(whole):
    rates = [float(row["learning_rate"]) for row in rows(whole.folder)]
    assert rates == pytest.approx([0.05, 0.025, 0.025, 0.0125, 0.0125])


def test_a_finished_run_trains_nothing_more_and_its_files_stay(tmp_path, caplog):
    Run(tmp_path).go()
    before = {name: (tmp_path / name).read_bytes() for name in ("model.pt", "model.json", "history.csv")}
    caplog.set_level("INFO")
    again = Run(tmp_path, resume=True).go()
    assert "finished after epoch 5, nothing is trained; raise max_epochs" in caplog.text
    assert again.trainer.state.iteration == 5 * 3
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_a_finished_run_goes_on_to_more_epochs_as_if_it_had_been_asked_for_them_at_first(tmp_path, whole):
    Run(tmp_path, epochs=3).go()
    longer = Run(tmp_path, resume=True).go()
    assert same(longer.network.state_dict(), whole.network.state_dict())
    assert rows(tmp_path) == rows(whole.folder)


def test_fewer_epochs_than_have_run_train_nothing(tmp_path, whole):
    Run(tmp_path).go()
    kept = load_state(tmp_path / "model.pt")
    Run(tmp_path, resume=True, epochs=3).go()
    assert same(load_state(tmp_path / "model.pt"), kept) and len(rows(tmp_path)) == EPOCHS


def test_a_run_that_is_not_to_resume_starts_over_and_says_so(tmp_path, whole, caplog):
    with pytest.raises(Killed):
        Run(tmp_path, kill_in_epoch=3).go()
    again = Run(tmp_path, resume=False)
    assert "replaces this earlier training" in caplog.text
    assert same(again.go().network.state_dict(), whole.network.state_dict())
    assert len(rows(tmp_path)) == EPOCHS


def test_a_run_that_ended_early_is_finished_until_it_is_given_more_patience(tmp_path, caplog):
    run = Run(tmp_path, patience=2, learning_rate=0.0).go()
    assert run.trainer.state.epoch == 3
    caplog.set_level("INFO")
    Run(tmp_path, patience=2, learning_rate=0.0, resume=True).go()
    assert "nothing is trained; raise patience" in caplog.text and len(rows(tmp_path)) == 3
    assert Run(tmp_path, patience=3, learning_rate=0.0, resume=True).go().trainer.state.epoch == 4


def test_a_resume_without_a_state_is_refused_unless_it_is_left_open(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"resume\.pt: expected the state of a training.*--resume auto"):
        Run(tmp_path, resume=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("enabled", ["yes", 2, None])
def test_refuses_another_word_for_resume(tmp_path, enabled):
    with pytest.raises(ValueError, match="expected true, false or auto"):
        ResumeLoader(tmp_path / "resume.pt", {}, enabled)


@pytest.mark.parametrize("content", [{"network": {}, "progress": {"epoch": 1, "iteration": 1}}, None])
def test_refuses_a_state_that_lacks_an_object_or_is_damaged(tmp_path, content):
    torch.save(content, tmp_path / "resume.pt") if content else (tmp_path / "resume.pt").write_bytes(b"PK")
    loader = ResumeLoader(tmp_path / "resume.pt", {"optimizer": torch.optim.SGD(nn.Linear(1, 1).parameters())}, True)
    with pytest.raises(UnusableFileError, match=r"resume\.pt: expected the state of this training.*without --resume"):
        loader(None)


def test_refuses_a_state_with_one_changed_bit_in_a_value(tmp_path):
    network = nn.Linear(64, 64)
    ResumeSaver(tmp_path / "resume.pt", {"network": network})(
        SimpleNamespace(state=SimpleNamespace(epoch=1, iteration=3))
    )
    content = bytearray((tmp_path / "resume.pt").read_bytes())
    content[content.index(network.weight.detach().numpy().tobytes()) + 1000] ^= 4
    (tmp_path / "resume.pt").write_bytes(content)
    with pytest.raises(UnusableFileError, match=r"resume\.pt: expected the state of this training.*found others in"):
        ResumeLoader(tmp_path / "resume.pt", {"network": nn.Linear(64, 64)}, True)(None)


def test_the_file_holds_plain_types_only(tmp_path):
    with pytest.raises(Killed):
        Run(tmp_path, kill_in_epoch=2).go()
    state = torch.load(tmp_path / "resume.pt", weights_only=True)
    assert state["progress"] == {"epoch": 1, "iteration": 3}
    assert np.isfinite(state["best"]["best_score"])
