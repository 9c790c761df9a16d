"""The loss of CoReEcho: Rank-N-Contrast, which orders features as the labels, and L1 beside it."""

import torch
from torch import Tensor, nn

from ..training.gather import gather_with_gradient

_LARGEST_EXPONENT = 600.0  # exp(-708) is the smallest number of float64


def rank_n_contrast_loss(features: Tensor, labels: Tensor, temperature: float = 1.0) -> Tensor:
    """Return how badly distances between features are ordered as the distances between their labels.

    For an anchor n and another sample m, the negatives are all l other than n whose label is at least as far from n's
    as m's is (m itself included): the mean over all pairs of -log(s(n, m) / sum_l s(n, l)), s = exp(-L2 / temperature).
    Each anchor's row is sorted by label distance once and summed once, so that the time grows as B^2 log B and the
    memory as B^2. Computed in float32 at least, whatever the type of the features.

    Args:
        features: (B, F), one row a clip.
        labels: (B,) or (B, K); several numbers a label are compared by L1.
        temperature: tau, positive.

    Raises:
        ValueError: if the lengths differ, B < 2, or the temperature is not positive.

    References:
        Zha et al., Rank-N-Contrast, NeurIPS 2023, https://arxiv.org/abs/2210.01189 (eq. 1 and 2)
        Maani et al., CoReEcho, MICCAI 2024, https://arxiv.org/abs/2403.10164 (eq. 1)

    Example:
        >>> import torch
        >>> from common.echo import rank_n_contrast_loss
        >>> features, ef_percent = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([30.0, 35.0, 60.0])
        >>> bool(rank_n_contrast_loss(features, ef_percent) < rank_n_contrast_loss(features[[2, 0, 1]], ef_percent))
        True
    """
    _check(features, labels, temperature)
    with torch.autocast(features.device.type, enabled=False):
        exact = features if features.dtype == torch.float64 else features.float()
        logits = -_without_diagonal(_distances(exact)) / temperature
        return (_log_sums_over_negatives(logits, _label_distances(labels)) - logits).mean()


