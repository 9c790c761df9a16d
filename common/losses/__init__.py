"""Loss functions of the five papers that MONAI lacks."""

from common.losses.barlow_twins import BarlowTwinsLoss as BarlowTwinsLoss
from common.losses.barlow_twins import barlow_twins_loss as barlow_twins_loss
from common.losses.gather import gather_with_gradient as gather_with_gradient
