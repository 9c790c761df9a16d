"""Transforms of the five papers as array and dictionary pairs."""

from common.transforms.carvemix import CarveMix as CarveMix
from common.transforms.carvemix import CarveMixPrepareBatch as CarveMixPrepareBatch
from common.transforms.label_aware_noise import LabelAwareNoise as LabelAwareNoise
from common.transforms.label_aware_noise import LabelAwareNoised as LabelAwareNoised
from common.transforms.lesion_region import region_of_interest as region_of_interest
from common.transforms.lesion_region import sample_reach_fraction as sample_reach_fraction
from common.transforms.load_cine import LoadCineSection as LoadCineSection
from common.transforms.load_cine import LoadCineSectiond as LoadCineSectiond
