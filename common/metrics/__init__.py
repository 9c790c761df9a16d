"""Metrics, intervals and matching rules that MONAI lacks."""

from common.metrics.elastography import contrast_to_noise as contrast_to_noise
from common.metrics.elastography import error_statistics as error_statistics
from common.metrics.elastography import strain_ratio as strain_ratio
from common.metrics.elastography import strain_signal_to_noise as strain_signal_to_noise
from common.metrics.elastography import window_metrics as window_metrics
from common.metrics.flow_rows import ElastographyRow as ElastographyRow
from common.metrics.flow_rows import MeanOf as MeanOf
from common.metrics.flow_rows import end_point_row as end_point_row
from common.metrics.heart_failure import patient_auc as patient_auc
from common.metrics.heart_failure import section_auc as section_auc
from common.metrics.intervals import Interval as Interval
from common.metrics.intervals import bootstrap_interval as bootstrap_interval
from common.metrics.intervals import paired_difference as paired_difference
from common.metrics.restoration import restoration_ratio as restoration_ratio
from common.metrics.restoration import restoration_row as restoration_row
from common.metrics.restoration import restored_mse as restored_mse
from common.metrics.strain_case import case_figures as case_figures
from common.metrics.strain_case import inclusion_masks as inclusion_masks
