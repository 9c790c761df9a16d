"""Transforms of the five papers as array and dictionary pairs."""

from common.transforms.adc_pair import CheckAdcPair as CheckAdcPair
from common.transforms.adc_pair import CheckAdcPaird as CheckAdcPaird
from common.transforms.adc_pair import NormalizeAdcPair as NormalizeAdcPair
from common.transforms.adc_pair import NormalizeAdcPaird as NormalizeAdcPaird
from common.transforms.carvemix import CarveMix as CarveMix
from common.transforms.carvemix import CarveMixPrepareBatch as CarveMixPrepareBatch
from common.transforms.label_aware_noise import LabelAwareNoise as LabelAwareNoise
from common.transforms.label_aware_noise import LabelAwareNoised as LabelAwareNoised
from common.transforms.lesion_region import region_of_interest as region_of_interest
from common.transforms.lesion_region import sample_reach_fraction as sample_reach_fraction
from common.transforms.load_cine import LoadCineSection as LoadCineSection
from common.transforms.load_cine import LoadCineSectiond as LoadCineSectiond
from common.transforms.load_volume import LoadVolumed as LoadVolumed
from common.transforms.slice_size import FitSliced as FitSliced
from common.transforms.slice_size import fit_slices as fit_slices
from common.transforms.slice_size import unfit_slices as unfit_slices
