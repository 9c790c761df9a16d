"""Networks of the five papers, readable from their published checkpoints by key."""

from common.networks.cost_volume import cost_volume as cost_volume
from common.networks.liteflownet import LiteFlowNet as LiteFlowNet
from common.networks.liteflownet import LiteFlowNetLevels as LiteFlowNetLevels
from common.networks.liteflownet import liteflownet_state_dict as liteflownet_state_dict
from common.networks.restoration_net import CineClassifier as CineClassifier
from common.networks.restoration_net import CineRestorationNet as CineRestorationNet
from common.networks.restoration_net import RestorationEncoder as RestorationEncoder
from common.networks.warping import warp as warp
