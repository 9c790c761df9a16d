"""The first stage's loss of CoReEcho, and its L1-only baseline."""

from torch import Tensor, nn

from .rank_n_contrast import RankNContrastLoss


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
