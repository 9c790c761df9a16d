"""Ejection fraction from a clip: a UniFormer encoder and a shallow head, readable from three published checkpoints."""

import argparse
import logging
import os
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..errors import UnusableFileError
from ..training.precision import without_bfloat16
from ..training.weights import has_start, read_checkpoint, unfilled_parts
from .uniformer import UNIFORMER_SMALL_DEPTHS, UNIFORMER_SMALL_WIDTHS, UniFormer

logger = logging.getLogger(__name__)

# The first bias of the last layer: the mean EF of EchoNet-Dynamic's training cases, in percent.
MEAN_EF_PERCENT = 55.6


class EjectionFractionNet(nn.Module):
    """Return one number for a clip, by default the EF in percent: (B, C, T, H, W) to (B, 1).

    Args:
        in_channels, depths, widths, head_width, dropout: of the encoder, see :class:`UniFormer`.
        head: "mlp", the paper's BN-dropout-linear-BN-GELU-dropout-linear, or "linear", EchoCoTr's one layer.
        head_dropout: before each linear layer of the "mlp" head, in [0, 1).
        initial_output: bias of the last layer at the start (55.6 % is EchoNet's mean; 0 suits a logit).

    Raises:
        ValueError: if `head` is another word.

    References:
        Maani et al., CoReEcho, MICCAI 2024, https://arxiv.org/abs/2403.10164 (section 2.1)
        Muhtaseb and Yaqub, EchoCoTr, MICCAI 2022, https://arxiv.org/abs/2209.04242

    Example:
        >>> import torch
        >>> from common.echo import EjectionFractionNet
        >>> network = EjectionFractionNet(depths=(1, 1, 1, 1), widths=(8, 16, 32, 64), head_width=16).eval()
        >>> network(torch.zeros(1, 3, 8, 32, 32)).shape
        torch.Size([1, 1])
    """

    def __init__(
        self,
        in_channels: int = 3,
        depths: Sequence[int] = UNIFORMER_SMALL_DEPTHS,
        widths: Sequence[int] = UNIFORMER_SMALL_WIDTHS,
        head_width: int = 64,
        dropout: float = 0.1,
        head: str = "mlp",
        head_dropout: float = 0.4,
        initial_output: float = MEAN_EF_PERCENT,
    ) -> None:
        super().__init__()
        self.encoder = UniFormer(in_channels, depths, widths, head_width, dropout=dropout)
        self.regressor = _head(head, self.encoder.out_channels, head_dropout)
        nn.init.constant_(self.regressor[-1].get_parameter("bias"), initial_output)

    def forward(self, image: Tensor) -> Tensor:
        """Return the head's number for each clip."""
        features = self.encoder(image)
        if torch.jit.is_scripting():
            return self.regressor(features)
        with without_bfloat16(self, features.device.type):  # which counts by .25 at an EF of 55
            return self.regressor(features)


class WithFeatures(nn.Module):
    """Return the prediction and the features of a network with an encoder and a regressor.

    Args:
        network: the network, which is shared, not copied.
        stop_gradient: whether the head's loss is kept from the encoder (SG of the paper's eq. 1).
        freeze_encoder: whether the encoder is evaluated without gradient and in evaluation mode (the paper's stage 2
            and its probing): running means stay, dropout is off.
    """

    def __init__(self, network: EjectionFractionNet, stop_gradient: bool = True, freeze_encoder: bool = False) -> None:
        super().__init__()
        self.network = network
        self.stop_gradient = stop_gradient
        self.freeze_encoder = freeze_encoder
        if freeze_encoder:
            network.encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> "WithFeatures":
        """Set the mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.freeze_encoder:
            self.network.encoder.eval()
        return self

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, 1) predictions and (B, F) features."""
        features = self.network.encoder(image)
        return self.network.regressor(features.detach() if self.stop_gradient else features), features


