"""Loss functions of the five papers that MONAI lacks."""

from common.losses.barlow_twins import BarlowTwinsLoss as BarlowTwinsLoss
from common.losses.barlow_twins import barlow_twins_loss as barlow_twins_loss
from common.losses.echo_ef import RepresentationRegressionLoss as RepresentationRegressionLoss
from common.losses.gather import gather_with_gradient as gather_with_gradient
from common.losses.rank_n_contrast import RankNContrastLoss as RankNContrastLoss
from common.losses.rank_n_contrast import rank_n_contrast_loss as rank_n_contrast_loss
