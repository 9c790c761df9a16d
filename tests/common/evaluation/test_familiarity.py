import json
import logging
from random import Random

import pytest
import torch
from ignite.engine import Engine
from scipy.stats import kstest
from torch import nn

from common.data import FailureLog
from common.errors import NoDataError, UnusableFileError
from common.evaluation import CaseResults, Familiarity, FamiliarityCheck, FitFamiliarity
from common.evaluation.familiarity import Gaussian, familiarity_file
from common.files import read_csv
from common.training import save_state

WIDTH = 40
MIXING = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(1)) * torch.linspace(0.1, 3, WIDTH)


def cases(count, seed):
    """Vectors of one kind, whose entries depend on each other."""
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed)) @ MIXING + 5


def percentiles(found, vectors):
    return [found.percentile(float(score)) for score in found.score([vectors])]


def test_percentiles_of_other_cases_of_the_kind_are_spread_evenly():
    found = Familiarity.fit(["a"], [cases(300, 2)], [cases(200, 3)])
    values = percentiles(found, cases(2000, 4))
    assert kstest([value / 100 for value in values], "uniform").statistic < 0.1
    assert sum(value > found.limit for value in values) / len(values) <= 0.01


def test_more_dimensions_than_cases_do_not_make_every_other_case_strange():
    found = Familiarity.fit(["a"], [cases(25, 2)], [cases(60, 3)])
    assert sum(value > found.limit for value in percentiles(found, cases(2000, 4))) <= 20


def test_few_held_out_cases_make_the_limit_careful():
    marked = 0
    for seed in range(40):
        found = Familiarity.fit(["a"], [cases(100, 2)], [cases(5, 100 + seed)])
        marked += sum(value > found.limit for value in percentiles(found, cases(100, 4)))
    assert marked / 4000 <= 0.01


