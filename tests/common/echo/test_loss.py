import math

import numpy as np
import pytest
import torch

from common.echo import PredictionLoss, RankNContrastLoss, RepresentationRegressionLoss, rank_n_contrast_loss
from tests.common.training.two_processes import run_in_two_processes
from tests.golden_recipe import noise_image

# n, width, seed, temperature, loss and 2-norm of the gradient by the published code, float64.
GOLDEN = [
    (8, 16, 31, 1.0, 2.3050087412476943, 0.15365816660632065),
    (16, 512, 32, 2.0, 2.8686175539446643, 0.04064613909162266),
]


def plain_loss(features, labels, temperature):
    """The definition as loops: -log of s(n, m) over the sum of s(n, l), l at least as far from n in label as m."""
    total, count = 0.0, len(features)
    for n in range(count):
        similarity = [math.exp(-math.dist(features[n], features[m]) / temperature) for m in range(count)]
        for m in range(count):
            if m == n:
                continue
            reach = abs(labels[n] - labels[m])
            negatives = [l for l in range(count) if l != n and abs(labels[n] - labels[l]) >= reach]  # noqa: E741
            total -= math.log(similarity[m] / sum(similarity[l] for l in negatives))  # noqa: E741
    return total / (count * (count - 1))


@pytest.mark.parametrize(("count", "width", "seed", "temperature", "loss", "gradient"), GOLDEN)
def test_gives_the_published_loss_and_gradient(count, width, seed, temperature, loss, gradient):
    views = torch.from_numpy(noise_image((count, 2, width), seed) * 4).double()
    labels = torch.from_numpy(np.round(noise_image((count, 1), seed + 1) * 10) * 5 + 20).double()
    features = torch.cat([views[:, 0], views[:, 1]]).requires_grad_()
    found = rank_n_contrast_loss(features, labels.repeat(2, 1), temperature)
    found.backward()
    assert found.item() == pytest.approx(loss, rel=1e-6)
    assert features.grad.norm().item() == pytest.approx(gradient, rel=1e-6)


@pytest.mark.parametrize("distinct_labels", [1, 2, 4, 50])
def test_is_the_definition_also_with_ties(distinct_labels):
    rng = np.random.default_rng(distinct_labels)
    features, labels = rng.normal(size=(11, 3)), rng.integers(0, distinct_labels, 11).astype(float)
    found = rank_n_contrast_loss(torch.from_numpy(features), torch.from_numpy(labels), 0.7)
    assert found.item() == pytest.approx(plain_loss(features, labels, 0.7), rel=1e-9)


def test_of_equal_labels_and_equal_features_is_the_log_of_the_others():
    # Every other sample is a negative at the same distance: -log(1 / (B - 1)).
    found = rank_n_contrast_loss(torch.ones(6, 4), torch.full((6,), 55.0))
    assert found.item() == pytest.approx(math.log(5), rel=1e-6)


def test_of_a_collapsed_batch_is_the_mean_log_rank():
    # Two views of 16 distinct labels, all features equal: the value that training starts from.
    labels = torch.arange(16.0).repeat(2) ** 2
    ranks = [
        int(((labels - labels[n]).abs() >= (labels[m] - labels[n]).abs()).sum()) - int(labels[n] == labels[m])
        for n in range(32)
        for m in range(32)
        if m != n
    ]
    found = rank_n_contrast_loss(torch.zeros(32, 8), labels)
    assert found.item() == pytest.approx(np.log(ranks).mean(), rel=1e-6)


@pytest.mark.parametrize("relabel", [lambda t: t + 5, lambda t: 3 * t, lambda t: -t], ids=["shift", "scale", "flip"])
def test_sees_labels_only_through_the_order_of_their_distances(relabel):
    features, labels = torch.randn(9, 4, generator=torch.Generator().manual_seed(3)), torch.arange(9.0) ** 2
    torch.testing.assert_close(rank_n_contrast_loss(features, relabel(labels)), rank_n_contrast_loss(features, labels))


def test_falls_when_features_follow_the_labels():
    labels = torch.linspace(20, 70, 12)
    ordered, shuffled = (
        labels[:, None] / 5,
        labels[torch.randperm(12, generator=torch.Generator().manual_seed(0)), None],
    )
    assert rank_n_contrast_loss(ordered, labels) < rank_n_contrast_loss(shuffled / 5, labels) / 2


def test_has_the_gradient_of_its_value():
    labels = torch.tensor([20.0, 20.0, 35.0, 50.0, 50.0, 60.0])
    features = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: rank_n_contrast_loss(f, labels, 1.3), features)


def test_is_finite_for_equal_views_and_far_clips():
    features = torch.tensor([[0.0, 0.0], [0.0, 0.0], [900.0, 0.0], [0.0, 3000.0]], requires_grad=True)
    loss = rank_n_contrast_loss(features, torch.tensor([20.0, 20.0, 50.0, 70.0]))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(features.grad).all()


def test_keeps_the_digits_of_close_clips_far_from_the_origin():
    # Two clips a thousandth apart, a thousand from the origin: an even step in float32, so the distance is exact.
    features = torch.full((3, 1), 1000.0)
    features[1] += 2**-10
    features[2] += 5
    found = rank_n_contrast_loss(features, torch.tensor([20.0, 50.0, 50.0]))
    assert found.item() == pytest.approx(plain_loss(features.numpy(), [20.0, 50.0, 50.0], 1.0), rel=1e-6)


