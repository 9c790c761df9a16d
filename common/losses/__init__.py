"""Loss functions of the five papers that MONAI lacks."""

from common.losses.elastography import ElastographyLoss as ElastographyLoss
from common.losses.elastography import ElastographyTerms as ElastographyTerms
from common.losses.elastography import charbonnier as charbonnier
from common.losses.elastography import reliable_pixels as reliable_pixels
from common.losses.end_point import EndPointLoss as EndPointLoss
from common.losses.end_point import end_point_loss as end_point_loss
from common.losses.end_point import slope_loss as slope_loss
from common.losses.weighted_bce import WeightedBCELoss as WeightedBCELoss
from common.losses.weighted_bce import class_weights as class_weights
from common.losses.weighted_bce import class_weights_of as class_weights_of
from common.losses.weighted_bce import weighted_bce_loss as weighted_bce_loss
