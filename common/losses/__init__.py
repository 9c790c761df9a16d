"""Loss functions of the five papers that MONAI lacks."""

from common.losses.barlow_twins import BarlowTwinsLoss as BarlowTwinsLoss
from common.losses.barlow_twins import barlow_twins_loss as barlow_twins_loss
from common.losses.barlow_twins import embedding_row as embedding_row
from common.losses.barlow_twins import held_out_barlow_twins as held_out_barlow_twins
from common.losses.elastography import ElastographyLoss as ElastographyLoss
from common.losses.elastography import ElastographyTerms as ElastographyTerms
from common.losses.elastography import charbonnier as charbonnier
from common.losses.elastography import reliable_pixels as reliable_pixels
from common.losses.end_point import EndPointLoss as EndPointLoss
from common.losses.end_point import end_point_loss as end_point_loss
from common.losses.end_point import slope_loss as slope_loss
from common.losses.heat_map_loss import HeatMapLoss as HeatMapLoss
from common.losses.heat_map_loss import heat_map_loss as heat_map_loss
