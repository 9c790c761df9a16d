"""Loss functions of the five papers that MONAI lacks."""

from common.losses.end_point import EndPointLoss as EndPointLoss
from common.losses.end_point import end_point_loss as end_point_loss
