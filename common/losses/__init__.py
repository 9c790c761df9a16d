"""Loss functions of the five papers that MONAI lacks."""

from common.losses.lesion import LesionLoss as LesionLoss
from common.losses.lesion import batch_dice_loss as batch_dice_loss
from common.losses.lesion import focal_loss as focal_loss
