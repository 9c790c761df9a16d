"""Loss functions of the five papers that MONAI lacks."""

from common.losses.elastography import ElastographyLoss as ElastographyLoss
from common.losses.elastography import ElastographyTerms as ElastographyTerms
from common.losses.elastography import charbonnier as charbonnier
from common.losses.elastography import reliable_pixels as reliable_pixels
from common.losses.end_point import EndPointLoss as EndPointLoss
from common.losses.end_point import end_point_loss as end_point_loss
