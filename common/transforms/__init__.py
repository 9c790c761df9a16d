"""Transforms of the five papers as array and dictionary pairs."""

from common.transforms.beat import ReadBeat as ReadBeat
from common.transforms.beat import ReadBeatd as ReadBeatd
from common.transforms.clip_views import NormalizeClip as NormalizeClip
from common.transforms.clip_views import NormalizeClipd as NormalizeClipd
from common.transforms.clip_views import RandPadCrop as RandPadCrop
from common.transforms.clip_views import RandPadCropd as RandPadCropd
from common.transforms.clips import ReadClips as ReadClips
from common.transforms.clips import ReadClipsd as ReadClipsd
