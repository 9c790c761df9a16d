"""Networks of the five papers, readable from their published checkpoints by key."""

from common.networks.keypoint_unet import BACKBONES as BACKBONES
from common.networks.keypoint_unet import BarlowTwinsEncoder as BarlowTwinsEncoder
from common.networks.keypoint_unet import KeypointUNet as KeypointUNet
from common.networks.mobilenet_v2 import MobileNetV2Encoder as MobileNetV2Encoder
