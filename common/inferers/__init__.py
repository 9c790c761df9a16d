"""Ways from a network to the answer for a whole case that MONAI lacks."""

from common.inferers.flipped_slices import FlippedSliceInferer as FlippedSliceInferer
from common.inferers.vote import VotingInferer as VotingInferer
from common.inferers.vote import vote as vote
