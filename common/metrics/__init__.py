"""Metrics, intervals and matching rules that MONAI lacks."""

from common.metrics.heart_failure import patient_auc as patient_auc
from common.metrics.heart_failure import section_auc as section_auc
from common.metrics.intervals import Interval as Interval
from common.metrics.intervals import bootstrap_interval as bootstrap_interval
from common.metrics.intervals import paired_difference as paired_difference
from common.metrics.lesion import LesionSize as LesionSize
from common.metrics.lesion import dice_score as dice_score
from common.metrics.lesion import lesion_size as lesion_size
from common.metrics.lesion import lesion_size_class as lesion_size_class
from common.metrics.lesion_threshold import best_lesion_dice as best_lesion_dice
from common.metrics.lesion_threshold import best_lesion_threshold as best_lesion_threshold
from common.metrics.lesion_threshold import dice_by_threshold as dice_by_threshold
from common.metrics.lesion_threshold import lesion_threshold_row as lesion_threshold_row
from common.metrics.restoration import restoration_ratio as restoration_ratio
from common.metrics.restoration import restoration_row as restoration_row
from common.metrics.restoration import restored_mse as restored_mse
from common.metrics.surface import SurfaceScores as SurfaceScores
from common.metrics.surface import surface_scores as surface_scores
