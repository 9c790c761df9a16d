"""Where the training of the EF network starts."""

import logging
import os

from ..training.weights import has_start
from .network import EjectionFractionNet, load_echo_weights

logger = logging.getLogger(__name__)


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
