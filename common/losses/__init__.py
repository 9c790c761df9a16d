"""Loss functions of the five papers that MONAI lacks."""

from common.losses.lesion import LesionLoss as LesionLoss
from common.losses.lesion import batch_dice_loss as batch_dice_loss
from common.losses.lesion import focal_loss as focal_loss
from common.losses.weighted_bce import WeightedBCELoss as WeightedBCELoss
from common.losses.weighted_bce import class_weights as class_weights
from common.losses.weighted_bce import class_weights_of as class_weights_of
from common.losses.weighted_bce import weighted_bce_loss as weighted_bce_loss