def test_a_case_in_pieces_is_judged_by_its_mean_among_such_means():
    held_out = cases(200, 3)
    each = Familiarity.fit(["a"], [cases(300, 2)], [held_out])
    of_five = Familiarity.fit(["a"], [cases(300, 2)], [held_out], [str(piece // 5) for piece in range(200)])
    means = each.score([held_out]).unflatten(0, (40, 5)).mean(1)
    assert of_five.scores == pytest.approx((float(means.mean()), float(means.std()), 40))
    assert Familiarity.fit(["a"], [cases(300, 2)], [held_out], ["one", *["other"] * 199]).scores == each.scores


def test_a_case_that_breaks_what_entries_have_in_common_is_far_though_each_is_usual():
    found = Familiarity.fit(["a"], [cases(300, 2)], [cases(100, 3)])
    others = cases(300, 5)
    shuffled = torch.stack(
        [column[torch.randperm(300, generator=torch.Generator().manual_seed(k))] for k, column in enumerate(others.T)],
        1,
    )
    marked = sum(value > found.limit for value in percentiles(found, shuffled))
    assert marked > len(shuffled) / 2


def test_the_distance_is_mahalanobis_where_many_cases_leave_no_doubt():
    mixing = torch.eye(WIDTH) + 0.05 * MIXING
    draw = torch.Generator().manual_seed(6)
    known, vectors = (torch.randn(count, WIDTH, generator=draw) @ mixing for count in (20_000, 20))
    vectors = vectors + 1
    inverse = torch.linalg.inv(torch.cov(known.T).double())
    apart = (vectors - known.mean(0)).double()
    expected = ((apart @ inverse) * apart).sum(1).div(WIDTH).sqrt().float()
    torch.testing.assert_close(Gaussian.fit(known).log_distances(vectors).exp(), expected, rtol=0.05, atol=0)


def test_too_few_cases_are_said_to_be_too_few():
    with pytest.raises(ValueError, match="at least 10 training and 5 held-out cases, found 9 and 30"):
        Familiarity.fit(["a"], [cases(9, 2)], [cases(30, 3)])


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.last = nn.Conv2d(4, 1, 1)

    def forward(self, image):
        return self.last(self.first(image))


def image(seed, gain=1.0):
    return gain * torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model(tmp_path):
    """Weights, and the fit to them of images in 0..1."""
    network = Network()
    path = tmp_path / "models" / "model.pt"
    save_state(network, path)

    def fit(training=60, held_out=30, **how):
        known = [{"image": image(k)} for k in range(training)]
        others = [{"image": image(100 + k)} for k in range(held_out)]
        FitFamiliarity(Network(), path, ["first"], known, others, dict, lambda batch, network: network(batch)).fit(
            **how
        )
        return path, network

    return fit


class Means(CaseResults):
    def write_case(self, case, parts):
        self.write_json(case, {"text": self.caption(case, "the mean")})
        return {"mean": 0.0}


def run(folder, path, network, images, skip_finished=False):
    log = FailureLog(folder, skip_finished=skip_finished)
    log.start()
    results = Means(log, ["case", "mean"], path, FamiliarityCheck(network, path))

    def step(engine, batch):
        engine.state.batch = batch
        return [{"pred": value} for value in network(torch.stack([item["image"] for item in batch]))]

    engine = Engine(step)
    results.attach(engine)
    items = [{"case": name, "image": value} for name, value in images.items()]
    with torch.inference_mode():
        engine.run([items[k : k + 2] for k in range(0, len(items), 2)])
    rows = {row["case"]: row for row in read_csv(folder / "predictions.csv")}
    return rows, {name: json.loads((folder / f"{name}.json").read_text()) for name in images}


def test_every_result_says_how_familiar_its_image_is(model, tmp_path, caplog):
    path, network = model()
    images = {"usual": image(500), "bright": image(501, 3.0), "flat": torch.zeros(1, 16, 16)}
    with caplog.at_level(logging.WARNING):
        rows, contents = run(tmp_path / "out", path, network, images)
    assert rows["usual"]["unlike_training"] == "False" and float(rows["usual"]["familiarity"]) < 99.9
    for name in ("bright", "flat"):
        assert rows[name]["unlike_training"] == "True" and float(rows[name]["familiarity"]) > 99.9
        assert contents[name]["unlike_training"] is True
        doubt = "unlike the training data, farther from it than 99.9 % of similar cases"
        assert (contents[name]["doubts"], rows[name]["doubts"]) == ([doubt], doubt)
        assert contents[name]["text"] == f"the mean\nDOUBTFUL: {doubt}"
    assert (contents["usual"]["doubts"], rows["usual"]["doubts"]) == ([], "")
    assert contents["usual"]["text"] == "the mean"
    assert "unlike the training data: 2 of 3 cases (bright, flat)" in caplog.text
    assert not any(module._forward_hooks for module in network.modules())
    with caplog.at_level(logging.WARNING):
        caplog.clear()
        again, _ = run(tmp_path / "out", path, network, {"another": image(502)}, skip_finished=True)
    assert "unlike the training data: 2 of 4 cases (bright, flat)" in caplog.text, "those of the earlier run count"
    assert again == {**rows, "another": again["another"]}


def test_weights_without_a_fit_answer_without_a_score_and_say_so(model, tmp_path, caplog):
    path, network = model(training=9)
    assert "expected at least 10 training and 5 held-out cases, found 9 and 30" in caplog.text
    assert not familiarity_file(path).exists()
    rows, contents = run(tmp_path / "out", path, network, {"usual": image(500)})
    assert rows["usual"]["familiarity"] == rows["usual"]["unlike_training"] == ""
    assert contents["usual"]["familiarity"] is None
    assert "model.familiarity.pt is not there" in caplog.text


def test_a_fit_that_was_asked_for_needs_enough_cases(model):
    with pytest.raises(NoDataError, match="expected at least 10 training and 5 held-out cases, found 60 and 4"):
        model(held_out=4, required=True)


def test_the_fit_of_other_weights_is_not_used(model, tmp_path, caplog):
    path, network = model()
    save_state(Network(), path)
    rows, _ = run(tmp_path / "out", path, network, {"usual": image(500)})
    assert rows["usual"]["familiarity"] == ""
    assert "belongs to other weights" in caplog.text


def test_a_fit_of_other_statistics_is_not_used(model, caplog, monkeypatch):
    path, _ = model()
    monkeypatch.setattr("common.evaluation.familiarity.STATISTICS", 99)
    assert Familiarity.load(familiarity_file(path), path) is None
    assert "model.familiarity.pt is of another version of this package: run `describing`" in caplog.text


def test_a_damaged_fit_is_named(model):
    path, _ = model()
    file = familiarity_file(path)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(UnusableFileError, match=r"model\.familiarity\.pt: expected the familiarity of model\.pt"):
        Familiarity.load(file, path)


def test_a_fit_with_one_changed_bit_is_named_and_never_another_number(model):
    path, _ = model()
    file = familiarity_file(path)
    whole, known, random = file.read_bytes(), Familiarity.load(file, path), Random(1)
    refused = 0
    for _ in range(40):
        damaged = bytearray(whole)
        damaged[random.randrange(len(whole))] ^= 1 << random.randrange(8)
        file.write_bytes(damaged)
        try:
            found = Familiarity.load(file, path)
        except UnusableFileError as error:
            assert "model.familiarity.pt: expected the familiarity of model.pt" in str(error)
            refused += 1
        else:  # the change is between the values
            assert found[:1] + found[2:] == known[:1] + known[2:]
            for one, other in zip(found.gaussians, known.gaussians, strict=True):
                assert all(torch.equal(value, expected) for value, expected in zip(one, other, strict=True))
    assert refused > 0


def test_the_fit_of_another_network_is_not_used(model, tmp_path, caplog):
    path, _ = model()
    rows, _ = run(tmp_path / "out", path, nn.Sequential(nn.Conv2d(1, 1, 3)), {"usual": image(500)})
    assert rows["usual"]["familiarity"] == ""
    assert "model.familiarity.pt is of another network, with first" in caplog.text


def test_an_image_of_another_number_of_channels_is_unlike(model, tmp_path):
    path, network = model()
    check = FamiliarityCheck(network, path)
    check.start()
    network(image(1)[None])
    (score,) = check.scores([image(1).expand(2, 16, 16)])
    assert check.known.percentile(score) == 100


def test_the_file_holds_plain_tensors_and_is_small(model):
    path, _ = model()
    content = torch.load(familiarity_file(path), weights_only=True)
    assert content["layers"] == ("first",)
    assert familiarity_file(path).stat().st_size < 100_000
