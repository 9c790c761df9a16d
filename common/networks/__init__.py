"""Networks of the five papers, readable from their published checkpoints by key."""

from common.networks.ternausnet import TernausNet as TernausNet
from common.networks.ternausnet import load_ternausnet_weights as load_ternausnet_weights
