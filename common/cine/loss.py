"""The weighted binary cross-entropy of SSLHF, and class weights from a training fold."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import softplus


def weighted_bce_loss(
    logits: Tensor, labels: Tensor, positive_weight: float = 1.0, negative_weight: float = 1.0
) -> Tensor:
    """Return the mean over the batch of w_i times the cross-entropy of sample i (eq. 2), a scalar.

    The mean divides by the number of samples, not by the sum of their weights. Logits stay logits: ln(sigmoid(z)) is
    -softplus(-z), which stays finite where the sigmoid is 0 or 1.

    Args:
        logits: (B, 1) or (B,), before the sigmoid.
        labels: as many as `logits`, 0 to 1, of any number type; (B,) goes with (B, 1).
        positive_weight: w_i of label 1, not negative.
        negative_weight: w_i of label 0, not negative.

    Raises:
        ValueError: for no samples, another number of labels than of logits, or a negative weight.

    References:
        Zhong et al., EMBC 2021, section III.C, eq. 2.

    Example:
        >>> import torch
        >>> from common.cine import weighted_bce_loss
        >>> loss = weighted_bce_loss(torch.zeros(2, 1), torch.tensor([1.0, 0.0]), positive_weight=3.0)
        >>> round(float(loss), 4)  # (3 ln 2 + ln 2) / 2
        1.3863
    """
    if logits.numel() == 0 or logits.shape[0] != logits.numel() or labels.numel() != logits.numel():
        raise ValueError(
            f"expected (B, 1) logits and as many labels, found {tuple(logits.shape)} and {tuple(labels.shape)}"
        )
    if positive_weight < 0 or negative_weight < 0:
        raise ValueError(f"expected weights of at least 0, found {positive_weight=}, {negative_weight=}")
    z, y = logits.reshape(-1), labels.reshape(-1).to(logits)
    return (positive_weight * y * softplus(-z) + negative_weight * (1 - y) * softplus(z)).mean()


class WeightedBCELoss(nn.Module):
    """Module form of :func:`weighted_bce_loss`.

    Args:
        class_weights: of labels 0 and 1, as :func:`class_weights_of` returns them.

    Raises:
        ValueError: for a negative weight.
    """

    def __init__(self, class_weights: Sequence[float] = (1.0, 1.0)) -> None:
        super().__init__()
        self.negative_weight, self.positive_weight = class_weights
        if min(class_weights) < 0:
            raise ValueError(f"class_weights: expected weights of at least 0, found {class_weights}")

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of (B, 1) `logits` and `labels`."""
        return weighted_bce_loss(logits, labels, self.positive_weight, self.negative_weight)


def class_weights_of(
    datalist: Sequence[Mapping[str, Any]], key: str = "label", weigh: bool = True
) -> tuple[float, float]:
    """Return the weights of labels 0 and 1, inversely proportional to the class frequencies, of mean 1 a sample.

    With n of N samples in a class its weight is N / (2 n): both classes weigh N / 2 together.

    Args:
        datalist: items with a label of 0 or 1 each.
        key: entry of the label.
        weigh: False gives both classes a weight of 1, for labels that are no classes.

    Raises:
        ValueError: for an item without a label or with another one (its case is named), or if one class is missing.
    """
    if not weigh:
        return 1.0, 1.0
    labels = [item.get(key) for item in datalist]
    wrong = {str(item.get("case", k)): item.get(key) for k, item in enumerate(datalist) if item.get(key) not in (0, 1)}
    if wrong:
        named = ", ".join(f"{case} ({value})" for case, value in list(wrong.items())[:5])
        raise ValueError(f"{key}: expected 0 or 1 for every case, found something else for {len(wrong)}: {named}")
    positives, negatives = labels.count(1), labels.count(0)
    if not positives or not negatives:
        raise ValueError(
            f"{key}: expected both classes, found {negatives} of 0 and {positives} of 1; check the EF threshold and "
            "the training folds"
        )
    return len(labels) / (2 * negatives), len(labels) / (2 * positives)
