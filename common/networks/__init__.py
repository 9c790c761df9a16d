"""Networks of the five papers, readable from their published checkpoints by key."""

from common.networks.group_norm import group_normalised as group_normalised
from common.networks.restoration_net import CineClassifier as CineClassifier
from common.networks.restoration_net import CineRestorationNet as CineRestorationNet
from common.networks.restoration_net import RestorationEncoder as RestorationEncoder
from common.networks.ternausnet import TernausNet as TernausNet
from common.networks.ternausnet import load_ternausnet_weights as load_ternausnet_weights
from common.networks.ternausnet import with_encoder_weights as with_encoder_weights
