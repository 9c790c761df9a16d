import json
from functools import partial

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from PIL import Image

from common.data import FailureLog
from common.echo import (
    EjectionFractionNet,
    EjectionFractionResults,
    EvaluatedVideos,
    WithFeatures,
    ejection_fraction_table,
    mean_label,
)
from common.echo.figures import recorded_frames
from common.echo.results import band_of
from common.evaluation import Evaluation
from common.files import read_csv

SMALL = {"depths": (1, 1, 1, 1), "widths": (8, 8, 16, 16), "head_width": 16}


def run_over(handler, network, cases, clips=2):
    """An engine that gives `network`'s numbers for random clips, three videos a batch, as MONAI decollates them."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(len(cases), clips, 3, 4, 32, 32, generator=generator)

    def step(engine, indices):
        with torch.no_grad():
            found = network(images[indices].flatten(0, 1))
        numbers = (found[0] if isinstance(found, tuple) else found).reshape(len(indices), clips)
        engine.state.batch = [{**cases[i], "image": images[i]} for i in indices]
        return [{"pred": row} for row in numbers]

    engine = Engine(step)
    handler.attach(engine)
    network.eval()
    places = list(range(len(cases)))
    engine.run([places[i : i + 3] for i in range(0, len(places), 3)])
    return images


def cases(count=8):
    return [{"case": f"v{i}", "label": 20.0 + 7 * i} for i in range(count)]


@pytest.mark.parametrize("wrapped", [False, True])
def test_writes_tables_and_pictures_of_the_mean_over_clips(tmp_path, wrapped):
    network = EjectionFractionNet(**SMALL).eval()
    whole = WithFeatures(network, freeze_encoder=True) if wrapped else network
    videos = EvaluatedVideos(whole)
    table = partial(ejection_fraction_table, constant=50.0, resamples=50)
    handler = Evaluation(tmp_path, videos, table, videos.draw, method="ours")
    images = run_over(handler, whole, cases())
    rows = read_csv(tmp_path / "cases.csv")
    with torch.no_grad():
        expected = network(images.flatten(0, 1)).reshape(8, 2).mean(1)
    assert [float(row["predicted"]) for row in rows] == pytest.approx(expected.tolist(), rel=1e-5)
    features = np.array([row["features"] for row in handler.rows])
    with torch.no_grad():
        wanted = network.encoder(images.flatten(0, 1)).reshape(8, 2, -1).mean(1)
    np.testing.assert_allclose(features, wanted.numpy(), rtol=1e-4, atol=1e-5)
    table = {(row["method"], row["metric"]): row for row in json.loads((tmp_path / "evaluation.json").read_text())}
    labels = np.array([case["label"] for case in cases()])
    assert table["constant", "MAE (EF points)"]["value"] == pytest.approx(np.abs(labels - 50).mean())
    error = np.abs(expected.numpy() - labels).mean()
    assert table["ours", "MAE (EF points)"]["value"] == pytest.approx(error, rel=1e-4)
    assert table["ours", "MAE for EF 40 to 50 % (EF points)"]["cases"] == 2
    assert ("ours", "rank correlation of embedding and EF distances") in table
    for name in ("agreement", "embedding", "grad_cam"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.size[0] > 300
    assert all(p.requires_grad is not wrapped for p in network.encoder.parameters())


def test_gives_the_training_mean_to_the_constant_predictor():
    assert mean_label([{"label": 40.0}, {"label": 55.0}]) == 47.5


@pytest.mark.parametrize(("ef", "band"), [(39.9, "reduced"), (40, "mildly reduced"), (50, "preserved")])
def test_bands_the_ef_as_guidelines_do(ef, band):
    assert band_of(ef) == band


class Given(torch.nn.Module):
    """Gives numbers one after the other."""

    def __init__(self, numbers):
        super().__init__()
        self.numbers = iter(numbers)

    def forward(self, clips):
        return torch.tensor([[next(self.numbers)] for _ in clips])


def test_writes_each_video_with_its_spread_and_a_flag(tmp_path):
    handler = EjectionFractionResults(FailureLog(tmp_path), disagreement=10.0, weights="models/model.pt")
    run_over(handler, Given([50.0, 54.0, 30.0, 45.0, float("nan"), 50.0]), cases(3))
    first = json.loads((tmp_path / "v0.json").read_text())
    assert (first["ef_percent"], first["spread"], first["clips_disagree"]) == (52.0, 2.0, False)
    assert first["clips"] == [50.0, 54.0] and first["weights"] == "models/model.pt"
    second = json.loads((tmp_path / "v1.json").read_text())
    assert (second["ef_percent"], second["band"], second["clips_disagree"]) == (37.5, "reduced", True)
    rows = read_csv(tmp_path / "predictions.csv")
    assert [(row["case"], row["doubts"]) for row in rows] == [("v0", ""), ("v1", "")]
    assert handler.failures.failures()[0]["reason"].startswith("expected a finite EF, found nan")
    assert (tmp_path / "v1.png").is_file() and not (tmp_path / "v2.png").exists()
    assert "ef_percent" not in (tmp_path / "v2.json").read_text()


def test_says_when_no_heart_ejects_so_much(tmp_path):
    run_over(EjectionFractionResults(FailureLog(tmp_path)), Given([97.0, 99.0]), cases(1))
    assert json.loads((tmp_path / "v0.json").read_text())["doubts"] == ["an EF of 98.0 % is outside 5 to 90 %"]


def test_shows_no_frames_that_only_fill_a_short_videos_clip():
    clip = torch.full((3, 12, 4, 4), -0.65)
    assert recorded_frames(clip) == 1
    clip[:, 3, 1, 2] = 0.4
    clip[2, 7, 0, 0] = 0.4
    assert recorded_frames(clip) == 8