def test_is_the_definition_where_similarities_are_no_numbers_any_more():
    # exp(-900) is 0 in float64. Of anchor 1, clip 2 is nearer in label than clip 0 but 1,998 farther in features.
    features, labels = torch.tensor([[0.0], [1.0], [2000.0]]), torch.tensor([0.0, 2.0, 3.0])
    pairs = {(0, 1): 0.0, (0, 2): 0.0, (1, 0): 0.0, (1, 2): 1999.0 - 1.0, (2, 0): 0.0, (2, 1): math.log1p(math.exp(-1))}
    assert rank_n_contrast_loss(features, labels).item() == pytest.approx(sum(pairs.values()) / 6, rel=1e-6)


def test_is_computed_exactly_under_mixed_precision():
    features = torch.randn(8, 16, generator=torch.Generator().manual_seed(5))
    labels = torch.arange(8.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = rank_n_contrast_loss(features, labels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, rank_n_contrast_loss(features, labels))
    half = rank_n_contrast_loss(features.bfloat16(), labels)
    assert half.dtype == torch.float32 and half.item() == pytest.approx(found.item(), rel=1e-2)


def test_names_what_does_not_fit():
    with pytest.raises(ValueError, match=r"found shapes \(3, 4\) and \(2,\)"):
        rank_n_contrast_loss(torch.zeros(3, 4), torch.zeros(2))
    with pytest.raises(ValueError, match="at least two clips"):
        rank_n_contrast_loss(torch.zeros(1, 4), torch.zeros(1))
    with pytest.raises(ValueError, match="temperature: expected a positive number, found 0"):
        RankNContrastLoss(temperature=0)(torch.zeros(3, 4), torch.zeros(3))


def _encoder_gradient(rank, features, labels, world_size):
    torch.manual_seed(0)
    encoder = torch.nn.Linear(5, 4, dtype=torch.float64)
    if world_size > 1:
        encoder = torch.nn.parallel.DistributedDataParallel(encoder)
    share = slice(rank * len(features) // world_size, (rank + 1) * len(features) // world_size)
    RankNContrastLoss()(encoder(features[share]), labels[share]).backward()
    return next(encoder.parameters()).grad


@pytest.mark.slow
def test_has_the_gradient_of_the_whole_batch_in_two_processes(tmp_path):
    generator = torch.Generator().manual_seed(4)
    features, labels = torch.randn(8, 5, dtype=torch.float64, generator=generator), torch.arange(8.0) ** 2
    alone = _encoder_gradient(0, features, labels, 1)
    for gradient in run_in_two_processes(_encoder_gradient, tmp_path, features, labels, 2):
        torch.testing.assert_close(gradient, alone)


def outputs_and_labels():
    generator = torch.Generator().manual_seed(2)
    labels = torch.tensor([20.0, 35.0, 50.0, 65.0])
    return (labels[:, None] + 3, torch.randn(4, 6, generator=generator)), labels


def test_adds_the_contrast_of_features_to_the_distance_of_predictions():
    (predictions, features), labels = outputs_and_labels()
    found = RepresentationRegressionLoss(contrast_weight=2.0)((predictions, features), labels)
    assert found.item() == pytest.approx(3 + 2 * rank_n_contrast_loss(features, labels).item())


def test_without_contrast_is_the_mean_absolute_error():
    outputs, labels = outputs_and_labels()
    assert RepresentationRegressionLoss(contrast_weight=0)(outputs, labels[:, None]).item() == pytest.approx(3)


def test_with_one_optimizer_steps_as_with_the_papers_two():
    """The encoder's gradient comes from the contrast alone, the head's from the L1 alone: one AdamW does for both."""
    ends = []
    for separate in (True, False):
        torch.manual_seed(0)
        encoder, head = torch.nn.Linear(5, 4), torch.nn.Linear(4, 1)
        groups = [list(encoder.parameters()), list(head.parameters())]
        optimizers = [torch.optim.AdamW(g, 1e-2) for g in (groups if separate else [groups[0] + groups[1]])]
        images, labels = torch.randn(8, 5), torch.arange(8.0)
        for _ in range(3):
            features = encoder(images)
            predictions = head(features.detach())
            for optimizer in optimizers:
                optimizer.zero_grad()
            if separate:
                rank_n_contrast_loss(features, labels).backward()
                optimizers[0].step()
                torch.nn.functional.l1_loss(predictions.flatten(), labels).backward()
                optimizers[1].step()
            else:
                RepresentationRegressionLoss()((predictions, features), labels).backward()
                optimizers[0].step()
        ends.append([*encoder.state_dict().values(), *head.state_dict().values()])
    for first, second in zip(*ends, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_refuses_a_negative_weight():
    with pytest.raises(ValueError, match="contrast_weight: expected a number of at least 0, found -1"):
        RepresentationRegressionLoss(contrast_weight=-1)


def test_takes_the_predictions_alone():
    outputs, labels = outputs_and_labels()
    assert PredictionLoss(torch.nn.MSELoss())(outputs, labels[:, None]).item() == pytest.approx(9)
