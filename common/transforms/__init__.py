"""Transforms of the five papers as array and dictionary pairs."""

from common.transforms.analytic_signal import AnalyticChannels as AnalyticChannels
from common.transforms.analytic_signal import AnalyticChannelsd as AnalyticChannelsd
from common.transforms.analytic_signal import analytic_signal as analytic_signal
from common.transforms.b_mode import BMode as BMode
from common.transforms.check_cine import CheckCine as CheckCine
from common.transforms.check_cine import CheckCined as CheckCined
from common.transforms.cine_corruption import CoverFrames as CoverFrames
from common.transforms.cine_corruption import CoverPatches as CoverPatches
from common.transforms.cine_corruption import LocalPixelShuffle as LocalPixelShuffle
from common.transforms.flow_grid import RestoreFlowd as RestoreFlowd
from common.transforms.flow_grid import RfPairToImaged as RfPairToImaged
from common.transforms.flow_grid import resample_flow as resample_flow
from common.transforms.flow_grid import resample_image as resample_image
from common.transforms.load_cine import LoadCineSection as LoadCineSection
from common.transforms.load_cine import LoadCineSectiond as LoadCineSectiond
from common.transforms.load_cine import cine_section_tensor as cine_section_tensor
from common.transforms.load_cine_patient import LoadCinePatient as LoadCinePatient
from common.transforms.load_rf_pair import LoadRfPaird as LoadRfPaird
from common.transforms.rand_corrupt_cine import RandCorruptCine as RandCorruptCine
from common.transforms.rand_corrupt_cine import RandCorruptCined as RandCorruptCined
from common.transforms.resample_time import ResampleTime as ResampleTime
from common.transforms.resample_time import ResampleTimed as ResampleTimed
from common.transforms.strain import AxialStrain as AxialStrain
from common.transforms.strain import AxialStraind as AxialStraind
from common.transforms.strain import least_squares_slope as least_squares_slope
