"""Transforms of the five papers as array and dictionary pairs."""

from common.transforms.beat import ReadBeat as ReadBeat
from common.transforms.beat import ReadBeatd as ReadBeatd
from common.transforms.check_cine import CheckCine as CheckCine
from common.transforms.check_cine import CheckCined as CheckCined
from common.transforms.cine_corruption import CoverFrames as CoverFrames
from common.transforms.cine_corruption import CoverPatches as CoverPatches
from common.transforms.cine_corruption import LocalPixelShuffle as LocalPixelShuffle
from common.transforms.clip_views import NormalizeClip as NormalizeClip
from common.transforms.clip_views import NormalizeClipd as NormalizeClipd
from common.transforms.clip_views import RandPadCrop as RandPadCrop
from common.transforms.clip_views import RandPadCropd as RandPadCropd
from common.transforms.clips import ReadClips as ReadClips
from common.transforms.clips import ReadClipsd as ReadClipsd
from common.transforms.load_cine import LoadCineSection as LoadCineSection
from common.transforms.load_cine import LoadCineSectiond as LoadCineSectiond
from common.transforms.load_cine import cine_section_tensor as cine_section_tensor
from common.transforms.load_cine_patient import LoadCinePatient as LoadCinePatient
from common.transforms.rand_corrupt_cine import RandCorruptCine as RandCorruptCine
from common.transforms.rand_corrupt_cine import RandCorruptCined as RandCorruptCined
from common.transforms.resample_time import ResampleTime as ResampleTime
from common.transforms.resample_time import ResampleTimed as ResampleTimed
