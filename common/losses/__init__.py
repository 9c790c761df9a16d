"""Loss functions of the five papers that MONAI lacks."""

from common.losses.barlow_twins import BarlowTwinsLoss as BarlowTwinsLoss
from common.losses.barlow_twins import barlow_twins_loss as barlow_twins_loss
from common.losses.barlow_twins import embedding_row as embedding_row
from common.losses.barlow_twins import held_out_barlow_twins as held_out_barlow_twins
from common.losses.heat_map_loss import HeatMapLoss as HeatMapLoss
from common.losses.heat_map_loss import heat_map_loss as heat_map_loss
