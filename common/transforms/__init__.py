"""Transforms of the five papers as array and dictionary pairs."""

from common.transforms.load_cine import LoadCineSection as LoadCineSection
from common.transforms.load_cine import LoadCineSectiond as LoadCineSectiond
