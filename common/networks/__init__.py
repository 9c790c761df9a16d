"""Networks of the five papers, readable from their published checkpoints by key."""

from common.networks.cost_volume import cost_volume as cost_volume
from common.networks.keypoint_unet import BACKBONES as BACKBONES
from common.networks.keypoint_unet import BarlowTwinsEncoder as BarlowTwinsEncoder
from common.networks.keypoint_unet import KeypointUNet as KeypointUNet
from common.networks.liteflownet import LiteFlowNet as LiteFlowNet
from common.networks.liteflownet import LiteFlowNetLevels as LiteFlowNetLevels
from common.networks.liteflownet import liteflownet_state_dict as liteflownet_state_dict
from common.networks.mobilenet_v2 import MobileNetV2Encoder as MobileNetV2Encoder
from common.networks.warping import warp as warp
