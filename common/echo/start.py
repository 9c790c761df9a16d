"""Where the training of the EF network starts."""

import logging
import os
from pathlib import Path

from .network import EjectionFractionNet, load_echo_weights

logger = logging.getLogger(__name__)


def start_from_echo_weights(
    network: EjectionFractionNet,
    path: str | os.PathLike[str],
    command: str = "pretraining",
    encoder_only: bool = False,
) -> EjectionFractionNet:
    """Return `network` with the fitting tensors of a checkpoint, and log n of m tensors.

    Read are this bundle's weights and the published checkpoints of UniFormer (Kinetics-400), CoReEcho and EchoCoTr.
    Without the file the network stays as it is, and the log says "from scratch" and how to make the file.

    Args:
        network: the network.
        path: the checkpoint.
        command: run id that writes `path`.
        encoder_only: whether the head stays random (the paper's probing and fine-tuning on other data sets).

    Raises:
        UnusableFileError: if the file is there and no encoder tensor fits.
    """
    if not Path(path).is_file():
        logger.info(f"from scratch: {path} is not there (run `{command}` of this bundle, or put a checkpoint there)")
        return network
    head = {name: value.clone() for name, value in network.regressor.state_dict().items()}
    found, total = load_echo_weights(network, path)
    if encoder_only:
        network.regressor.load_state_dict(head)
    logger.info(f"started from {path}: {found} of {total} tensors{', the head random' if encoder_only else ''}")
    return network
