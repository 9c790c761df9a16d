import math

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from common.cine import WeightedBCELoss, class_weights_of, weighted_bce_loss

LOGITS = torch.tensor([[0.3], [-1.2], [2.5], [0.0]], dtype=torch.float64)
LABELS = torch.tensor([[1.0], [0.0], [0.0], [1.0]], dtype=torch.float64)


def test_is_equation_2_written_as_a_loop():
    total = 0.0
    for z, y in zip(LOGITS.ravel().tolist(), LABELS.ravel().tolist(), strict=True):
        prediction = 1 / (1 + math.exp(-z))
        weight = 3.0 if y == 1 else 0.5
        total += weight * (y * math.log(prediction) + (1 - y) * math.log(1 - prediction))
    assert weighted_bce_loss(LOGITS, LABELS, 3.0, 0.5).item() == pytest.approx(-total / 4, rel=1e-12)


def test_weights_of_one_give_the_plain_cross_entropy():
    assert torch.allclose(weighted_bce_loss(LOGITS, LABELS), binary_cross_entropy_with_logits(LOGITS, LABELS))


def test_an_undecided_network_scores_ln_2_times_the_mean_weight():
    loss = weighted_bce_loss(torch.zeros(4, 1), torch.tensor([1, 0, 0, 0]), 2.0, 1.0)
    assert loss.item() == pytest.approx(math.log(2) * 5 / 4)


def test_stays_finite_where_the_sigmoid_is_0_or_1():
    logits = torch.tensor([[1000.0], [-1000.0]], requires_grad=True)
    loss = weighted_bce_loss(logits, torch.tensor([[0.0], [1.0]]), 2.0, 4.0)
    loss.backward()
    assert loss.item() == pytest.approx((4 * 1000 + 2 * 1000) / 2)
    assert logits.grad.ravel().tolist() == pytest.approx([2.0, -1.0])


def test_exchanging_classes_and_weights_changes_nothing():
    assert torch.allclose(weighted_bce_loss(LOGITS, LABELS, 3, 0.5), weighted_bce_loss(-LOGITS, 1 - LABELS, 0.5, 3))


def test_gradient_is_that_of_finite_differences():
    logits = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: weighted_bce_loss(z, LABELS, 3.0, 0.5), logits)


@pytest.mark.parametrize("labels", [LABELS, LABELS.ravel(), LABELS.ravel().long(), LABELS.bool()])
def test_takes_labels_of_any_number_type_with_or_without_channel(labels):
    expected = weighted_bce_loss(LOGITS, LABELS, 3.0, 0.5)
    assert torch.equal(WeightedBCELoss((0.5, 3.0))(LOGITS, labels), expected)


@pytest.mark.parametrize(("logits", "labels"), [((4, 2), (4,)), ((4, 1), (3,)), ((0, 1), (0,))])
def test_refuses_shapes_that_do_not_fit(logits, labels):
    with pytest.raises(ValueError, match=r"\(B, 1\) logits and as many labels, found"):
        weighted_bce_loss(torch.zeros(logits), torch.zeros(labels))


def test_refuses_negative_weights():
    with pytest.raises(ValueError, match="positive_weight=-1"):
        weighted_bce_loss(LOGITS, LABELS, -1)
    with pytest.raises(ValueError, match="at least 0"):
        WeightedBCELoss((-2, 1))


def items(*labels):
    return [{"case": f"p{k}", "label": label} for k, label in enumerate(labels)]


@pytest.mark.parametrize("convert", [int, float, np.int64, bool])
def test_class_weights_are_inverse_frequencies_of_mean_1(convert):
    labels = [1] * 480 + [0] * 895  # the paper's patches
    negative, positive = class_weights_of(items(*map(convert, labels)))
    assert positive / negative == pytest.approx(895 / 480)
    assert (480 * positive + 895 * negative) / 1375 == pytest.approx(1)
    assert 480 * positive == pytest.approx(895 * negative)


def test_class_weights_take_their_key():
    assert class_weights_of([{"hf": 1}, {"hf": 0.0}, {"hf": np.int64(0)}], "hf") == (0.75, 1.5)


@pytest.mark.parametrize("label", [None, 2, float("nan"), "1"])
def test_other_labels_are_refused_with_their_case(label):
    with pytest.raises(ValueError, match=rf"expected 0 or 1 for every case, .* for 1: p1 \({label}\)"):
        class_weights_of(items(0, label, 1))


@pytest.mark.parametrize(("labels", "counts"), [((0, 0, 0), "3 of 0 and 0 of 1"), ((), "0 of 0 and 0 of 1")])
def test_a_missing_class_is_refused(labels, counts):
    with pytest.raises(ValueError, match=f"both classes, found {counts}"):
        class_weights_of(items(*labels))
