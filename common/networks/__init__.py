"""Networks of the five papers, readable from their published checkpoints by key."""

from common.networks.ejection_fraction import EjectionFractionNet as EjectionFractionNet
from common.networks.ejection_fraction import WithFeatures as WithFeatures
from common.networks.ejection_fraction import load_echo_weights as load_echo_weights
from common.networks.group_norm import group_normalised as group_normalised
from common.networks.restoration_net import CineClassifier as CineClassifier
from common.networks.restoration_net import CineRestorationNet as CineRestorationNet
from common.networks.restoration_net import RestorationEncoder as RestorationEncoder
from common.networks.uniformer import UniFormer as UniFormer
