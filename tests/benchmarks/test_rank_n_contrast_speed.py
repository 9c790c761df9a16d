"""Rank-N-Contrast, forward and backward, beside a plain loop over its definition."""

from functools import partial

import pytest
import torch

from common.echo import rank_n_contrast_loss
from tests.benchmarks.clock import side_by_side

pytestmark = pytest.mark.benchmark


def plain_loop(features, labels, temperature=1.0):
    """One masked sum for every anchor and positive."""
    count = len(features)
    logits = -torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist") / temperature
    total = torch.zeros((), dtype=features.dtype)
    for anchor in range(count):
        others = torch.arange(count) != anchor
        reach = (labels - labels[anchor]).abs()[others]
        row = logits[anchor][others]
        for positive in range(count - 1):
            total = total + row[reach >= reach[positive]].logsumexp(0) - row[positive]
    return total / (count * (count - 1))


def published(features, labels):
    """The authors' way: a loop over positives, a masked sum for all anchors in each."""
    count = len(features)
    beside = ~torch.eye(count, dtype=torch.bool)
    logits = -(features[:, None] - features[None]).norm(2, dim=-1)
    logits = (logits - logits.amax(1, keepdim=True).detach())[beside].view(count, count - 1)
    reach = (labels[:, None] - labels[None]).abs()[beside].view(count, count - 1)
    similarities = logits.exp()
    total = torch.zeros(())
    for positive in range(count - 1):
        negatives = (reach >= reach[:, positive : positive + 1]).float()
        total = total - (logits[:, positive] - (negatives * similarities).sum(1).log()).sum()
    return total / (count * (count - 1))


def step(loss, features, labels):
    features.grad = None
    value = loss(features, labels)
    value.backward()
    return value.item(), features.grad


def batch(count):
    generator = torch.Generator().manual_seed(count)
    features = torch.randn(count, 512, generator=generator).requires_grad_()
    return features, (torch.rand(count, generator=generator) * 60 + 15).round()


@pytest.mark.parametrize("count", [64, 128, 256, 512])
def test_step_beside_the_published_loop(benchmark, count):
    features, labels = batch(count)
    benchmark.pedantic(step, (rank_n_contrast_loss, features, labels), rounds=5, warmup_rounds=1)
    compared = (partial(step, loss, features, labels) for loss in (published, rank_n_contrast_loss))
    benchmark.extra_info |= side_by_side(*compared, rounds=3)
    for reference in (published, plain_loop) if count == 64 else (published,):
        expected = step(reference, features, labels)
        found = step(rank_n_contrast_loss, features, labels)
        assert found[0] == pytest.approx(expected[0], rel=1e-5)
        torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=1e-5 * expected[1].abs().max().item())


def test_memory_grows_with_the_square_of_the_batch(benchmark):
    """The largest tensor kept for the backward pass, by the sizes that autograd saves."""

    def saved_bytes(count):
        sizes = []

        def pack(tensor):
            sizes.append(tensor.untyped_storage().nbytes())
            return tensor

        features, labels = batch(count)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            rank_n_contrast_loss(features, labels)
        return sum(sizes)

    benchmark.pedantic(saved_bytes, (512,), rounds=1)
    growth = saved_bytes(1024) / saved_bytes(512)
    benchmark.extra_info["growth_when_doubled"] = growth
    benchmark.extra_info["saved_megabytes_at_1024"] = saved_bytes(1024) / 2**20
    assert growth < 4.5