class RankNContrastLoss(nn.Module):
    """Module form of :func:`rank_n_contrast_loss`, over the clips of all processes.

    Args:
        temperature: tau, positive.
        gather: whether features and labels of all processes are compared with each other.
    """

    def __init__(self, temperature: float = 1.0, gather: bool = True) -> None:
        super().__init__()
        self.temperature = temperature
        self.gather = gather

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of (B, F) features with (B,) or (B, K) labels."""
        if self.gather:
            features, labels = gather_with_gradient(features), gather_with_gradient(labels)
        return rank_n_contrast_loss(features, labels, self.temperature)


def _log_sums_over_negatives(logits: Tensor, label_distances: Tensor) -> Tensor:
    """Return, in the order of the columns, the log of the sum of exp(logits) over columns at least as far."""
    farthest_first, order = label_distances.sort(dim=1, descending=True)
    running = _log_running_sums(logits.gather(1, order))
    # Equal distances are negatives of each other: all take the sum at the end of their run.
    nearness = -farthest_first
    last_of_run = torch.searchsorted(nearness, nearness, right=True) - 1
    return torch.empty_like(logits).scatter(1, order, running.gather(1, last_of_run))


def _log_running_sums(logits: Tensor) -> Tensor:
    """Return `logcumsumexp` along rows; on a CPU by plain sums, many times as fast, if float64 holds all summands."""
    largest = logits.detach().amax(1, keepdim=True)
    if logits.device.type != "cpu" or bool((largest - logits.detach()).max() > _LARGEST_EXPONENT):
        return logits.logcumsumexp(dim=1)
    return (logits - largest).double().exp().cumsum(1).log().to(logits.dtype) + largest


def _distances(features: Tensor) -> Tensor:
    """Return (B, B) distances, whose digits a product of float64 matrices keeps for close pairs, too."""
    centred = features.double()
    centred = centred - centred.detach().mean(0)
    powers = centred.square().sum(1)
    squares = powers[:, None] + powers - 2 * centred @ centred.mT
    # Features alike up to their own rounding are at distance 0 and have no direction in which to part.
    equal = squares.detach() <= torch.finfo(features.dtype).eps ** 2 * (powers[:, None] + powers).detach()
    return squares.masked_fill(equal, 1.0).sqrt().masked_fill(equal, 0.0).to(features.dtype)


def _label_distances(labels: Tensor) -> Tensor:
    columns = labels.detach().flatten(1) if labels.ndim > 1 else labels.detach()[:, None]
    if not columns.is_floating_point():
        columns = columns.double()
    elif columns.dtype in (torch.float16, torch.bfloat16):
        columns = columns.float()
    return _without_diagonal((columns[:, None] - columns[None]).abs().sum(2))


def _without_diagonal(square: Tensor) -> Tensor:
    """Return the (B, B - 1) entries beside the diagonal, each row in its order."""
    count = len(square)
    return square.flatten()[1:].view(count - 1, count + 1)[:, :-1].reshape(count, count - 1)


def _check(features: Tensor, labels: Tensor, temperature: float) -> None:
    if features.ndim != 2 or len(features) != len(labels) or len(features) < 2:
        raise ValueError(
            "features, labels: expected (B, F) features and B labels of at least two clips, found shapes "
            f"{tuple(features.shape)} and {tuple(labels.shape)}"
        )
    if temperature <= 0:
        raise ValueError(f"temperature: expected a positive number, found {temperature}")


class RepresentationRegressionLoss(nn.Module):
    """Return the Rank-N-Contrast loss of the features plus the L1 loss of the predictions.

    The network that gives both, :class:`common.echo.WithFeatures`, decides with its `stop_gradient` whether the
    L1 loss reaches the encoder. With a contrast weight of 0 and no stop-gradient it is EchoCoTr's L1 training; with
    a contrast weight of 0 and a frozen encoder it is the paper's second stage.

    Args:
        contrast_weight: factor of the Rank-N-Contrast loss, not negative; at 0 it is not computed.
        temperature: of the Rank-N-Contrast loss, positive.
        gather: whether the contrast goes over the clips of all processes.

    Raises:
        ValueError: if `contrast_weight` is negative.

    References:
        Maani et al., CoReEcho, MICCAI 2024, https://arxiv.org/abs/2403.10164 (eq. 1 and 2)

    Example:
        >>> import torch
        >>> from common.echo import RepresentationRegressionLoss
        >>> outputs = torch.tensor([[50.0], [60.0]]), torch.zeros(2, 8)
        >>> float(RepresentationRegressionLoss()(outputs, torch.tensor([55.0, 55.0])))  # L1; two clips are in order
        5.0
    """

    def __init__(self, contrast_weight: float = 1.0, temperature: float = 1.0, gather: bool = True) -> None:
        super().__init__()
        if contrast_weight < 0:
            raise ValueError(f"contrast_weight: expected a number of at least 0, found {contrast_weight}")
        self.contrast_weight = contrast_weight
        self.contrast = RankNContrastLoss(temperature, gather)
        self.distance = nn.L1Loss()

    def forward(self, outputs: tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
        """Return the loss of ((B, 1) predictions, (B, F) features) for (B,) or (B, 1) labels, EF in percent."""
        predictions, features = outputs
        loss = self.distance(predictions.float().flatten(), labels.float().flatten())
        if self.contrast_weight:
            loss = loss + self.contrast_weight * self.contrast(features, labels)
        return loss


class PredictionLoss(nn.Module):
    """Return a loss of the predictions alone, for networks that give (predictions, features).

    Args:
        loss: of (B,) predictions and (B,) labels: mean squared error on CAMUS, cross-entropy with logits on HMC-QU.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, outputs: tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
        """Return the loss of ((B, 1) predictions, (B, F) features) for (B,) or (B, 1) labels."""
        return self.loss(outputs[0].float().flatten(), labels.float().flatten())
