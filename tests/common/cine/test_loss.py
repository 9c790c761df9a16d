import math

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from common.cine import WeightedBCELoss, class_weights, class_weights_of, weighted_bce_loss

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
    assert torch.equal(WeightedBCELoss(3.0, 0.5)(LOGITS, labels), expected)


def test_module_takes_class_weights_negative_first():
    expected = weighted_bce_loss(LOGITS, LABELS, 3.0, 0.5)
    assert torch.equal(WeightedBCELoss(class_weights=(0.5, 3.0))(LOGITS, LABELS), expected)


@pytest.mark.parametrize(("logits", "labels"), [((4, 2), (4,)), ((4, 1), (3,)), ((0, 1), (0,))])
def test_refuses_shapes_that_do_not_fit(logits, labels):
    with pytest.raises(ValueError, match=r"\(B, 1\) logits and as many labels, found"):
        weighted_bce_loss(torch.zeros(logits), torch.zeros(labels))


def test_refuses_negative_weights():
    with pytest.raises(ValueError, match="positive_weight=-1"):
        weighted_bce_loss(LOGITS, LABELS, -1)
    with pytest.raises(ValueError, match="at least 0"):
        WeightedBCELoss(1, -2)


@pytest.mark.parametrize("convert", [list, np.array, torch.tensor])
def test_class_weights_are_inverse_frequencies_of_mean_1(convert):
    labels = [1] * 480 + [0] * 895  # the paper's patches
    negative, positive = class_weights(convert(labels))
    assert positive / negative == pytest.approx(895 / 480)
    assert (480 * positive + 895 * negative) / 1375 == pytest.approx(1)
    assert 480 * positive == pytest.approx(895 * negative)


def test_class_weights_refuse_other_labels_and_a_missing_class():
    with pytest.raises(ValueError, match=r"expected 0 and 1, found \[0, 1, 2\]"):
        class_weights([0, 1, 2])
    with pytest.raises(ValueError, match="expected 0 and 1, found"):
        class_weights([0, 1, float("nan")])
    with pytest.raises(ValueError, match="both classes, found 3 of 0 and 0 of 1"):
        class_weights([0, 0, 0])
    with pytest.raises(ValueError, match="both classes, found 0 of 0 and 0 of 1"):
        class_weights([])


def test_class_weights_of_a_datalist_are_those_of_its_labels():
    items = [{"case": "a", "hf": 1}, {"case": "b", "hf": 0.0}, {"case": "c", "hf": np.int64(0)}]
    assert class_weights_of(items, "hf") == class_weights([1, 0, 0]) == (0.75, 1.5)


def test_class_weights_of_a_datalist_name_the_cases_without_label():
    with pytest.raises(ValueError, match="expected a label for every case, found none for 2: b, 2"):
        class_weights_of([{"case": "a", "label": 1}, {"case": "b"}, {"label": None}])