def load_echo_weights(network: nn.Module, path: str | os.PathLike[str]) -> tuple[int, int]:
    """Copy every fitting tensor of a checkpoint into `network`; return how many of its tensors were found, and its all.

    Read are, with or without a `module.` prefix: the Kinetics-400 UniFormer (bare state dict with a class head), the
    form of CoReEcho (`model`, `regressor`), that of EchoCoTr (`state_dict`), and plain state dicts of ours.

    Args:
        network: :class:`EjectionFractionNet` of the checkpoint's size.
        path: the file; it is opened with `weights_only=True`.

    Raises:
        UnusableFileError: if the file is no checkpoint, or no encoder tensor fits.
    """
    content = read_checkpoint(path, [argparse.Namespace])  # the options that CoReEcho stores beside
    found = published_to_ours(content)
    own = network.state_dict()
    fitting = {name: value for name, value in found.items() if name in own and value.shape == own[name].shape}
    if not any(name.startswith("encoder.") for name in fitting):
        raise UnusableFileError(
            f"{path}: expected the tensors of a UniFormer such as 'patch_embed1.proj.weight' in this network's sizes, "
            f"found {sorted(found)[:3]}; set depths and widths in network_def as the checkpoint has them."
        )
    network.load_state_dict(fitting, strict=False)
    if left := unfilled_parts(own, found):
        logger.info(f"{path}: not filled: {left}")
    return len(fitting), len(own)


def published_to_ours(checkpoint: Mapping[str, object]) -> dict[str, Tensor]:
    """Return the tensors of a published checkpoint under the names of :class:`EjectionFractionNet`.

    A class head of 400 outputs has no counterpart and is left out; EchoCoTr's head of one output becomes the "linear"
    head.
    """
    if isinstance(checkpoint.get("model"), Mapping) and isinstance(checkpoint.get("regressor"), Mapping):
        head = {_bare(name).removeprefix("regressor."): value for name, value in _tensors(checkpoint["regressor"])}
        return _encoder_names(checkpoint["model"]) | {f"regressor.{name}": value for name, value in head.items()}
    for wrapper in ("state_dict", "model_state", "model"):
        if isinstance(checkpoint.get(wrapper), Mapping):
            return _encoder_names(checkpoint[wrapper])
    return _encoder_names(checkpoint)


def _head(kind: str, features: int, dropout: float) -> nn.Sequential:
    if kind == "linear":
        return nn.Sequential(nn.Linear(features, 1))
    if kind != "mlp":
        raise ValueError(f"head: expected 'mlp' or 'linear', found {kind!r}")
    return nn.Sequential(
        nn.BatchNorm1d(features),
        nn.Dropout(dropout),
        nn.Linear(features, features),
        nn.BatchNorm1d(features),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(features, 1),
    )


def _encoder_names(entries: object) -> dict[str, Tensor]:
    names: dict[str, Tensor] = {}
    for name, value in _tensors(entries):
        bare = _bare(name)
        if bare.startswith(("encoder.", "regressor.")):
            names[bare] = value
        elif bare.startswith("head."):
            names[bare.replace("head.", "regressor.0.", 1)] = value
        else:
            names[f"encoder.{bare}"] = value
    return names


def _tensors(entries: object) -> list[tuple[str, Tensor]]:
    mapping = entries if isinstance(entries, Mapping) else {}
    return [(str(name), value) for name, value in mapping.items() if isinstance(value, Tensor)]


def _bare(name: str) -> str:
    return name.removeprefix("module.")


def start_from_echo_weights(
    network: EjectionFractionNet,
    path: str | os.PathLike[str] | None,
    model_dir: str | os.PathLike[str] = "",
    encoder_only: bool = False,
) -> EjectionFractionNet:
    """Return `network` with the fitting tensors of a checkpoint, and log n of m tensors.

    Read are this bundle's weights and the published checkpoints of UniFormer (Kinetics-400), CoReEcho and EchoCoTr.

    Args:
        network: the network.
        path: the checkpoint; empty, None or "none" where no start is wanted.
        model_dir: folder of the bundle's weights: where its `pretrained.pt` is not there, the start is from scratch.
        encoder_only: whether the head stays random (the paper's probing and fine-tuning on other data sets).

    Raises:
        FileNotFoundError: if another `path` is not there.
        UnusableFileError: if the file is there and no encoder tensor fits.
    """
    if not path or not has_start(path, model_dir):
        return network
    head = {name: value.clone() for name, value in network.regressor.state_dict().items()}
    found, total = load_echo_weights(network, path)
    if encoder_only:
        network.regressor.load_state_dict(head)
    logger.info(f"started from {path}: {found} of {total} tensors{', the head random' if encoder_only else ''}")
    return network
